"""doppio signin: what the console's sign-in is in AWS; a name and a password for temporary keys."""

from __future__ import annotations

from pathlib import Path

import click

from doppio.cli.common import ask, data_option

VARIABLES = {
    "AWS_ACCESS_KEY_ID": "AccessKeyId", "AWS_SECRET_ACCESS_KEY": "SecretAccessKey",
    "AWS_SESSION_TOKEN": "SessionToken",
}  # fmt: skip


@click.command()
@click.argument("account")
@click.argument("user")
@click.option("--password", envvar="DOPPIO_PASSWORD", help="Asked for where it is not given.")
@click.option("--code", default="", help="The code that the user's MFA device shows.")
@click.option("--new-password", default="", help="For a password that must be changed.")
@click.option("--region", default="", help="One of the partition: us-gov-west-1 for GovCloud.")
@data_option
def command(
    account: str,
    user: str,
    password: str | None,
    code: str,
    new_password: str,
    region: str,
    data: Path | None,
) -> None:
    """Sign in as USER of ACCOUNT (its number or alias): `eval "$(doppio signin ACCOUNT USER)"`."""
    # What is printed is for the shell, so the question goes to standard error.
    given = password or click.prompt("Password", hide_input=True, err=True)
    form = {
        "account": account, "user": user, "password": given, "code": code,
        "new_password": new_password, "region": region,
    }  # fmt: skip
    granted = ask(data, "POST", "/_aws/iam/signin", form)
    for variable, member in VARIABLES.items():
        click.echo(f"export {variable}={granted[member]}")
