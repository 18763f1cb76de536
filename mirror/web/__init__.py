"""The mirror over HTTP: the registry's paths, the mirror's own, and pages for people.

GET and HEAD only. The store is opened read-only, every answer is made from one state of it, and
nothing is verified or merged on a request.
"""

from mirror.web.app import ServerSettings, create_app

__all__ = ["ServerSettings", "create_app"]
