"""Options of commands that send requests over HTTP."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, TypeVar, cast

import click

from mirror.cli.limit_options import SECONDS
from mirror.cli.options import Count
from mirror.net import ClientConfig

__all__ = ["politeness"]

_Command = TypeVar("_Command", bound=Callable[..., Any])

_POLITE = ClientConfig()

_POLITENESS: tuple[tuple[str, str, dict[str, Any]], ...] = (
    ("rate", "requests_per_second", {
        "type": click.FloatRange(min=0), "help": "Requests per second; 0 for no limit.",
    }),
    ("retries", "retries", {
        "type": Count(0), "help": "Retries of temporary failures.",
    }),
    ("timeout", "read_seconds", {
        "type": SECONDS, "help": "Seconds to wait for more of a response.",
    }),
    ("max-answer", "answer_bytes", {
        "type": Count(1), "help": "Bytes of one response.",
    }),
    ("allow-private", "allow_private", {
        "is_flag": True, "help": "Allow addresses outside the public internet.",
    }),
    ("allow-other-hosts", "allow_other_hosts", {
        "is_flag": True, "help": "Follow redirects to other hosts.",
    }),
)  # fmt: skip
"""Members of `ClientConfig` and click settings, by option."""


def politeness(command: _Command) -> _Command:
    """Give a command the options of the HTTP client, and pass it `politeness`."""

    @functools.wraps(command)
    def with_politeness(*, contact: str, **parameters: Any) -> Any:
        chosen = {field: parameters.pop(field) for _, field, _ in _POLITENESS}
        agent = f"{_POLITE.user_agent} {contact}".strip()
        try:
            polite = ClientConfig(**chosen, user_agent=agent)
        except ValueError as error:
            raise click.UsageError(str(error)) from error
        return command(**parameters, politeness=polite)

    text = "Your contact for the User-Agent header."
    with_politeness = click.option(
        "--contact",
        default="",
        metavar="TEXT",
        envvar="MIRROR_CONTACT",
        show_envvar=True,
        help=text,
    )(with_politeness)
    for name, field, settings in reversed(_POLITENESS):
        envvar = f"MIRROR_{name.upper().replace('-', '_')}"
        shown = {"default": getattr(_POLITE, field), "show_default": True, "show_envvar": True}
        option = click.option(f"--{name}", field, envvar=envvar, **shown, **settings)
        with_politeness = option(with_politeness)
    return cast("_Command", with_politeness)
