"""Options of the HTTP client."""

from __future__ import annotations

from typing import Any

import click

from mirror.cli.limit_options import SECONDS
from mirror.cli.options import Count, grouped, setting
from mirror.net import ClientConfig

__all__ = ["client_config"]

_DEFAULTS = ClientConfig()


_NUMBERS = {
    "--rate": ("requests_per_second", click.FloatRange(min=0), "Requests per second; 0: no limit."),
    "--retries": ("retries", Count(0), "Retries of temporary failures."),
    "--timeout": ("read_seconds", SECONDS, "Seconds to wait for more of a response."),
    "--max-response": ("response_bytes", Count(1), "Bytes of one response."),
}
_FLAGS = {
    "--allow-private": ("allow_private", "Allow addresses outside the public internet."),
    "--allow-other-hosts": ("allow_other_hosts", "Follow redirects to other hosts."),
}
_CONTACT = "Your contact for the User-Agent header."


def _make(contact: str, **fields: Any) -> ClientConfig:
    try:
        return ClientConfig(**fields, user_agent=f"{_DEFAULTS.user_agent} {contact}".strip())
    except ValueError as error:
        raise click.UsageError(str(error)) from error


client_config = grouped(
    "client_config",
    _make,
    [
        setting("--contact", "contact", default="", metavar="TEXT", help=_CONTACT),
        *(
            setting(
                name,
                field,
                type=kind,
                default=getattr(_DEFAULTS, field),
                show_default=True,
                help=text,
            )
            for name, (field, kind, text) in _NUMBERS.items()
        ),
        *(setting(name, field, is_flag=True, help=text) for name, (field, text) in _FLAGS.items()),
    ],
)
"""Gives a command the options of the HTTP client, and passes it `client_config`."""
