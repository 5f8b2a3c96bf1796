"""Lists: their pages, and the tokens between them, opaque to the client and checked when they come back.

A page ends behind a row, by its key, so that pages are exact whatever comes and goes meanwhile.
"""

from __future__ import annotations

import binascii
import hashlib
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from typing import TYPE_CHECKING, Any, TypeVar

from doppio.kernel.records import Index, Table, index_in, table_in, table_of

if TYPE_CHECKING:
    from doppio.kernel.context import Reader

T = TypeVar("T")
FIRST = "aws"
_CHECK_BYTES = 4
# Base64 as it stands in addresses, and back.
_TO_URL = bytes.maketrans(b"+/", b"-_")
_FROM_URL = bytes.maketrans(b"-_", b"+/")
_LAST = "\U0010ffff"


class BadToken(Exception):
    """A token that this list never gave; each service answers with its own error."""


def page_token(key: bytes, scope: str) -> str:
    """A token that stands for `key`, valid in lists of the same `scope` alone."""
    check = hashlib.blake2b(key + scope.encode(), digest_size=_CHECK_BYTES).digest()
    return binascii.b2a_base64(check + key, newline=False).translate(_TO_URL).decode()


def token_key(token: str, scope: str) -> bytes:
    """The key a token stands for. Raises BadToken."""
    try:
        raw = binascii.a2b_base64(token.encode("ascii").translate(_FROM_URL), strict_mode=True)
    except (binascii.Error, ValueError) as error:
        raise BadToken(token) from error
    check, key = raw[:_CHECK_BYTES], raw[_CHECK_BYTES:]
    if hashlib.blake2b(key + scope.encode(), digest_size=_CHECK_BYTES).digest() != check:
        raise BadToken(token)
    return key


def position(token: str | None, scope: str, refusal: Callable[[], Exception]) -> bytes | None:
    """Where a list goes on: the key of its token, None at its beginning.

    Raises `refusal()`, the service's own error, for a token that this list never gave.
    """
    if not token:
        return None
    try:
        return token_key(token, scope)
    except BadToken as error:
        raise refusal() from error


def begins(text: str | None) -> dict[str, Any]:
    """The bounds of the rows whose next field begins with a text; of all where there is none."""
    return {"since": text, "until": text + _LAST} if text else {}


def place_of(reader: Reader, of: type[T] | Index[T], row: T) -> bytes:
    """The key behind which `every` and `page_of` go on after a row, in the reader's partition."""
    partition = reader.context.partition
    if isinstance(of, Index):
        index = of if partition == FIRST else index_in(partition, of)
        assert index.table is not None
        key = index.row_key(row, index.table.key(row))
        assert key is not None, "the record is not in this index"
        return key
    kind: Any = of
    table: Table[Any] = table_of(kind) if partition == FIRST else table_in(partition, kind)
    return table.key(row)


async def steps(
    reader: Reader,
    of: type[T] | Index[T],
    prefix: tuple[Any, ...] = (),
    *,
    step: int,
    after: bytes | None = None,
    since: Any = None,
    until: Any = None,
    reverse: bool = False,
) -> AsyncGenerator[list[T], None]:
    """All rows under a prefix, of a table or in an index's order, at most `step` at a time.

    Each step is read when it is asked for: what was written behind the walk meanwhile is met.
    """
    bounds: dict[str, Any] = {"since": since, "until": until, "reverse": reverse}
    while True:
        if isinstance(of, Index):
            rows = await reader.find(of, prefix, after=after, limit=step, **bounds)
        else:
            rows = await reader.list(of, prefix, after=after, limit=step, **bounds)
        if rows:
            # Before others have them: a row that is deleted meanwhile still has its place.
            after = place_of(reader, of, rows[-1])
            yield rows
        if len(rows) < step:
            return


async def every(
    reader: Reader, of: type[T] | Index[T], prefix: tuple[Any, ...] = (), **bounds: Any
) -> AsyncGenerator[T, None]:
    """The rows of `steps`, one after the other."""
    async for rows in steps(reader, of, prefix, **bounds):
        for row in rows:
            yield row


async def first(
    reader: Reader,
    of: type[T] | Index[T],
    prefix: tuple[Any, ...] = (),
    *,
    fits: Callable[[T], bool],
    **bounds: Any,
) -> T | None:
    """The first of `every` that fits."""
    walk = every(reader, of, prefix, **bounds)
    async with aclosing(walk):
        async for row in walk:
            if fits(row):
                return row
    return None


async def page_of(
    reader: Reader,
    of: type[T] | Index[T],
    prefix: tuple[Any, ...] = (),
    *,
    most: int,
    scope: str,
    after: bytes | None = None,
    fits: Callable[[T], bool] | None = None,
    step: int = 0,
    since: Any = None,
    until: Any = None,
    reverse: bool = False,
) -> tuple[list[T], str | None]:
    """At most `most` rows that fit, and the token of the page behind them, if there is more.

    Where few may fit, `step` says how many are read at a time.
    """
    found: list[T] = []
    walk = steps(
        reader, of, prefix, step=step or most + 1, after=after, since=since, until=until,
        reverse=reverse,
    )  # fmt: skip
    async with aclosing(walk):
        async for rows in walk:
            found += rows if fits is None else filter(fits, rows)
            if len(found) > most:
                break
    if len(found) <= most:
        return found, None
    shown = found[:most]
    return shown, page_token(place_of(reader, of, shown[-1]), scope)
