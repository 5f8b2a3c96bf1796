"""Continuation tokens of the lists whose rows have names: buckets, configurations, annotations."""

from __future__ import annotations

from doppio.kernel.paging import position
from doppio.services.s3.errors import InvalidArgument


def name_of(token: str | None, scope: str) -> str:
    """The name that a token stands for, empty where none is given. Raises InvalidArgument."""
    if token is None:
        return ""
    key = position(token, scope, _refusal)
    if key is None:
        raise _refusal()
    return key.decode()


def _refusal() -> InvalidArgument:
    return InvalidArgument(
        "The continuation token provided is incorrect", ArgumentName="continuation-token"
    )
