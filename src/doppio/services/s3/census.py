"""Going through all of a bucket in key order, a page at a time: how many there are is no matter.

Each page is a read of its own, so what walks need not hurry, and may stop and go on after a crash
where it was. What is written meanwhile is met or not, as in S3's own inventories.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import NamedTuple

from doppio.kernel.context import Context
from doppio.kernel.records import table_of
from doppio.services.s3.limits import CENSUS_KEYS_A_STEP
from doppio.services.s3.records import SEQUENCE_MAX, Bucket, Current, Older, Version
from doppio.services.s3.walk import Walk, place_of

_currents = table_of(Current)
_olders = table_of(Older)


class Place(NamedTuple):
    """Where a census has come: the last version that it has seen."""

    key: str = ""
    sequence: int = SEQUENCE_MAX


class Seen(NamedTuple):
    """A version, or a delete marker, and whether it is the newest of its key."""

    version: Version
    is_latest: bool

    @property
    def place(self) -> Place:
        return Place(self.version.key, self.version.sequence)


async def census(
    ctx: Context,
    bucket: Bucket,
    *,
    prefix: str = "",
    versions: bool = False,
    after: Place | None = None,
) -> AsyncIterator[list[Seen]]:
    """All objects below a prefix, page by page; with `versions`, hidden ones and markers, too."""
    place = after or Place()
    while True:
        page = await _page(ctx, bucket, prefix, place, versions=versions)
        if page:
            yield page
            place = page[-1].place
        if len(page) < CENSUS_KEYS_A_STEP:
            return


async def _page(
    ctx: Context, bucket: Bucket, prefix: str, place: Place, *, versions: bool
) -> list[Seen]:
    view = ctx.read().raw
    walk = Walk(_currents, _currents.decode, bucket.id, prefix, "")
    if place.key:
        walk.start_after(place.key)
    currents = await walk.records(view, CENSUS_KEYS_A_STEP)
    if not versions:
        return [Seen(version, True) for version in currents]
    hidden = Walk(_olders, _olders.decode, bucket.id, prefix, "")
    if place.key:
        hidden.start_after(place.key, SEQUENCE_MAX - place.sequence)
    olders = await hidden.records(view, CENSUS_KEYS_A_STEP)
    both: list[Version] = [*currents, *olders]
    both.sort(key=place_of)
    found, newest_of = [], place.key
    for version in both[:CENSUS_KEYS_A_STEP]:
        found.append(Seen(version, version.key != newest_of))
        newest_of = version.key
    return found
