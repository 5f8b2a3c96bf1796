"""Encryption and storage class: of a bucket as the default of new tables, of a table as it is made."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, cast

from msgspec.structs import replace

from doppio.kernel.context import Context
from doppio.services.s3tables.errors import BadRequest
from doppio.services.s3tables.lookup import bucket_of, table_of
from doppio.services.s3tables.records import Table, TableBucket

if TYPE_CHECKING:
    from doppio._stubs import s3tables as w

KMS, AES256, STANDARD = "aws:kms", "AES256", "STANDARD"
_DEFAULT = {"sseAlgorithm": AES256}


class Settings:
    """The operations on encryption and storage classes."""

    async def put_table_bucket_encryption(
        self, ctx: Context, req: w.PutTableBucketEncryptionRequest
    ) -> None:
        """Say how new tables are encrypted; those that are there stay as they are."""
        encryption = checked_encryption(req["encryptionConfiguration"])
        async with ctx.write() as tx:
            bucket = await bucket_of(tx, req["tableBucketARN"])
            tx.put(replace(bucket, encryption=encryption))

    async def get_table_bucket_encryption(
        self, ctx: Context, req: w.GetTableBucketEncryptionRequest
    ) -> w.GetTableBucketEncryptionResponse:
        """How new tables of a bucket are encrypted."""
        bucket = await bucket_of(ctx.read(), req["tableBucketARN"])
        shown = cast("w.EncryptionConfiguration", bucket.encryption or _DEFAULT)
        return {"encryptionConfiguration": shown}

    async def delete_table_bucket_encryption(
        self, ctx: Context, req: w.DeleteTableBucketEncryptionRequest
    ) -> None:
        """Go back to the encryption that every bucket begins with."""
        async with ctx.write() as tx:
            bucket = await bucket_of(tx, req["tableBucketARN"])
            tx.put(replace(bucket, encryption=None))

    async def get_table_encryption(
        self, ctx: Context, req: w.GetTableEncryptionRequest
    ) -> w.GetTableEncryptionResponse:
        """How a table's files are encrypted, since it was made."""
        _, table = await table_of(ctx.read(), req)
        shown = cast("w.EncryptionConfiguration", table.encryption or _DEFAULT)
        return {"encryptionConfiguration": shown}

    async def put_table_bucket_storage_class(
        self, ctx: Context, req: w.PutTableBucketStorageClassRequest
    ) -> None:
        """Say in which class new tables' files lie."""
        storage_class = checked_storage_class(req["storageClassConfiguration"])
        async with ctx.write() as tx:
            bucket = await bucket_of(tx, req["tableBucketARN"])
            tx.put(replace(bucket, storage_class=storage_class))

    async def get_table_bucket_storage_class(
        self, ctx: Context, req: w.GetTableBucketStorageClassRequest
    ) -> w.GetTableBucketStorageClassResponse:
        """In which class the files of a bucket's new tables lie."""
        bucket = await bucket_of(ctx.read(), req["tableBucketARN"])
        return {"storageClassConfiguration": _class_of(bucket)}

    async def get_table_storage_class(
        self, ctx: Context, req: w.GetTableStorageClassRequest
    ) -> w.GetTableStorageClassResponse:
        """In which class a table's files lie."""
        _, table = await table_of(ctx.read(), req)
        return {"storageClassConfiguration": _class_of(table)}


def checked_encryption(given: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """An encryption as it is kept. Raises BadRequestException."""
    if given is None:
        return None
    if given["sseAlgorithm"] == KMS and "kmsKeyArn" not in given:
        raise BadRequest("A KMS key ARN is required when the SSE algorithm is aws:kms.")
    if given["sseAlgorithm"] != KMS and "kmsKeyArn" in given:
        raise BadRequest("A KMS key ARN can be specified only when the SSE algorithm is aws:kms.")
    return dict(given)


def checked_storage_class(given: Mapping[str, Any] | None) -> str | None:
    """A storage class as it is kept."""
    return None if given is None else str(given["storageClass"])


def default_of_warehouse(encryption: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """The default encryption of S3 that a table's encryption means; None is what S3 does itself."""
    if encryption is None:
        return None
    rule: dict[str, Any] = {"SSEAlgorithm": encryption["sseAlgorithm"]}
    if "kmsKeyArn" in encryption:
        rule["KMSMasterKeyID"] = encryption["kmsKeyArn"]
    # Policies of keys name `TABLE_ARN/*` as what is encrypted: each file by itself.
    return {"Rules": [{"ApplyServerSideEncryptionByDefault": rule}]}


def _class_of(found: TableBucket | Table) -> w.StorageClassConfiguration:
    return {"storageClass": cast("Any", found.storage_class or STANDARD)}
