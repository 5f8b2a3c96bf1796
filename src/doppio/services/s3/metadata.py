"""S3 Metadata's configurations: which buckets have a journal and an inventory as Iceberg tables.

Those of today (V2) have their tables in a table bucket of AWS's own, `aws-s3`, which S3 makes and
writes. Those of before (V1) have a journal alone, in a table bucket of the customer's: that table is
made as whoever asks for it, and its policy lets S3 in. Tables outlive their configuration.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast

from msgspec.structs import replace

from doppio.kernel.context import Context, Reader, Tx
from doppio.services.s3 import metadata_rules as rules
from doppio.services.s3.errors import (
    InvalidRequest,
    MetadataConfigurationAlreadyExists,
    MetadataConfigurationNotFound,
    MethodNotAllowed,
)
from doppio.services.s3.lookup import existing_bucket
from doppio.services.s3.metadata_records import KIND, Metadata, TableState, log_of
from doppio.services.s3.metadata_work import RUN
from doppio.services.s3.records import Bucket
from doppio.services.s3.settings import drop_setting, put_setting
from doppio.wire.errors import AwsError

if TYPE_CHECKING:
    from doppio._stubs import s3 as w

_CREATING = "AccessDeniedCreatingResources"
_TABLE_ACTIONS = ("CreateNamespace", "GetTable", "CreateTable", "PutTablePolicy")


class MetadataTables:
    """A bucket's metadata configuration."""

    async def create_bucket_metadata_configuration(
        self, ctx: Context, req: w.CreateBucketMetadataConfigurationRequest
    ) -> None:
        """Begin to tell of a bucket's objects in tables of AWS's own table bucket."""
        asked = req["MetadataConfiguration"]
        journal, inventory = (
            asked["JournalTableConfiguration"],
            asked.get("InventoryTableConfiguration"),
        )
        days = rules.expiration_of(journal["RecordExpiration"])
        wanted = {rules.JOURNAL: rules.encryption_of(journal)}
        if rules.is_enabled(inventory):
            wanted[rules.INVENTORY] = rules.encryption_of(inventory)
        annotation = asked.get("AnnotationTableConfiguration")
        role = rules.role_of(annotation)
        if rules.is_enabled(annotation):
            wanted[rules.ANNOTATION] = rules.encryption_of(annotation)
        _check_library()
        bucket = await existing_bucket(ctx.read(), req)
        await _pass(ctx, role)
        error = await _refusal(ctx, bucket, list(wanted.values()))
        tables = {name: _new(name, one, error) for name, one in wanted.items()}

        async def begin(tx: Tx) -> None:
            bucket = await _without(tx, req)
            since = await tx.raw.log_end(log_of(bucket.id))
            made = {name: replace(one, told=since) for name, one in tables.items()}
            _begin(
                tx,
                bucket,
                Metadata(
                    bucket=bucket.id,
                    id=ctx.new_id(),
                    version=2,
                    table_bucket=_managed(bucket),
                    namespace=rules.namespace_of(bucket.name),
                    created_at=ctx.now,
                    since=since,
                    journal=made[rules.JOURNAL],
                    inventory=made.get(rules.INVENTORY),
                    annotation=made.get(rules.ANNOTATION),
                    expiration_days=days,
                    role=role,
                ),
            )
            await tx.schedule(ctx.now, RUN, bucket.id)

        await ctx.transact(begin)

    async def get_bucket_metadata_configuration(
        self, ctx: Context, req: w.GetBucketMetadataConfigurationRequest
    ) -> w.GetBucketMetadataConfigurationOutput:
        """A configuration of either version, and how far its tables are."""
        _, found = await _existing(ctx.read(), req)
        shown = cast("Any", {"MetadataConfigurationResult": rules.shown(found)})
        return {"GetBucketMetadataConfigurationResult": shown}

    async def delete_bucket_metadata_configuration(
        self, ctx: Context, req: w.DeleteBucketMetadataConfigurationRequest
    ) -> None:
        """Tell of a bucket's objects no more; the tables stay as they are."""
        async with ctx.write() as tx:
            bucket, found = await _existing(tx, req)
            await _end(tx, bucket, found)

    async def update_bucket_metadata_journal_table_configuration(
        self, ctx: Context, req: w.UpdateBucketMetadataJournalTableConfigurationRequest
    ) -> None:
        """Say how long records of the journal stay."""
        days = rules.expiration_of(req["JournalTableConfiguration"]["RecordExpiration"])
        async with ctx.write() as tx:
            _, found = await _existing(tx, req, version=2)
            tx.put(replace(found, expiration_days=days, expired_at=None))

    async def update_bucket_metadata_inventory_table_configuration(
        self, ctx: Context, req: w.UpdateBucketMetadataInventoryTableConfigurationRequest
    ) -> None:
        """Begin an inventory, or end it; the table that there was stays."""
        asked = req["InventoryTableConfiguration"]
        await _turn(ctx, req, rules.INVENTORY, asked)

    async def update_bucket_metadata_annotation_table_configuration(
        self, ctx: Context, req: w.UpdateBucketMetadataAnnotationTableConfigurationRequest
    ) -> None:
        """Begin a table of annotations, or end it; or read annotations as another role."""
        asked = req["AnnotationTableConfiguration"]
        _, found = await _existing(ctx.read(), req, version=2)
        role = rules.role_of(asked, found.role)
        await _pass(ctx, str(asked.get("Role", "")))
        await _turn(ctx, req, rules.ANNOTATION, asked, role=role)

    async def create_bucket_metadata_table_configuration(
        self, ctx: Context, req: w.CreateBucketMetadataTableConfigurationRequest
    ) -> None:
        """Begin to tell of what happens in a table of the customer's table bucket."""
        destination = req["MetadataTableConfiguration"]["S3TablesDestination"]
        _check_library()

        async def begin(tx: Tx) -> tuple[Bucket, Metadata]:
            bucket = await _without(tx, req)
            _check_destination(bucket, destination["TableBucketArn"])
            since = await tx.raw.log_end(log_of(bucket.id))
            found = Metadata(
                bucket=bucket.id,
                id=ctx.new_id(),
                version=1,
                table_bucket=destination["TableBucketArn"],
                namespace=rules.V1_NAMESPACE,
                created_at=ctx.now,
                since=since,
                journal=TableState(
                    name=destination["TableName"], status=rules.CREATING, told=since
                ),
            )
            _begin(tx, bucket, found)
            await tx.schedule(ctx.now, RUN, bucket.id)
            return bucket, found

        bucket, found = await ctx.transact(begin)
        made = await _make(ctx, bucket, found)

        async def keep(tx: Tx) -> None:
            now = await tx.get(Metadata, bucket.id)
            if now is not None and now.id == found.id:
                tx.put(replace(now, journal=made))
                await tx.schedule(ctx.now, RUN, bucket.id)

        await ctx.transact(keep)

    async def get_bucket_metadata_table_configuration(
        self, ctx: Context, req: w.GetBucketMetadataTableConfigurationRequest
    ) -> w.GetBucketMetadataTableConfigurationOutput:
        """A configuration of V1, and how far its table is."""
        _, found = await _existing(ctx.read(), req, version=1)
        journal = found.journal
        destination = {
            "TableBucketArn": found.table_bucket,
            "TableName": journal.name,
            "TableArn": journal.arn,
            "TableNamespace": found.namespace,
        }
        shown: dict[str, Any] = {
            "MetadataTableConfigurationResult": {"S3TablesDestinationResult": destination},
            "Status": journal.status,
        }
        if journal.error:
            shown["Error"] = rules.error_of(journal, 1)
        return {"GetBucketMetadataTableConfigurationResult": cast("Any", shown)}

    async def delete_bucket_metadata_table_configuration(
        self, ctx: Context, req: w.DeleteBucketMetadataTableConfigurationRequest
    ) -> None:
        """Tell of what happens no more; the table stays as it is."""
        async with ctx.write() as tx:
            bucket, found = await _existing(tx, req, version=1)
            await _end(tx, bucket, found)


async def forget(tx: Tx, bucket: Bucket) -> None:
    """A bucket goes, and its configuration with it."""
    if KIND in bucket.kinds:
        found = await tx.get(Metadata, bucket.id)
        if found is not None:
            tx.delete(found)
            await tx.schedule(tx.context.now, RUN, bucket.id)


async def _turn(
    ctx: Context, req: Mapping[str, Any], kind: str, asked: Mapping[str, Any], **more: Any
) -> None:
    """Turn a table on or off that follows what lies in a bucket."""
    encryption, wanted, error = rules.encryption_of(asked), rules.is_enabled(asked), ""
    if wanted:
        bucket = await existing_bucket(ctx.read(), req)
        error = await _refusal(ctx, bucket, [encryption])
    async with ctx.write() as tx:
        bucket, found = await _existing(tx, req, version=2)
        there: TableState | None = getattr(found, kind)
        found = replace(found, **more)
        if wanted and (there is None or not there.enabled):
            told = await tx.raw.log_end(log_of(bucket.id))
            made = replace(_new(kind, encryption, error), told=told)
            found = replace(found, **{kind: made})
            await tx.schedule(ctx.now, RUN, bucket.id)
        elif not wanted and there is not None:
            found = replace(found, **{kind: replace(there, enabled=False)})
        tx.put(found)


async def _pass(ctx: Context, role: str) -> None:
    """Raise AccessDenied unless the caller may give S3 a role."""
    if role:
        passed = {"iam:passedtoservice": f"{rules.PRINCIPAL}.amazonaws.com"}
        await ctx.authorise("iam:PassRole", role, passed)


def _check_library() -> None:
    from doppio.services.s3tables import ports

    ports.check_library()


def _managed(bucket: Bucket) -> str:
    place = f"arn:{bucket.partition}:s3tables:{bucket.region}:{bucket.account}"
    return f"{place}:bucket/{rules.MANAGED_BUCKET}"


def _new(name: str, encryption: dict[str, str] | None, error: str) -> TableState:
    """A table that is to be made, or that its maker may not make."""
    status = rules.FAILED if error else rules.CREATING
    return TableState(name=name, status=status, encryption=encryption, error=error)


def _begin(tx: Tx, bucket: Bucket, found: Metadata) -> None:
    tx.put(found)
    put_setting(tx, bucket, KIND, {"Id": found.id})
    tx.meter("Requests-Tier1")


async def _end(tx: Tx, bucket: Bucket, found: Metadata) -> None:
    tx.delete(found)
    await drop_setting(tx, bucket, KIND)
    # What no table has told of goes, too.
    await tx.schedule(tx.context.now, RUN, bucket.id)


async def _existing(
    reader: Reader, req: Mapping[str, Any], version: int = 0
) -> tuple[Bucket, Metadata]:
    """A bucket and its configuration. Raises MetadataConfigurationNotFound, MethodNotAllowed."""
    bucket = await existing_bucket(reader, req)
    found = await reader.get(Metadata, bucket.id) if KIND in bucket.kinds else None
    if found is None:
        raise MetadataConfigurationNotFound(BucketName=bucket.name)
    if version not in (0, found.version):
        raise MethodNotAllowed(Method=reader.context.operation, ResourceType="BUCKET")
    return bucket, found


async def _without(tx: Tx, req: Mapping[str, Any]) -> Bucket:
    """A bucket that has no configuration yet. Raises MetadataConfigurationAlreadyExists."""
    bucket = await existing_bucket(tx, req)
    if await tx.get(Metadata, bucket.id) is not None:
        raise MetadataConfigurationAlreadyExists(BucketName=bucket.name)
    return bucket


def _check_destination(bucket: Bucket, arn: str) -> None:
    parts = arn.split(":")
    if len(parts) != 6 or parts[2] != "s3tables" or not parts[5].startswith("bucket/"):
        raise InvalidRequest("The table bucket ARN is not valid.")
    if (parts[3], parts[4]) != (bucket.region, bucket.account):
        raise InvalidRequest(
            "The destination table bucket must be in the same Region and AWS account as the "
            "general purpose bucket."
        )


async def _refusal(
    ctx: Context, bucket: Bucket, encryptions: Sequence[Mapping[str, str] | None]
) -> str:
    """Why who asks may not have such tables made, as S3 calls it; empty where he may."""
    arn = _managed(bucket)
    needed = [("CreateTableBucket", arn), ("PutTableBucketPolicy", arn)]
    needed += [(action, f"{arn}/table/*") for action in _TABLE_ACTIONS[1:]]
    needed.append((_TABLE_ACTIONS[0], arn))
    keys = [one["kmsKeyArn"] for one in encryptions if one is not None and "kmsKeyArn" in one]
    if any(one is not None for one in encryptions):
        needed.append(("PutTableEncryption", f"{arn}/table/*"))
    try:
        for action, resource in needed:
            # What the bucket's own policy says is S3's to bear: it is S3 that makes the tables.
            await ctx.authorise(f"s3tables:{action}", resource, policy="*")
        for key in keys:
            await ctx.via("s3").call("kms", "describe_key", {"KeyId": key})
    except AwsError as error:
        if error.status >= 500:
            raise
        return _CREATING
    return ""


async def _make(ctx: Context, bucket: Bucket, found: Metadata) -> TableState:
    """Make the table of V1 as whoever asks for it, and let S3 in: what has become of it."""
    caller, table = ctx.via("s3"), found.journal
    home = {"tableBucketARN": found.table_bucket, "namespace": found.namespace, "name": table.name}
    try:
        await caller.call("s3tables", "get_table_bucket", {"tableBucketARN": found.table_bucket})
    except AwsError as error:
        # Who may not look at the bucket may still make tables in it.
        if error.status == 404:
            return replace(table, status=rules.FAILED, error="TableBucketNotFound")
    namespace = {"tableBucketARN": found.table_bucket, "namespace": [found.namespace]}
    code = await _refused(caller.call("s3tables", "create_namespace", namespace))
    if code not in ("", "TableAlreadyExists"):
        return replace(table, status=rules.FAILED, error=code)
    code = await _refused(caller.call("s3tables", "create_table", {**home, "format": "ICEBERG"}))
    if code:
        return replace(table, status=rules.FAILED, error=code)
    try:
        arn = (await caller.call("s3tables", "get_table", home))["tableARN"]
        policy = json.dumps(rules.policy_of(arn, bucket))
        await caller.call("s3tables", "put_table_policy", {**home, "resourcePolicy": policy})
    except AwsError as error:
        if error.status >= 500:
            raise
        return replace(table, status=rules.FAILED, error=_CREATING)
    return replace(table, arn=arn)


async def _refused(call: Awaitable[Any]) -> str:
    """S3's code for why something could not be made; empty where it could."""
    try:
        await call
    except AwsError as error:
        if error.status >= 500:
            raise
        if error.code == "ConflictException":
            return "TableAlreadyExists"
        return "TableBucketNotFound" if error.status == 404 else _CREATING
    return ""
