"""doppio why: what became of a request, and who decided it."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import quote

import click

from doppio.cli.common import ask, data_option


@click.command()
@click.argument("request_id")
@data_option
def command(request_id: str, data: Path | None) -> None:
    """Explain what became of a request."""
    answer = ask(data, "GET", f"/_doppio/why/{quote(request_id, safe='')}")
    if "denied" in answer:
        denied = answer["denied"]
        click.echo(f"Denied     {denied['action']}")
        click.echo(f"Resource   {denied['resource']}")
        click.echo(f"Caller     {denied['caller']}")
        click.echo(f"At         {denied['at']}")
        click.echo(f"Because    {denied['message']}")
        click.echo("Looked at")
        for line in denied["considered"] or ["no policy at all"]:
            click.echo(f"  - {line}")
        return
    call = answer["call"]
    outcome = f"failed with {call['error']}" if call["error"] else "allowed, and done"
    click.echo(f"{call['service']}:{call['operation']} {outcome}")
    click.echo(f"Caller     {call['caller']}")
    click.echo(f"At         {call['at']}")
    click.echo(f"From       {call['source_ip']} {call['user_agent']}")
