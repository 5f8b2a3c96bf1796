"""doppio policy: the least-privilege policy of a user or role, from what it really did."""

from __future__ import annotations

import json
from pathlib import Path
from urllib.parse import quote

import click

from doppio.cli.common import ask, data_option, fail


@click.group()
def command() -> None:
    """Write policies from what was really done."""


@command.command()
@click.argument("principal")
@data_option
def suggest(principal: str, data: Path | None) -> None:
    """Print the policy that allows what PRINCIPAL (a user's or role's ARN) has done, and no more."""
    policy = ask(
        data, "GET", f"/_aws/iam/suggested/{quote(principal, safe='')}",
        missing=f"{principal} is the ARN of no user or role",
    )  # fmt: skip
    if not policy["Statement"]:
        fail(f"{principal} has done nothing yet that its policies had to allow")
    click.echo(json.dumps(policy, indent=4))
