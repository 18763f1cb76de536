"""The network, from the client's side: reading the registry and other mirrors over HTTP.

Nobody over there is trusted. Every address is judged before it is connected to, every answer has
an end in bytes and in seconds, redirects are followed one by one, and what may pass is tried again
with growing pauses. What comes back is bytes: what they say is verified elsewhere.
"""

from mirror.net.client import Client
from mirror.net.config import ClientConfig
from mirror.net.errors import PER_RESPONSE_CODES
from mirror.net.remote import MirrorClient, RegistryClient, record_path
from mirror.net.response import Response
from mirror.net.url_policy import parse_url

__all__ = [
    "PER_RESPONSE_CODES",
    "Client",
    "ClientConfig",
    "MirrorClient",
    "RegistryClient",
    "Response",
    "parse_url",
    "record_path",
]
