"""HTTP client for registries and other mirrors.

No server is trusted. Every IP address is checked before the connection, every response is limited
in bytes and seconds, every redirect is checked, and transient failures are retried with growing
pauses. The content of a response is verified by the caller.
"""

from mirror.net.calendar import CalendarAnswer, CalendarClient
from mirror.net.client import Client
from mirror.net.config import ClientConfig
from mirror.net.errors import PER_RESPONSE_CODES
from mirror.net.remote import MirrorClient, RegistryClient, record_path
from mirror.net.response import Response, ResponseHeader, status_text
from mirror.net.url_policy import escape_foreign, origin, parse_url

__all__ = [
    "PER_RESPONSE_CODES",
    "CalendarAnswer",
    "CalendarClient",
    "Client",
    "ClientConfig",
    "MirrorClient",
    "RegistryClient",
    "Response",
    "ResponseHeader",
    "escape_foreign",
    "origin",
    "parse_url",
    "record_path",
    "status_text",
]
