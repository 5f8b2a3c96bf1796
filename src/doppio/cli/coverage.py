"""doppio coverage: which operations this cloud has, counted from its code against AWS's models."""

from __future__ import annotations

from typing import NamedTuple

import click

from doppio.catalog import Catalog
from doppio.wire import model


class Count(NamedTuple):
    """One service's operations."""

    service: str
    present: list[str]
    missing: list[str]


def counts() -> list[Count]:
    """The operations of every service that this cloud has."""
    found = []
    for name, service in sorted(Catalog().items()):
        by_method = model.load(name).by_method
        present = [by_method[method].name for method in by_method if method in service.operations]
        missing = [
            by_method[method].name for method in by_method if method not in service.operations
        ]
        found.append(Count(name, sorted(present), sorted(missing)))
    return found


@click.command()
@click.argument("service", required=False)
def command(service: str | None) -> None:
    """Count the operations that this cloud has, or list those of one SERVICE."""
    for count in counts():
        if service is None:
            total = len(count.present) + len(count.missing)
            click.echo(f"{count.service:<12} {len(count.present):>4} of {total:>4}")
        elif count.service == service:
            for name in count.present:
                click.echo(f"has      {name}")
            for name in count.missing:
                click.echo(f"missing  {name}")
