"""The mirror over HTTP: the registry's paths, the mirror's own, and pages for people.

GET and HEAD only. The store is opened read-only, each response is made from one snapshot of it,
and no request verifies or merges anything.
"""

from mirror.web.app import ServerSettings, create_app

__all__ = ["ServerSettings", "create_app"]
