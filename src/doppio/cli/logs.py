"""doppio logs: the last requests of a cloud, running or not."""

from __future__ import annotations

import json
from collections import deque
from pathlib import Path

import click

from doppio.cli.common import data_option, default_data, fail


@click.command()
@data_option
@click.option("-n", "count", type=click.IntRange(min=0), default=50, show_default=True,
              help="How many of the last requests.")  # fmt: skip
@click.option("--json", "raw", is_flag=True, help="The lines as they are kept.")
@click.option("--errors", is_flag=True, help="Only requests that failed.")
def command(data: Path | None, count: int, raw: bool, errors: bool) -> None:
    """Show the requests of a cloud."""
    folder = data or default_data()
    last: deque[str] = deque(maxlen=count)
    found = False
    for name in ("requests.1.jsonl", "requests.jsonl"):
        path = folder / name
        if path.exists():
            found = True
            with path.open(errors="replace") as lines:
                last.extend(line for line in lines if not errors or '"error":' in line)
    if not found:
        fail(f"no requests are kept in {folder}")
    for text in last:
        if raw:
            click.echo(text, nl=False)
        else:
            try:
                line = json.loads(text)
            except ValueError:
                # A killed cloud or a full disk may have cut the line.
                click.echo(f"(not whole) {text.rstrip()}")
                continue
            what = f"{line.get('service', '-')}:{line.get('operation', '-')}"
            click.echo(
                f"{line['id']} {line['status']} {what} {line.get('caller', '-')}"
                f" {line.get('micros', 0)} µs {line.get('error', '')}".rstrip()
            )
