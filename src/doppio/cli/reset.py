"""doppio reset: delete everything that a stopped cloud has kept."""

from __future__ import annotations

import shutil
from pathlib import Path

import click

from doppio.cli.common import data_option, default_data, fail
from doppio.server import read_state

# Only what a cloud writes is deleted: a mistyped --data must not cost anybody their files.
OURS = ("store", "blobs", "ca", "credentials", "cloud.json", "doppio.log",
        "requests.jsonl", "requests.1.jsonl")  # fmt: skip


@click.command()
@data_option
@click.option("--yes", is_flag=True, help="Do not ask.")
def command(data: Path | None, yes: bool) -> None:
    """Delete everything a stopped cloud has kept."""
    folder = data or default_data()
    if read_state(folder) is not None:
        fail(f"a cloud runs on {folder}; stop it first with `doppio stop`")
    found = [folder / name for name in OURS if (folder / name).exists()]
    if not found:
        click.echo(f"Nothing is kept in {folder}.")
        return
    if not yes:
        click.confirm(f"Delete all that this cloud keeps in {folder}?", abort=True)
    for path in found:
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()
    click.echo("Reset.")
