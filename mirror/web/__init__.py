"""The mirror over HTTP: the registry's paths, the mirror's own, and pages for people.

GET and HEAD only. The store is opened read-only, each response is made from one snapshot of it,
and no request writes anything. Past states, and states that are out of date, are merged for it.
"""

from mirror.web.app import ServerSettings, create_app

__all__ = ["ServerSettings", "create_app"]
