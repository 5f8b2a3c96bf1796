"""The command line: one file per command, loaded when it is used."""

from __future__ import annotations

import importlib

import click

from doppio import __version__

COMMANDS = {
    "start": "Start a cloud.",
    "stop": "Stop the cloud that runs on a data directory.",
    "status": "Say whether a cloud runs, and where.",
    "reset": "Delete everything a stopped cloud has kept.",
    "clock": "Show or change cloud time.",
    "zone": "Show Availability Zones, take one down, or up again.",
    "why": "Explain what became of a request.",
    "policy": "Write the policy that somebody needs, from what was really done.",
    "signin": "Sign in by name and password, as the console does.",
    "mail": "Show what was sent to mailboxes and phones.",
    "logs": "Show the requests of a cloud.",
    "coverage": "Count the operations that this cloud has.",
    "ca": "Show the certificate authority that `start --tls` uses.",
}


class Commands(click.Group):
    """Finds a command's module by its name."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """All commands, in the order of a first reading."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        """The command of this name."""
        if name not in COMMANDS:
            return None
        command: click.Command = importlib.import_module(f"doppio.cli.{name}").command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands without loading them."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="doppio")
def main() -> None:
    """A whole cloud on your own machine."""
