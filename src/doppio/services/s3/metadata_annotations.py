"""The table of annotations: the texts that hang on a bucket's objects, read as a role of the user's.

It follows what lies there as the inventory does, key by key: all rows of a key go, and those come that
there are now. What a key has may be more than one commit should hold. Then the first takes the old
rows away and others add to it; how far the table tells is said by the last, so that a crash in between
makes all of it be told again, and nothing twice.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable
from typing import TYPE_CHECKING, Any

from doppio.kernel.bodies import pieces
from doppio.kernel.context import Context
from doppio.services.s3 import metadata_rules as rules
from doppio.services.s3 import metadata_tables as tables
from doppio.services.s3.annotations import annotated_of
from doppio.services.s3.census import Place, census
from doppio.services.s3.limits import (
    ANNOTATION_TABLE_BYTES_A_COMMIT,
    INVENTORY_KEYS_A_COMMIT,
    TABLE_ROWS_A_COMMIT,
)
from doppio.services.s3.metadata_records import Entry
from doppio.services.s3.metadata_tables import Change
from doppio.services.s3.records import Version
from doppio.wire.errors import AwsError

if TYPE_CHECKING:
    from doppio.services.s3.metadata_work import Work

_KIND = rules.ANNOTATION


class Unreadable(Exception):
    """The role may not read annotations, or may not be had."""


class AnnotationTable:
    """A bucket's table of annotations, in one turn of the bucket's work."""

    def __init__(self, work: Work) -> None:
        self._work = work
        self._reader: Context | None = None

    async def backfill(self) -> None:
        """Tell of all annotations that there are, from the key at which a crash has stopped it."""
        work = self._work
        at = await tables.work(
            work.as_s3, work.home(_KIND), lambda one: one.properties.get(rules.PLACE)
        )
        since = work.table(_KIND).told
        keys: dict[str, None] = {}

        def number(version: Version) -> str:
            return rules.sequence_number(since, version)

        async def tell() -> None:
            if keys:
                await self._tell(list(keys), number, {rules.PLACE: next(reversed(keys))})
                keys.clear()

        # All versions of a key come one after the other, and the key whole.
        place = Place(at, 0) if at is not None else None
        async for page in census(work.ctx, work.bucket, versions=True, after=place):
            for seen in page:
                key = seen.version.key
                if key not in keys and len(keys) >= INVENTORY_KEYS_A_COMMIT:
                    await tell()
                if annotated_of(seen.version) is not None:
                    keys[key] = None
        await tell()

    async def look_again(self, entries: list[tuple[int, Entry]]) -> None:
        """Tell anew of the keys to which something has happened."""
        keys = sorted({one.version.key for _, one in entries})
        number = await self._work.numbers(_KIND, keys, entries)
        await self._tell(keys, number, {rules.POSITION: str(entries[-1][0])})

    async def _tell(
        self, keys: Iterable[str], number: Callable[[Version], str], told: dict[str, str]
    ) -> None:
        listed = list(keys)
        rows: list[dict[str, Any]] = []
        size, gone = 0, listed
        for key in listed:
            for version in await self._work.versions(key):
                if annotated_of(version) is None:
                    continue
                async for row in self._rows(version, number(version)):
                    rows.append(row)
                    size += len(row["annotation_value"])
                    if size > ANNOTATION_TABLE_BYTES_A_COMMIT or len(rows) >= TABLE_ROWS_A_COMMIT:
                        await self._work.change(_KIND, Change({}, rows, gone))
                        rows, size, gone = [], 0, []
        await self._work.change(_KIND, Change(told, rows, gone))

    async def _rows(self, version: Version, number: str) -> AsyncIterator[dict[str, Any]]:
        """A row for each annotation of a version, which may change meanwhile."""
        named = {
            "Bucket": self._work.bucket.name, "Key": version.key, "VersionId": version.id,
        }  # fmt: skip
        token: dict[str, str] = {}
        while True:
            page = await self._ask("list_object_annotations", {**named, **token})
            if page is None:
                return
            for one in page["Annotations"]:
                name = one["AnnotationName"]
                found = await self._ask("get_object_annotation", {**named, "AnnotationName": name})
                if found is None:
                    continue
                raw = b"".join([bytes(part) async for part in pieces(found["AnnotationPayload"])])
                yield {
                    "bucket": self._work.bucket.name,
                    "key": version.key,
                    "sequence_number": number,
                    "version_id": rules.version_key(version)[1],
                    "annotation_name": name,
                    "annotation_value": raw.decode(),
                    "size": len(raw),
                    "last_modified_date": one["LastModified"].replace(tzinfo=None),
                    "e_tag": one["ETag"].strip('"'),
                    "checksum_algorithm": next(iter(one.get("ChecksumAlgorithm") or []), None),
                }
            if "NextContinuationToken" not in page:
                return
            token = {"ContinuationToken": page["NextContinuationToken"]}

    async def _ask(self, method: str, req: dict[str, Any]) -> Any:
        """Ask S3 as the role; None where what is asked for is gone."""
        work = self._work
        try:
            if self._reader is None:
                self._reader = await work.ctx.derive(work.as_s3.caller).as_role(
                    work.found.role, rules.PRINCIPAL, source=work.bucket.arn,
                    session="s3-metadata", region=work.bucket.region,
                )  # fmt: skip
            return await self._reader.call("s3", method, req)
        except AwsError as error:
            if error.status == 404:
                return None
            if error.status == 403:
                raise Unreadable(error.message) from error
            raise
