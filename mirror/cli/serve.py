"""`mirror serve`: the mirror over HTTP."""

from __future__ import annotations

from pathlib import Path

import click

from mirror.cli import options
from mirror.cli.console import say, show_count
from mirror.engine.find import bring_up_to_date
from mirror.errors import StoreError
from mirror.store import open_store

__all__ = ["serve"]


@click.command()
@options.db
@options.jobs
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen at.")
@click.option(
    "--port", type=click.IntRange(0, 65535), default=8000, show_default=True, help="The port."
)
@click.option("--name", default="A mirror of pith.science", show_default=True, help="Its name.")
@click.option(
    "--base-url",
    default="",
    metavar="URL",
    help="Where the world finds it, such as https://mirror.example; else what each request says.",
)
@click.option(
    "--source-url",
    default="https://pith.science",
    show_default=True,
    metavar="URL",
    help="Where its records come from.",
)
@click.option(
    "--access-log",
    type=click.Choice(["none", "json"]),
    default="none",
    show_default=True,
    help="A line on stderr for each request.",
)
@click.option(
    "--kept-mib",
    type=click.IntRange(0),
    default=256,
    show_default=True,
    metavar="MIB",
    help="Memory for states that were asked for lately.",
)
def serve(
    *,
    db: Path,
    host: str,
    port: int,
    name: str,
    base_url: str,
    source_url: str,
    access_log: str,
    kept_mib: int,
) -> None:
    """Serve the store over HTTP: the registry's paths, and pages for people.

    The search index is brought up to date first, where the store can be written. From then on the
    store is only read; merge into it meanwhile as you like. SIGTERM and Ctrl-C let running answers
    end.

    \b
    Examples:
      mirror serve
      mirror serve --host 0.0.0.0 --port 80 --base-url https://mirror.example --access-log json
    """
    # Other commands need not wait for these.
    import uvicorn  # noqa: PLC0415

    from mirror.web import Settings, create_app  # noqa: PLC0415

    _index(db)
    with open_store(db, read_only=True) as store:
        records = store.status().records
    settings = Settings(
        store=db,
        name=name,
        base_url=base_url.rstrip("/"),
        source_url=source_url.rstrip("/"),
        access_log=access_log,
        kept_bytes=kept_mib << 20,
    )
    config = uvicorn.Config(
        create_app(settings),
        host=host,
        port=port,
        access_log=False,
        log_level="warning",
        server_header=False,
        date_header=True,
        timeout_graceful_shutdown=10,
        lifespan="on",
    )
    server = uvicorn.Server(config)
    say(f"serving {records:,} records at http://{host}:{port}/ — stop with Ctrl-C")
    server.run()


def _index(db: Path) -> None:
    """Bring the search index up to date, where the store can be written; else go without."""
    try:
        with open_store(db, must_exist=True) as store, show_count("indexed") as progress:
            bring_up_to_date(store, progress)
    except StoreError as error:
        say(f"the search index was not brought up to date: {error}")
