"""Pages of a browser, and what they ask for and report."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

__all__ = ["PageLog", "logged", "new_page"]


@dataclass(frozen=True, slots=True)
class PageLog:
    """The requests of a page, and its messages, errors and dialogs."""

    requests: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)


def new_page(browser: Any, **settings: Any) -> Any:
    """Open a page in a profile of its own."""
    page = browser.new_context(**settings).new_page()
    page.set_default_timeout(60_000)
    return page


@contextmanager
def logged(page: Any) -> Iterator[PageLog]:
    """Log what a page does, until it has left its address; reset how it is shown."""
    log = PageLog()

    def dismiss(dialog: Any) -> None:
        log.errors.append(dialog.message)
        dialog.dismiss()

    listeners = {
        "request": lambda request: log.requests.append(request.url),
        "console": lambda message: log.errors.append(message.text),
        "pageerror": lambda error: log.errors.append(str(error)),
        "dialog": dismiss,
    }
    page.set_viewport_size({"width": 1280, "height": 800})
    page.emulate_media(color_scheme="light", media="screen")
    for event, listener in listeners.items():
        page.on(event, listener)
    try:
        yield log
        page.mouse.move(0, 0)
        page.goto("about:blank")
    finally:
        for event, listener in listeners.items():
            page.remove_listener(event, listener)
