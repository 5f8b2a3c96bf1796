"""S3 Metadata at work: each minute what happened in a bucket is told in its tables.

A job of the bucket's does it, as `metadata.s3.amazonaws.com`. The journal is what the bucket's log
says (`metadata_records`), row by row. The inventory is filled once from all that lies there; from
then on, keys of which the log has told are looked at anew, within the hour. How far a table tells
stands in its own metadata, and changes with its rows in one commit: so a crash between writing a
file and committing it neither loses a row nor doubles one.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

from msgspec.structs import replace

from doppio.kernel.context import Context, Tx
from doppio.kernel.identity import service_caller
from doppio.kernel.jobs import Job, JobHandler
from doppio.kernel.paging import every
from doppio.services.s3 import metadata_rules as rules
from doppio.services.s3 import metadata_tables as tables
from doppio.services.s3.census import Place, census
from doppio.services.s3.limits import (
    INVENTORY_EVERY,
    INVENTORY_KEYS_A_COMMIT,
    JOURNAL_EVERY,
    TABLE_ROWS_A_COMMIT,
)
from doppio.services.s3.metadata_annotations import AnnotationTable, Unreadable
from doppio.services.s3.metadata_records import (
    ANNOTATED,
    Entry,
    Metadata,
    TableState,
    decode,
    log_of,
)
from doppio.services.s3.metadata_tables import Change, Home
from doppio.services.s3.records import Bucket, Current, Older, Version
from doppio.wire.errors import AwsError

RUN = "s3.metadata"
_GIVEN_UP = timedelta(minutes=5)
_DAY = timedelta(days=1)
_VERSIONS_A_READ = 500
LookAgain = Callable[[list[tuple[int, Entry]]], Awaitable[None]]
_log = logging.getLogger("doppio.s3.metadata")


def jobs() -> dict[str, JobHandler]:
    """The handler by the name under which it is scheduled."""
    return {RUN: run}


async def run(ctx: Context, job: Job) -> None:
    """Bring a bucket's tables up to date."""
    reader = ctx.read()
    found, bucket = await reader.get(Metadata, job.key), await reader.get(Bucket, job.key)
    store = ctx.kernel.store
    if found is None or bucket is None:
        await store.trim_log(log_of(job.key), await reader.raw.log_end(log_of(job.key)))
        return
    work = Work(ctx, bucket, found)
    await work.do()
    fed = (work.found.journal, work.found.inventory, work.found.annotation)
    told = [one.told for one in fed if one is not None and _is_fed(one)]
    end = await ctx.read().raw.log_end(log_of(bucket.id))
    await store.trim_log(log_of(bucket.id), min(told, default=end))

    async def again(tx: Tx) -> None:
        if await _same(tx, work.found) is not None:
            await tx.schedule(ctx.clock.now() + JOURNAL_EVERY, RUN, job.key)

    await ctx.transact(again)


def _is_fed(table: TableState) -> bool:
    return table.enabled and table.status != rules.FAILED


async def _same(tx: Tx, found: Metadata) -> Metadata | None:
    """The configuration as it is now; None where it is another one, or none."""
    now = await tx.get(Metadata, found.bucket)
    return now if now is not None and now.id == found.id else None


class _Gone(Exception):
    """The configuration is not there any more."""


class Work:
    """One turn for one bucket. `found` is the configuration as it has become."""

    def __init__(self, ctx: Context, bucket: Bucket, found: Metadata) -> None:
        self.ctx = ctx
        self.bucket = bucket
        self.found = found
        caller = service_caller(rules.PRINCIPAL, bucket.account, bucket.arn)
        self.as_s3 = ctx.derive(caller, region=bucket.region)
        self.as_s3.account = bucket.account

    async def do(self) -> None:
        """Do what is to be done, each table for itself."""
        try:
            if self.found.journal.status == rules.CREATING:
                await self._guarded(rules.JOURNAL, self._make_journal)
            if self.found.journal.status == rules.ACTIVE:
                await self._guarded(rules.JOURNAL, self._journal)
            await self._follow(rules.INVENTORY, self._backfill, self._look_again)
            annotations = AnnotationTable(self)
            await self._follow(rules.ANNOTATION, annotations.backfill, annotations.look_again)
        except _Gone:
            _log.info("the metadata of %s is not wanted any more", self.bucket.name)

    async def _follow(
        self, kind: str, backfill: Callable[[], Awaitable[None]], look_again: LookAgain
    ) -> None:
        """Bring a table up to date that follows what lies there."""
        table: TableState | None = getattr(self.found, kind)
        if table is None or not table.enabled:
            return
        if table.status == rules.CREATING:
            await self._guarded(kind, lambda: self._make_follower(kind))
        if self.table(kind).status == rules.BACKFILLING:
            await self._guarded(kind, lambda: self._fill(kind, backfill))
        if self.table(kind).status == rules.ACTIVE:
            await self._guarded(kind, lambda: self._refresh(kind, look_again))

    def table(self, kind: str) -> TableState:
        """What is known of a table."""
        table: TableState | None = getattr(self.found, kind)
        assert table is not None
        return table

    def home(self, kind: str) -> Home:
        """Where a table is."""
        return Home(self.found.table_bucket, self.found.namespace, self.table(kind).name)

    async def _guarded(self, kind: str, do: Callable[[], Awaitable[None]]) -> None:
        """Do something with a table; where that is refused for good, the table has failed."""
        try:
            await do()
        except Unreadable as error:
            _log.warning("annotations of %s cannot be read: %s", self.bucket.name, error)
            await self._keep(kind, status=rules.FAILED, error="AccessDeniedReadingAnnotations")
        except AwsError as error:
            if error.code == "ConflictException":
                # Somebody else has changed the table: the next turn sees what it is now.
                _log.info("the %s of %s changes just now", kind, self.bucket.name)
                return
            if error.status == 501:
                # PyIceberg is not installed any more: what happens waits until it is.
                _log.warning("the %s of %s waits: %s", kind, self.bucket.name, error.message)
                return
            code = _code_of(error, is_made=self.table(kind).status != rules.CREATING)
            if code is None:
                raise
            _log.warning("the %s of %s has failed: %s", kind, self.bucket.name, error.message)
            await self._keep(kind, status=rules.FAILED, error=code)

    async def _keep(self, kind: str, **changes: Any) -> None:
        """Change what is known of a table."""

        async def keep(tx: Tx) -> Metadata:
            now = await _same(tx, self.found)
            if now is None:
                raise _Gone
            table = getattr(now, kind)
            if table is None or table.name != self.table(kind).name:
                raise _Gone
            return tx.put(replace(now, **{kind: replace(table, **changes)}))

        self.found = await self.ctx.transact(keep)

    async def _note(self, **changes: Any) -> None:
        async def keep(tx: Tx) -> Metadata:
            now = await _same(tx, self.found)
            if now is None:
                raise _Gone
            return tx.put(replace(now, **changes))

        self.found = await self.ctx.transact(keep)

    # Making tables.

    async def _make_journal(self) -> None:
        if self.found.version == 1:
            if not self.found.journal.arn:
                # Who asked for it makes it, with what he may do; that has not come to an end.
                if self.ctx.clock.now() - self.found.created_at > _GIVEN_UP:
                    await self._keep(
                        rules.JOURNAL, status=rules.FAILED, error="ServerInternalError"
                    )
                return
        elif not await self._make(rules.JOURNAL, "JournalTableAlreadyExists"):
            return
        told = self.found.since
        await self._furnish(rules.JOURNAL, told)
        await self._keep(rules.JOURNAL, status=rules.ACTIVE, told=told)

    async def _make_follower(self, kind: str) -> None:
        if self.found.journal.status == rules.CREATING:
            return
        if self.found.journal.status == rules.FAILED:
            await self._keep(kind, status=rules.FAILED, error="JournalTableNotAvailable")
            return
        if not await self._make(kind, f"{kind.capitalize()}TableAlreadyExists"):
            return
        # What happens from here on is looked at after all is counted.
        await self._furnish(kind, self.table(kind).told)
        await self._keep(kind, status=rules.BACKFILLING)

    async def _make(self, kind: str, is_there: str) -> bool:
        """Make a table in AWS's own table bucket, unless that was done; whether it is there."""
        if self.table(kind).arn:
            return True
        bucket = {"tableBucketARN": self.found.table_bucket}
        await self._unless_there("create_table_bucket", {"name": rules.MANAGED_BUCKET})
        await self._unless_there(
            "create_namespace", {**bucket, "namespace": [self.found.namespace]}
        )
        home = self.home(kind)
        encryption = self.table(kind).encryption
        asked = {**home.asked, "format": "ICEBERG"}
        if encryption is not None:
            asked["encryptionConfiguration"] = encryption  # type: ignore[assignment]
        if not await self._unless_there("create_table", asked):
            # One without metadata was made here, just before a crash.
            there = await self.as_s3.call("s3tables", "get_table_metadata_location", home.asked)
            if "metadataLocation" in there:
                await self._keep(kind, status=rules.FAILED, error=is_there)
                return False
        made = await self.as_s3.call("s3tables", "get_table", home.asked)
        await self._keep(kind, arn=made["tableARN"])
        return True

    async def _unless_there(self, method: str, req: dict[str, Any]) -> bool:
        """Make something; False where there is one already."""
        try:
            await self.as_s3.call("s3tables", method, req)
        except AwsError as error:
            if error.code != "ConflictException":
                raise
            return False
        return True

    async def _furnish(self, kind: str, told: int) -> None:
        properties = {rules.OWNER: self.found.id, rules.POSITION: str(told)}
        schema = rules.schema_of(kind)
        await tables.furnish(self.as_s3, self.home(kind), schema, properties)

    # Filling them.

    async def _entries(self, after: int, limit: int) -> list[tuple[int, Entry]]:
        found = await self.ctx.read().raw.log(log_of(self.bucket.id), after, limit=limit)
        return [(position, decode(raw)) for position, raw in found]

    async def _position(self, kind: str) -> int:
        """Up to where a table tells: its own metadata knows, unless its owner has changed that."""
        told = str(self.table(kind).told)
        return await tables.work(
            self.as_s3,
            self.home(kind),
            lambda one: int(one.properties.get(rules.POSITION, told)),
        )

    async def _journal(self) -> None:
        told = self.found.journal.told
        if await self._entries(told, 1):
            told = await self._position(rules.JOURNAL)
            while entries := await self._entries(told, TABLE_ROWS_A_COMMIT):
                rows = [
                    rules.journal_row(self.bucket, one, at)
                    for at, one in entries
                    if one.type != ANNOTATED
                ]
                told = entries[-1][0]
                await self.change(rules.JOURNAL, Change({rules.POSITION: str(told)}, rows))
            await self._keep(rules.JOURNAL, told=told)
        await self._expire()

    async def change(self, kind: str, wanted: Change) -> None:
        """Change a table, in one commit."""
        await tables.work(self.as_s3, self.home(kind), lambda one: tables.change(one, wanted))

    async def _expire(self) -> None:
        """Once a day, let records go that are older than they are to be."""
        days, now = self.found.expiration_days, self.ctx.clock.now()
        last = self.found.expired_at or self.found.created_at
        if days is None or now - last < _DAY:
            return
        if days * _DAY < now - self.found.created_at:
            moment = (now - days * _DAY).replace(tzinfo=None).isoformat()
            await tables.work(
                self.as_s3,
                self.home(rules.JOURNAL),
                lambda one: tables.forget_before(one, moment),
            )
        await self._note(expired_at=now)

    async def _backfill(self) -> None:
        """Tell of all that lies in the bucket, from where a crash has stopped it."""
        home = self.home(rules.INVENTORY)
        at = await tables.work(self.as_s3, home, lambda one: one.properties.get(rules.PLACE))
        place = Place(*json.loads(at)) if at else None
        rows: list[dict[str, Any]] = []
        since = self.table(rules.INVENTORY).told

        async def tell(last: Place) -> None:
            told = {rules.PLACE: json.dumps(last)}
            await self.change(rules.INVENTORY, Change(told, list(rows)))
            rows.clear()

        async for page in census(self.ctx, self.bucket, versions=True, after=place):
            for seen in page:
                number = rules.sequence_number(since, seen.version)
                rows.append(rules.inventory_row(self.bucket, seen.version, number))
            if len(rows) >= TABLE_ROWS_A_COMMIT:
                await tell(page[-1].place)
            place = page[-1].place
        if rows and place is not None:
            await tell(place)

    async def _fill(self, kind: str, backfill: Callable[[], Awaitable[None]]) -> None:
        await backfill()
        await self._keep(kind, status=rules.ACTIVE, refreshed_at=self.ctx.clock.now())

    async def _refresh(self, kind: str, look_again: LookAgain) -> None:
        """Look anew at the keys to which something has happened."""
        now, last = self.ctx.clock.now(), self.table(kind).refreshed_at
        told = self.table(kind).told
        if last is not None and now - last < INVENTORY_EVERY:
            return
        if await self._entries(told, 1):
            told = await self._position(kind)
            while entries := await self._entries(told, INVENTORY_KEYS_A_COMMIT):
                await look_again(entries)
                told = entries[-1][0]
        await self._keep(kind, told=told, refreshed_at=now)

    async def numbers(
        self, kind: str, keys: list[str], entries: list[tuple[int, Entry]]
    ) -> Callable[[Version], str]:
        """The number of a version's rows: of the last that has happened to it."""
        home = self.home(kind)
        known = await tables.work(self.as_s3, home, lambda one: tables.numbers(one, keys))
        known |= {
            rules.version_key(one.version): rules.sequence_number(at, one.version)
            for at, one in entries
        }
        since = self.found.since
        return lambda version: (
            known.get(rules.version_key(version)) or rules.sequence_number(since, version)
        )

    async def _look_again(self, entries: list[tuple[int, Entry]]) -> None:
        keys = sorted({one.version.key for _, one in entries})
        number = await self.numbers(rules.INVENTORY, keys, entries)
        rows = [
            rules.inventory_row(self.bucket, version, number(version))
            for key in keys
            for version in await self.versions(key)
        ]
        told = {rules.POSITION: str(entries[-1][0])}
        await self.change(rules.INVENTORY, Change(told, rows, keys))

    async def versions(self, key: str) -> list[Version]:
        """All versions of a key, as they are now."""
        reader = self.ctx.read()
        current = await reader.get(Current, self.bucket.id, key)
        found: list[Version] = [] if current is None else [current]
        olders = every(reader, Older, (self.bucket.id, key), step=_VERSIONS_A_READ)
        return found + [older async for older in olders]


def _code_of(error: AwsError, *, is_made: bool) -> str | None:
    """S3's code for a table that is not to be had; None where it may be, another time."""
    if error.status >= 500:
        return None
    if error.status == 404:
        return "DestinationTableNotFound"
    if error.status != 403 and not error.code.startswith("KMS."):
        return "ServerInternalError"
    return "AccessDeniedWritingToTable" if is_made else "AccessDeniedCreatingResources"
