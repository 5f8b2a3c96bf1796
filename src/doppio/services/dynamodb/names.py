"""Names of tables and indexes, and what is said of a table that is not there. Pure."""

from __future__ import annotations

import re

from doppio.services.dynamodb.errors import ResourceNotFoundException, ValidationException

_NAME = re.compile(r"[A-Za-z0-9_.-]+")


def checked_name(name: str, what: str = "TableName") -> str:
    """A table's or index's name. Raises ValidationException."""
    if not 3 <= len(name) <= 255:
        raise ValidationException(
            f"{what} must be at least 3 characters long and at most 255 characters long"
        )
    if not _NAME.fullmatch(name):
        raise ValidationException(
            f"1 validation error detected: Value '{name}' at '{what[0].lower()}{what[1:]}' failed to satisfy "
            "constraint: Member must satisfy regular expression pattern: [a-zA-Z0-9_.-]+"
        )
    return name


def table_not_found(name: str, *, named: bool = True) -> ResourceNotFoundException:
    """What operations say of a table that is not there; those on tables, not on items, name it.

    Raises ValidationException for a name that no table can have: who waits for it would wait in vain.
    """
    if not name.startswith("arn:"):
        checked_name(name)
    if not named:
        return ResourceNotFoundException()
    return ResourceNotFoundException(f"Requested resource not found: Table: {name} not found")
