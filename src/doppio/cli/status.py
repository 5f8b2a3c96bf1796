"""doppio status: whether a cloud runs on a data directory, and where."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from doppio.cli.common import ask, data_option, default_data
from doppio.server import read_state


@click.command()
@data_option
def command(data: Path | None) -> None:
    """Say whether a cloud runs, and where. Status 3 where none does."""
    folder = data or default_data()
    state = read_state(folder)
    if state is None:
        click.echo(f"No cloud runs on {folder}.")
        sys.exit(3)
    health = ask(folder, "GET", "/_doppio/health")
    click.echo(f"Endpoint   {state.endpoint}")
    click.echo(f"Pid        {state.pid}")
    click.echo(f"Data       {folder}")
    click.echo(f"Cloud time {health['clock']}")
    click.echo(f"Isolation  {ask(folder, 'GET', '/_doppio/isolation')['isolation']}")
    click.echo(f"Services   {', '.join(health['services'])}")
