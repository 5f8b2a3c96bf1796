"""doppio zone: show Availability Zones, take one down, and up again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from doppio.cli.common import ask, data_option, fail

_PAGE = "/_doppio/zones"


@click.group()
def command() -> None:
    """Show Availability Zones, or change whether they work."""


@command.command("list")
@click.argument("region", default="us-east-1")
@data_option
def listed(region: str, data: Path | None) -> None:
    """Show the zones of a Region (us-east-1 if none is named), and all that are down."""
    found = ask(data, "GET", _PAGE)
    if not any(one["name"][:-1] == region for one in found):
        fail(f"no Region is called {region}")
    show([one for one in found if one["name"][:-1] == region or one["state"] == "down"])


@command.command()
@click.argument("name")
@data_option
def down(name: str, data: Path | None) -> None:
    """Let a zone fail: what lies in it alone cannot be reached until it is up again."""
    change(data, name, "down")


@command.command()
@click.argument("name")
@data_option
def up(name: str, data: Path | None) -> None:
    """Let a zone work again."""
    change(data, name, "up")


def change(data: Path | None, name: str, state: str) -> None:
    """Set a zone's state, and show the zone."""
    found = ask(data, "POST", _PAGE, {"name": name, "state": state})
    show([one for one in found if one["name"] == name])


def show(zones: list[dict[str, Any]]) -> None:
    """Print zones: name, id and state."""
    for one in zones:
        click.echo(f"{one['name']:<16} {one['id']:<12} {one['state']}")
