"""doppio ca: where the certificate is that clients of `start --tls` must trust."""

from __future__ import annotations

from pathlib import Path

import click

from doppio.cli.common import data_option, default_data, fail


@click.command()
@data_option
def command(data: Path | None) -> None:
    """Show the certificate authority that `start --tls` uses."""
    path = (data or default_data()) / "ca" / "ca.pem"
    if not path.exists():
        fail(f"there is no certificate authority yet: `doppio start --tls` makes {path}")
    click.echo(f"  export AWS_CA_BUNDLE={path}")
