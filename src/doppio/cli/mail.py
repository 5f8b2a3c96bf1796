"""doppio mail: what the cloud has sent to mailboxes and phones, which are all local."""

from __future__ import annotations

from pathlib import Path

import click

from doppio.cli.common import ask, data_option

DEFAULT_ACCOUNT = "000000000000"


@click.command()
@click.option("--account", default=DEFAULT_ACCOUNT, show_default=True, help="Whose topics sent it.")
@click.option("--texts", is_flag=True, help="Text messages, not mails.")
@data_option
def command(account: str, texts: bool, data: Path | None) -> None:
    """Show what was sent to mailboxes and phones, newest first."""
    if texts:
        for one in ask(data, "GET", f"/_aws/sns/texts/{account}")["Texts"]:
            click.echo(f"{one['at']}  {one['to']}  {one['text']}")
        return
    for one in ask(data, "GET", f"/_aws/sns/mail/{account}")["Mails"]:
        click.echo(f"From     {one['sender']}")
        click.echo(f"To       {one['to']}")
        click.echo(f"At       {one['at']}")
        click.echo(f"Subject  {one['subject']}\n")
        click.echo(one["body"])
