"""doppio clock: show cloud time, stop it, let it run fast, or let a month pass at once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from doppio.cli.common import ask, data_option


@click.group()
def command() -> None:
    """Show or change cloud time."""


@command.command()
@data_option
def now(data: Path | None) -> None:
    """Show cloud time."""
    show(ask(data, "GET", "/_doppio/clock"))


@command.command()
@data_option
def pause(data: Path | None) -> None:
    """Stop cloud time."""
    show(ask(data, "POST", "/_doppio/clock", {"action": "pause"}))


@command.command()
@data_option
def resume(data: Path | None) -> None:
    """Let cloud time run at the pace of the host's."""
    show(ask(data, "POST", "/_doppio/clock", {"action": "resume"}))


@command.command()
@click.argument("by")
@data_option
def advance(by: str, data: Path | None) -> None:
    """Let time pass at once: 90s, 5m, 2h, 30d, 1d12h."""
    show(ask(data, "POST", "/_doppio/clock", {"action": "advance", "by": by}))


@command.command()
@click.argument("rate", type=float)
@data_option
def rate(rate: float, data: Path | None) -> None:
    """Let cloud time run RATE times as fast as the host's."""
    show(ask(data, "POST", "/_doppio/clock", {"action": "rate", "rate": rate}))


def show(clock: dict[str, Any]) -> None:
    """Print cloud time and how it runs."""
    pace = "paused" if clock["paused"] else f"runs at {clock['rate']:g} s a second"
    click.echo(f"{clock['now']} ({pace})")
