"""doppio coverage: which operations this cloud has, counted from its code against AWS's models.

An old name of an operation, whose requests are those of a newer one, is there when that one is.
"""

from __future__ import annotations

from typing import NamedTuple

import click

from doppio.catalog import Catalog
from doppio.cli.common import fail
from doppio.wire import model
from doppio.wire.rest import router


class Count(NamedTuple):
    """One service's operations."""

    service: str
    present: list[str]
    missing: list[str]


def counts() -> list[Count]:
    """The operations of every service that this cloud has."""
    found = []
    for name, service in sorted(Catalog().items()):
        known = model.load(name)
        rest = known.protocols[0].startswith("rest-")
        present: list[str] = []
        missing: list[str] = []
        for operation in known.operations.values():
            answering = router(known).answering(operation) if rest else operation
            (present if answering.method in service.operations else missing).append(operation.name)
        found.append(Count(name, sorted(present), sorted(missing)))
    return found


@click.command()
@click.argument("service", required=False)
def command(service: str | None) -> None:
    """Count the operations that this cloud has, or list those of one SERVICE."""
    found = counts()
    if service is not None and service not in {count.service for count in found}:
        fail(f"no service is called {service}: `doppio coverage` lists all that are there")
    for count in found:
        if service is None:
            total = len(count.present) + len(count.missing)
            click.echo(f"{count.service:<12} {len(count.present):>4} of {total:>4}")
        elif count.service == service:
            for name in count.present:
                click.echo(f"has      {name}")
            for name in count.missing:
                click.echo(f"missing  {name}")
