"""doppio stop: end the cloud that runs on a data directory, and wait until it has."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import click

from doppio.cli.common import data_option, default_data, fail
from doppio.server import read_state

STOP_SECONDS_MAX = 30.0


@click.command()
@data_option
def command(data: Path | None) -> None:
    """Stop the cloud that runs on a data directory."""
    folder = data or default_data()
    state = read_state(folder)
    if state is None:
        fail(f"no cloud runs on {folder}")
    os.kill(state.pid, signal.SIGTERM)
    until = time.monotonic() + STOP_SECONDS_MAX
    while time.monotonic() < until:
        if read_state(folder) is None:
            click.echo("Stopped.")
            return
        time.sleep(0.02)
    fail(f"the cloud (pid {state.pid}) has not stopped within {STOP_SECONDS_MAX:.0f} s")
