"""Exports to S3: a table as of a moment, or what became of its items between two."""

from __future__ import annotations

import hashlib
import zlib
from base64 import b64encode
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from doppio.kernel import forward
from doppio.kernel.context import Context, Reader, Tx, row_key
from doppio.kernel.jobs import Job
from doppio.kernel.paging import BadToken, page_token, token_key
from doppio.services.dynamodb import limits
from doppio.services.dynamodb.access import encode_item, find_table
from doppio.services.dynamodb.backups import named_table, release
from doppio.services.dynamodb.errors import (
    ExportConflictException,
    ExportNotFoundException,
    IdempotentParameterMismatchException,
    InvalidExportTimeException,
    PointInTimeRecoveryUnavailableException,
    ValidationException,
)
from doppio.services.dynamodb.export_files import (
    EXTENSIONS,
    changed_line,
    files_manifest,
    full_line,
    summary_manifest,
)
from doppio.services.dynamodb.past import Changed, as_of, changes, earliest, holding
from doppio.services.dynamodb.records import Export, Table
from doppio.services.dynamodb.sealing import admit_work, decode_item
from doppio.services.dynamodb.transactions import known_answer, remember
from doppio.services.dynamodb.values import Item, size_of
from doppio.wire.errors import AwsError, NotImplementedByDoppio

if TYPE_CHECKING:
    from doppio._stubs import dynamodb as w

EXPORT = "dynamodb.export"
_GZIP = 31
_FULL, _INCREMENTAL = "FULL_EXPORT", "INCREMENTAL_EXPORT"


class Exports:
    """The operations on exports."""

    async def export_table_to_point_in_time(
        self, ctx: Context, req: w.ExportTableToPointInTimeInput
    ) -> w.ExportTableToPointInTimeOutput:
        """Write a table's items, or their changes, to a bucket, as who asks for it."""
        if "FilterSpecification" in req:
            raise NotImplementedByDoppio(
                "dynamodb: filtered exports (FilterSpecification) exist in AWS and not yet in this "
                "cloud"
            )
        token = f"\0export\0{req['ClientToken']}" if "ClientToken" in req else ""
        given = {name: value for name, value in req.items() if name != "FilterSpecification"}
        digest = hashlib.sha256(encode_item(given)).hexdigest()
        async with ctx.write() as tx:
            if token:
                known = await _known(ctx, tx, token, digest)
                if known is not None:
                    return {"ExportDescription": _description(known)}  # type: ignore[typeddict-item]
            table = await named_table(tx, ctx, req["TableArn"])
            export = _export(ctx, table, given)
            tx.put(holding(table, export.id, export.since or export.until))
            tx.put(export)
            await tx.schedule(ctx.now, EXPORT, export.arn)
            if token:
                answer = {"arn": export.arn}
                await remember(ctx, tx, token, digest, answer, life=limits.CLIENT_TOKEN_LIFE)
        return {"ExportDescription": _description(export)}  # type: ignore[typeddict-item]

    async def describe_export(
        self, ctx: Context, req: w.DescribeExportInput
    ) -> w.DescribeExportOutput:
        """An export, and how far it is."""
        export = await _existing(ctx.read(), req["ExportArn"])
        return {"ExportDescription": _description(export)}  # type: ignore[typeddict-item]

    async def list_exports(self, ctx: Context, req: w.ListExportsInput) -> w.ListExportsOutput:
        """Exports of the last 90 days, the newest of each table first."""
        most = req.get("MaxResults", limits.EXPORTS_A_PAGE)
        scope = f"exports/{ctx.account}/{ctx.region}/{req.get('TableArn', '')}"
        after = None
        if "NextToken" in req:
            try:
                after = token_key(req["NextToken"], scope)
            except BadToken as error:
                raise ValidationException("Invalid NextToken") from error
        prefix: tuple[str, ...] = (ctx.account, ctx.region)
        if "TableArn" in req:
            _, _, _, region, account, name = req["TableArn"].split(":", 5)
            prefix = (account, region, name.rpartition("/")[2])
        rows = await ctx.read().list(Export, prefix, after=after, limit=most + 1, reverse=True)
        shown: dict[str, Any] = {
            "ExportSummaries": [
                {"ExportArn": one.arn, "ExportStatus": one.status, "ExportType": _type(one)}
                for one in rows[:most]
            ]
        }
        if len(rows) > most:
            shown["NextToken"] = page_token(row_key(rows[most - 1]), scope)
        return shown  # type: ignore[return-value]


async def _known(ctx: Context, tx: Tx, token: str, digest: str) -> Export | None:
    """The export that this token has asked for already."""
    try:
        known = await known_answer(ctx, tx, token, digest)
    except IdempotentParameterMismatchException as error:
        raise ExportConflictException(
            "The client token was used for an export with other parameters"
        ) from error
    return None if known is None else await _existing(tx, known["arn"])


def _export(ctx: Context, table: Table, given: Mapping[str, Any]) -> Export:
    """A new export. Raises where the table does not remember what is asked for."""
    if table.recovery is None or table.status in ("CREATING", "DELETING"):
        raise PointInTimeRecoveryUnavailableException(
            f"Point in time recovery is not enabled for table '{table.name}'"
        )
    window = earliest(table.recovery, ctx.now), ctx.now
    since, until, view = None, given.get("ExportTime", ctx.now), None
    incremental = given.get("ExportType", _FULL) == _INCREMENTAL
    if incremental != ("IncrementalExportSpecification" in given):
        raise ValidationException(
            "IncrementalExportSpecification must be specified for INCREMENTAL_EXPORT, and for it "
            "alone"
        )
    if incremental:
        wish = given["IncrementalExportSpecification"]
        since, until = wish.get("ExportFromTime"), wish.get("ExportToTime", ctx.now)
        view = wish.get("ExportViewType", "NEW_AND_OLD_IMAGES")
        if since is None or "ExportTime" in given:
            raise ValidationException("Incremental exports take ExportFromTime and no ExportTime")
        if not limits.INCREMENT_MIN <= until - since <= limits.INCREMENT_MAX:
            raise ValidationException(
                "The period of an incremental export must be at least 15 minutes and at most 24 "
                "hours"
            )
    for moment in (since, until):
        if moment is not None and not window[0] <= moment <= window[1]:
            raise InvalidExportTimeException(
                "The specified export time is outside of the point in time recovery window"
            )
    number = int(ctx.now.timestamp() * 1_000)
    return Export(
        account=table.account, region=table.region, table=table.name, table_id=table.id,
        id=f"{number:014d}-{ctx.new_id()[:8]}", given=dict(given), started_at=ctx.now,
        until=until, since=since, view=view,
        format=given.get("ExportFormat", "DYNAMODB_JSON"),
        caller=forward.keep(ctx.caller, "dynamodb"), key=table.key,
    )  # fmt: skip


async def _existing(reader: Reader, arn: str) -> Export:
    parts = arn.split(":", 5)
    path = parts[5].split("/") if len(parts) == 6 else []
    if len(path) != 4 or path[2] != "export":
        raise ValidationException(f"Invalid export ARN: {arn}")
    export = await reader.get(Export, parts[4], parts[3], path[1], path[3])
    if export is None or export.arn != arn:
        raise ExportNotFoundException(f"Export not found: {arn}")
    return export


def _type(export: Export) -> str:
    return _FULL if export.since is None else _INCREMENTAL


def _description(export: Export) -> dict[str, Any]:
    given = export.given
    shown: dict[str, Any] = {
        "ExportArn": export.arn,
        "ExportStatus": export.status,
        "StartTime": export.started_at,
        "TableArn": export.table_arn,
        "TableId": export.table_id,
        "S3SseAlgorithm": "AES256",
        **{name: given[name] for name in _SHOWN if name in given},
        "ExportFormat": export.format,
        "ExportType": _type(export),
    }
    if export.since is None:
        shown["ExportTime"] = export.until
    else:
        shown["IncrementalExportSpecification"] = {
            "ExportFromTime": export.since, "ExportToTime": export.until,
            "ExportViewType": export.view,
        }  # fmt: skip
    if export.status == "COMPLETED":
        shown |= {
            "ExportManifest": f"{_home(export)}/manifest-summary.json",
            "BilledSizeBytes": export.size,
            "ItemCount": export.items,
        }
    if export.failure is not None:
        shown["FailureCode"], shown["FailureMessage"] = export.failure
    if export.ended_at is not None:
        shown["EndTime"] = export.ended_at
    return shown


_SHOWN = ("ClientToken", "S3Bucket", "S3BucketOwner", "S3Prefix", "S3SseAlgorithm", "S3SseKmsKeyId")


def _home(export: Export) -> str:
    """Where an export's manifests lie in its bucket."""
    prefix = str(export.given.get("S3Prefix", "")).rstrip("/")
    return f"{prefix}/AWSDynamoDB/{export.id}" if prefix else f"AWSDynamoDB/{export.id}"


async def export(ctx: Context, job: Job) -> None:
    """Write an export, from its beginning or from behind its last file; forget an old one."""
    try:
        found = await _existing(ctx.read(), job.key)
    except ExportNotFoundException:
        return
    failure = None
    if found.status != "IN_PROGRESS":
        await ctx.transact(lambda tx: _forget(tx, job.key))
        return
    try:
        source = await find_table(ctx.read(), ctx, found.table_arn)
        assert source is not None, "a held table is not deleted"
        await admit_work(ctx, source)
        found = await _Writer(ctx, found).write()
    except AwsError as error:
        if error.status >= 500 and error.status != 501:
            raise
        failure = (f"S3{error.code.removesuffix('Exception')}", error.message)

    async def finish(tx: Tx) -> None:
        now = ctx.clock.now()
        status = "COMPLETED" if failure is None else "FAILED"
        tx.put(replace(found, status=status, failure=failure, ended_at=now, caller={}))
        table = await find_table(tx, ctx, found.table_arn)
        assert table is not None, "a held table is not deleted"
        await release(tx, table, found.id)
        await tx.schedule(found.started_at + limits.EXPORT_LIFE, EXPORT, job.key)

    await ctx.transact(finish)


async def _forget(tx: Tx, arn: str) -> None:
    try:
        tx.delete(await _existing(tx, arn))
    except ExportNotFoundException:
        return


class _Writer:
    """One export on its way: it writes a file whenever one is full, and then remembers how far."""

    def __init__(self, ctx: Context, export: Export) -> None:
        self._ctx = ctx
        self._export = export
        self._as_caller = forward.again(ctx, export.caller)
        self._begin()

    def _begin(self) -> None:
        self._gzip = zlib.compressobj(wbits=_GZIP)
        self._held = bytearray()
        self._items = self._size = 0

    async def write(self) -> Export:
        """Write all, and give the export with its counts."""
        home = _home(self._export)
        await self._put(f"{home}/_started", b"")
        after: bytes | None = self._export.after
        while after is not None:
            after = await self._page(after)
            if len(self._held) >= limits.EXPORT_FILE_BYTES or after is None:
                await self._file(after)
        files = files_manifest(self._export.files)
        await self._with_sum(f"{home}/manifest-files", files)
        summary = summary_manifest(
            self._export, self._ctx.clock.now(), f"{home}/manifest-files.json"
        )
        await self._with_sum(f"{home}/manifest-summary", summary)
        return self._export

    async def _page(self, after: bytes) -> bytes | None:
        """Compress a page of the table; where the next one begins."""
        export, reader = self._export, self._ctx.read()
        if export.since is None:
            page = await as_of(
                reader, export.table_id, export.until, after, limits.ROWS_EXPORTED_A_READ
            )
            for _, raw in page.rows:
                item: Item = decode_item(raw)
                self._line(full_line(export.format, item), size_of(item))
            return page.after
        found = await changes(
            reader, export.table_id, export.since, export.until, after,
            limits.ROWS_EXPORTED_A_READ,
        )  # fmt: skip
        for one in found.changed:
            self._change(one)
        return found.after

    def _change(self, one: Changed) -> None:
        old = decode_item(one.old) if one.old else None
        new = decode_item(one.new) if one.new else None
        item = new or old or (decode_item(one.between) if one.between else None)
        if item is None:
            return
        keys = {part.name: item[part.name] for part in self._export.key}
        size = sum(size_of(image) for image in (old, new) if image is not None)
        shown = old if self._export.view == "NEW_AND_OLD_IMAGES" else None
        self._line(changed_line(self._export.format, keys, shown, new, one.micros), size)

    def _line(self, line: bytes, size: int) -> None:
        self._held += self._gzip.compress(line)
        self._items += 1
        self._size += size

    async def _file(self, after: bytes | None) -> None:
        """Put a file, and remember it; the same name at every try."""
        export = self._export
        content = bytes(self._held + self._gzip.flush())
        digest = hashlib.sha256(f"{export.arn}/{len(export.files)}".encode()).hexdigest()
        home = _home(export)
        folder = home if export.since is None else home.rpartition("/")[0]
        key = f"{folder}/data/{digest[:26]}.{EXTENSIONS[export.format]}"
        etag = await self._put(key, content)
        file = {"key": key, "items": self._items, "md5": _md5(content), "etag": etag}
        self._export = replace(
            export,
            files=[*export.files, file],
            items=export.items + self._items,
            size=export.size + self._size,
            after=b"" if after is None else after,
        )
        if after is not None:
            async with self._ctx.write() as tx:
                tx.put(self._export)
        self._begin()

    async def _with_sum(self, name: str, content: bytes) -> None:
        await self._put(f"{name}.json", content)
        await self._put(f"{name}.md5", _md5(content).encode())

    async def _put(self, key: str, content: bytes) -> str:
        given = self._export.given
        req: dict[str, Any] = {"Bucket": given["S3Bucket"], "Key": key, "Body": content}
        if "S3BucketOwner" in given:
            req["ExpectedBucketOwner"] = given["S3BucketOwner"]
        if given.get("S3SseAlgorithm") == "KMS":
            req["ServerSideEncryption"] = "aws:kms"
            if "S3SseKmsKeyId" in given:
                req["SSEKMSKeyId"] = given["S3SseKmsKeyId"]
        elif "S3SseAlgorithm" in given:
            req["ServerSideEncryption"] = "AES256"
        found: dict[str, Any] = await self._as_caller.call("s3", "put_object", req)
        return str(found["ETag"]).strip('"')


def _md5(content: bytes) -> str:
    return b64encode(hashlib.md5(content, usedforsecurity=False).digest()).decode()
