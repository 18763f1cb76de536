"""The command line: one module for each command or group, each a thin call into the engine."""

from mirror.cli.main import main

__all__ = ["main"]
