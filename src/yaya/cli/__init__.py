"""The commands. Imports lazily, so that `yaya --help` is instant."""

from __future__ import annotations


def main(argv: list[str] | None = None) -> None:
    """The program `yaya`. argv: its arguments, instead of those it was started with."""
    from yaya.cli import commands

    commands.main(argv)
