"""Lists of attributes' names, by numbers: items go over the wire without their names.

A client learns the number of a list once and keeps it, whatever becomes of the connection or of
this process; so lists are durable, and a number is never given twice.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Sequence

from doppio.kernel.context import Context, Tx
from doppio.services.dax import limits
from doppio.services.dax.errors import ClusterNotFound
from doppio.services.dax.records import (
    AttributeList,
    AttributeListNumber,
    AttributeLists,
    Cluster,
)
from doppio.wire.errors import ValidationError

# Every client knows this one: the list without a name.
EMPTY = 1


class Lists:
    """The lists of one cluster, as far as they were needed lately."""

    def __init__(self, key: tuple[str, ...], uid: str) -> None:
        self._key = key
        self._cluster = uid
        self._names: OrderedDict[int, tuple[str, ...]] = OrderedDict()
        self._numbers: dict[tuple[str, ...], int] = {}

    async def number(self, ctx: Context, names: Sequence[str]) -> int:
        """The number of a list, which has one from now on. Raises ValidationException."""
        listed = tuple(names)
        if not listed:
            return EMPTY
        known = self._numbers.get(listed)
        if known is not None:
            return known
        if sum(len(one.encode()) for one in listed) > limits.ATTRIBUTE_NAMES_BYTES_MAX:
            raise ValidationError("The names of an item's attributes are too long.")
        packed = b"".join(len(one.encode()).to_bytes(4) + one.encode() for one in listed)
        digest = hashlib.sha256(packed).digest()

        async def find(tx: Tx) -> int:
            found = await tx.get(AttributeListNumber, self._cluster, digest)
            if found is not None:
                return found.number
            cluster = await tx.get(Cluster, *self._key)
            if cluster is None or cluster.uid != self._cluster or cluster.status == "deleting":
                raise ClusterNotFound()
            last = await tx.get(AttributeLists, self._cluster)
            number = (EMPTY if last is None else last.last) + 1
            tx.put(AttributeLists(cluster=self._cluster, last=number))
            tx.put(AttributeListNumber(cluster=self._cluster, digest=digest, number=number))
            tx.put(AttributeList(cluster=self._cluster, number=number, names=list(listed)))
            return number

        number = await ctx.transact(find)
        self._know(number, listed)
        return number

    async def names(self, ctx: Context, number: int) -> tuple[str, ...]:
        """The names of a list. Raises ValidationException where there is no such list."""
        if number == EMPTY:
            return ()
        known = self._names.get(number)
        if known is not None:
            return known
        found = None
        if 0 < number < 1 << 62:
            found = await ctx.read().get(AttributeList, self._cluster, number)
        if found is None:
            raise ValidationError(f"There is no attribute list {number}.")
        self._know(number, tuple(found.names))
        return tuple(found.names)

    def _know(self, number: int, names: tuple[str, ...]) -> None:
        self._names[number] = names
        self._numbers[names] = number
        if len(self._names) > limits.ATTRIBUTE_LISTS_KNOWN_MAX:
            _, oldest = self._names.popitem(last=False)
            self._numbers.pop(oldest, None)
