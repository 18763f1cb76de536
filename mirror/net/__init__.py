"""The network, from the client's side: reading the registry and other mirrors over HTTP.

Nobody over there is trusted. Every address is judged before it is connected to, every answer has
an end in bytes and in seconds, redirects are followed one by one, and what may pass is tried again
with growing pauses. What comes back is bytes: what they say is verified elsewhere.
"""

from mirror.net.answer import Fetched
from mirror.net.client import Client
from mirror.net.faults import ONE_ANSWER
from mirror.net.politeness import Politeness
from mirror.net.url import parse_url

__all__ = ["ONE_ANSWER", "Client", "Fetched", "Politeness", "parse_url"]
