"""Imports: new tables of the objects of a bucket. A job reads them as who asked for it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import AsyncIterator, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from msgspec.structs import replace

from doppio.kernel import forward
from doppio.kernel.bodies import pieces
from doppio.kernel.context import Context, Reader, Tx, row_key
from doppio.kernel.jobs import Job
from doppio.kernel.paging import BadToken, page_token, token_key
from doppio.kernel.regions import partition_of
from doppio.services.dynamodb import limits
from doppio.services.dynamodb.access import (
    encode_item,
    find_table,
    item_row,
    read_sized,
    write_item,
)
from doppio.services.dynamodb.changes import check_absent
from doppio.services.dynamodb.errors import (
    IdempotentParameterMismatchException,
    ImportConflictException,
    ImportNotFoundException,
    ValidationException,
)
from doppio.services.dynamodb.import_lines import (
    BadObject,
    Items,
    check_compression,
    lines_of,
    unpacked,
)
from doppio.services.dynamodb.item_keys import check_index_types, row_of_item
from doppio.services.dynamodb.records import Import, Table
from doppio.services.dynamodb.sealing import admit_work, made_key
from doppio.services.dynamodb.tables import check_room, shaped
from doppio.services.dynamodb.transactions import known_answer, remember
from doppio.services.dynamodb.upkeep import settled_topic
from doppio.services.dynamodb.values import Item, checked_item, size_of
from doppio.wire.errors import AwsError

if TYPE_CHECKING:
    from doppio._stubs import dynamodb as w

IMPORT = "dynamodb.import"
LOG_GROUP = "/aws-dynamodb/imports"


class Imports:
    """The operations on imports."""

    async def import_table(self, ctx: Context, req: w.ImportTableInput) -> w.ImportTableOutput:
        """Make a table of what lies in a bucket; it is CREATING until all of it is read."""
        wish: Mapping[str, Any] = req["TableCreationParameters"]
        check_absent(wish)
        check_compression(req.get("InputCompressionType", "NONE"))
        if "InputFormatOptions" in req and req["InputFormat"] != "CSV":
            raise ValidationException(
                "InputFormatOptions can only be specified when InputFormat is CSV"
            )
        token = f"\0import\0{req['ClientToken']}" if "ClientToken" in req else ""
        digest = hashlib.sha256(encode_item(dict(req))).hexdigest()
        table = shaped(ctx, wish)
        async with ctx.write() as tx:
            if token:
                known = await _known(ctx, tx, token, digest)
                if known is not None:
                    return {"ImportTableDescription": _description(known)}  # type: ignore[typeddict-item]
            await check_room(tx, ctx, table.name)
            seal = await made_key(ctx, wish.get("SSESpecification", {}), table.name)
            table = replace(table, seal=seal)
            number = int(ctx.now.timestamp() * 1_000)
            made = Import(
                account=ctx.account, region=ctx.region, table=table.name, table_id=table.id,
                id=f"{number:014d}-{ctx.new_id()[:8]}", given=dict(req), started_at=ctx.now,
                caller=forward.keep(ctx.caller, "dynamodb"),
            )  # fmt: skip
            tx.put(table)
            tx.put(made)
            await tx.schedule(ctx.now, IMPORT, made.arn)
            if token:
                answer = {"arn": made.arn}
                await remember(ctx, tx, token, digest, answer, life=limits.CLIENT_TOKEN_LIFE)
        return {"ImportTableDescription": _description(made)}  # type: ignore[typeddict-item]

    async def describe_import(
        self, ctx: Context, req: w.DescribeImportInput
    ) -> w.DescribeImportOutput:
        """An import, and how much it has read."""
        found = await _existing(ctx.read(), req["ImportArn"])
        return {"ImportTableDescription": _description(found)}  # type: ignore[typeddict-item]

    async def list_imports(self, ctx: Context, req: w.ListImportsInput) -> w.ListImportsOutput:
        """Imports of the last 90 days, the newest of each table first."""
        most = req.get("PageSize", limits.EXPORTS_A_PAGE)
        scope = f"imports/{ctx.account}/{ctx.region}/{req.get('TableArn', '')}"
        after = None
        if "NextToken" in req:
            try:
                after = token_key(_from_hex(req["NextToken"]), scope)
            except (BadToken, ValueError) as error:
                raise ValidationException("Invalid NextToken") from error
        prefix: tuple[str, ...] = (ctx.account, ctx.region)
        if "TableArn" in req:
            _, _, _, region, account, name = req["TableArn"].split(":", 5)
            prefix = (account, region, name.rpartition("/")[2])
        rows = await ctx.read().list(Import, prefix, after=after, limit=most + 1, reverse=True)
        shown: dict[str, Any] = {"ImportSummaryList": [_summary(one) for one in rows[:most]]}
        if len(rows) > most:
            shown["NextToken"] = _as_hex(page_token(row_key(rows[most - 1]), scope))
        return shown  # type: ignore[return-value]


def _as_hex(token: str) -> str:
    """A token in the form of AWS's for imports: groups of 16 hexadecimal digits, seven at least."""
    raw = token.encode()
    return raw.ljust(max(56, -(-len(raw) // 8) * 8), b"\0").hex()


def _from_hex(token: str) -> str:
    return bytes.fromhex(token).rstrip(b"\0").decode()


async def _known(ctx: Context, tx: Tx, token: str, digest: str) -> Import | None:
    """The import that this token has asked for already."""
    try:
        known = await known_answer(ctx, tx, token, digest)
    except IdempotentParameterMismatchException as error:
        raise ImportConflictException(
            "The client token was used for an import with other parameters"
        ) from error
    return None if known is None else await _existing(tx, known["arn"])


async def _existing(reader: Reader, arn: str) -> Import:
    parts = arn.split(":", 5)
    path = parts[5].split("/") if len(parts) == 6 else []
    if len(path) != 4 or path[2] != "import":
        raise ValidationException(f"Invalid import ARN: {arn}")
    found = await reader.get(Import, parts[4], parts[3], path[1], path[3])
    if found is None or found.arn != arn:
        raise ImportNotFoundException(f"Import not found: {arn}")
    return found


def _log_group_arn(found: Import) -> str:
    return f"arn:{partition_of(found.region)}:logs:{found.region}:{found.account}:log-group:{LOG_GROUP}:*"


def _summary(found: Import) -> dict[str, Any]:
    shown = {
        "ImportArn": found.arn,
        "ImportStatus": found.status,
        "TableArn": found.table_arn,
        "S3BucketSource": found.given["S3BucketSource"],
        "CloudWatchLogGroupArn": _log_group_arn(found),
        "InputFormat": found.given["InputFormat"],
        "StartTime": found.started_at,
    }
    if found.ended_at is not None:
        shown["EndTime"] = found.ended_at
    return shown


def _description(found: Import) -> dict[str, Any]:
    shown = {
        **_summary(found),
        "TableId": found.table_id,
        "InputCompressionType": found.given.get("InputCompressionType", "NONE"),
        "TableCreationParameters": found.given["TableCreationParameters"],
        "ErrorCount": found.errors,
        "ProcessedSizeBytes": found.size,
        "ProcessedItemCount": found.processed,
        "ImportedItemCount": found.imported,
    }
    for name in ("ClientToken", "InputFormatOptions"):
        if name in found.given:
            shown[name] = found.given[name]
    if found.failure is not None:
        shown["FailureCode"], shown["FailureMessage"] = found.failure
    return shown


async def run(ctx: Context, job: Job) -> None:
    """Read what is to be read, from where it has come; forget an old import."""
    try:
        found = await _existing(ctx.read(), job.key)
    except ImportNotFoundException:
        return
    if found.status != "IN_PROGRESS":
        await ctx.transact(lambda tx: _forget(tx, job.key))
        return
    failure = None
    try:
        target = await find_table(ctx.read(), ctx, found.table_arn)
        if target is not None:
            await admit_work(ctx, target)
        await _Reading(ctx, found).read()
    except BadObject as error:
        failure = ("ItemValidationError", str(error))
    except AwsError as error:
        if error.status >= 500 and error.status != 501:
            raise
        failure = (error.code.removesuffix("Exception"), error.message)

    async def finish(tx: Tx) -> None:
        current = await _existing(tx, job.key)
        status = "COMPLETED" if failure is None else "FAILED"
        tx.put(
            replace(current, status=status, failure=failure, ended_at=ctx.clock.now(), caller={})
        )
        table = await find_table(tx, ctx, current.table_arn)
        if table is not None and table.id == current.table_id and table.status == "CREATING":
            tx.put(replace(table, status="ACTIVE"))
            tx.wake(settled_topic(ctx, table.arn))
        await tx.schedule(current.started_at + limits.EXPORT_LIFE, IMPORT, job.key)

    await ctx.transact(finish)


async def _forget(tx: Tx, arn: str) -> None:
    try:
        tx.delete(await _existing(tx, arn))
    except ImportNotFoundException:
        return


class _Batch(NamedTuple):
    """What one commit takes: items, what is wrong with others, and how far it has come."""

    items: list[Item]
    wrong: list[dict[str, Any]]
    lines: int
    size: int


class _Reading:
    """One import on its way: each commit holds its items, its counts, and how far it has come."""

    def __init__(self, ctx: Context, found: Import) -> None:
        self._ctx = ctx
        self._import = found
        self._as_caller = forward.again(ctx, found.caller)
        self._source: Mapping[str, Any] = found.given["S3BucketSource"]
        self._stream = f"{found.id}-error"

    async def read(self) -> None:
        """Read all objects, in the order of their keys."""
        await self._logs("create_log_group")
        table = await find_table(self._ctx.read(), self._ctx, self._import.table_arn)
        assert table is not None, "a table that is CREATING is not deleted"
        async for key in self._keys():
            await self._object(key, table)

    async def _keys(self) -> AsyncIterator[str]:
        req = {**self._where(), "Prefix": self._source.get("S3KeyPrefix", "")}
        req["StartAfter"] = self._import.done
        while True:
            page = await self._as_caller.call("s3", "list_objects_v2", req)
            for one in page.get("Contents", ()):
                if not one["Key"].endswith("/"):
                    yield one["Key"]
            if not page.get("IsTruncated"):
                return
            req["ContinuationToken"] = page["NextContinuationToken"]

    def _where(self) -> dict[str, Any]:
        where = {"Bucket": self._source["S3Bucket"]}
        if "S3BucketOwner" in self._source:
            where["ExpectedBucketOwner"] = self._source["S3BucketOwner"]
        return where

    async def _object(self, key: str, table: Table) -> None:
        """One object, from behind the lines that are done, in batches."""
        got = await self._as_caller.call("s3", "get_object", {**self._where(), "Key": key})
        kind = self._import.given.get("InputCompressionType", "NONE")
        reading = Items(self._import.given, table.attributes)
        done = self._import.lines
        number = size = 0
        items: list[Item] = []
        wrong: list[dict[str, Any]] = []
        async for line in lines_of(unpacked(pieces(got["Body"]), kind)):
            number += 1
            if number <= done:
                reading.again(line)
                continue
            size += len(line) + 1
            try:
                found = reading.of(line)
                for item in found:
                    _check(table, item)
                items += found
            except ValidationException as error:
                wrong.append(self._told(key, number, error))
            full = size >= limits.COPIED_BYTES_MAX or len(items) >= limits.ROWS_A_READ
            if (full and not reading.held) or len(wrong) >= limits.ROWS_A_READ:
                await self._commit(_Batch(items, wrong, number, size))
                items, wrong, size = [], [], 0
        try:
            reading.end()
        except ValidationException as error:
            wrong.append(self._told(key, number, error))
        await self._commit(_Batch(items, wrong, 0, size), done=key)

    def _told(self, key: str, number: int, error: ValidationException) -> dict[str, Any]:
        """What the log says of a line that is no item."""
        return {
            "itemS3Pointer": {
                "bucket": self._source["S3Bucket"], "key": key, "itemIndex": number - 1,
            },
            "importArn": self._import.arn,
            "errorMessages": [error.message],
        }  # fmt: skip

    async def _commit(self, batch: _Batch, done: str | None = None) -> None:
        if batch.wrong:
            await self._log(batch.wrong)

        async def put(tx: Tx) -> Import:
            current = await _existing(tx, self._import.arn)
            table = await find_table(tx, self._ctx, current.table_arn)
            assert table is not None, "a table that is CREATING is not deleted"
            for item in batch.items:
                row = item_row(table, item)
                was, old = await read_sized(tx, row)
                await write_item(tx, table, row, old, item, was, size_of(item))
            return tx.put(
                replace(
                    current,
                    done=current.done if done is None else done,
                    lines=batch.lines,
                    errors=current.errors + len(batch.wrong),
                    imported=current.imported + len(batch.items),
                    processed=current.processed + len(batch.items) + len(batch.wrong),
                    size=current.size + batch.size,
                )
            )

        self._import = await self._ctx.transact(put)

    async def _log(self, wrong: list[dict[str, Any]]) -> None:
        """Say in the import's log what was wrong; after a crash, perhaps twice."""
        await self._logs("create_log_stream", logStreamName=self._stream)
        now = int(self._ctx.clock.now().timestamp() * 1_000)
        events = [{"timestamp": now, "message": json.dumps(one)} for one in wrong]
        await self._logs("put_log_events", logStreamName=self._stream, logEvents=events)

    async def _logs(self, method: str, **req: Any) -> None:
        try:
            await self._as_caller.call("logs", method, {"logGroupName": LOG_GROUP, **req})
        except AwsError as error:
            if error.code != "ResourceAlreadyExistsException":
                raise


def _check(table: Table, item: Item) -> None:
    """Raise ValidationException for an item that cannot be in the table."""
    checked_item(item)
    row_of_item(table, item)
    check_index_types(table, item)
