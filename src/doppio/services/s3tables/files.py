"""A table's files, through S3: metadata is read and written as whoever asks for it."""

from __future__ import annotations

from doppio.kernel.bodies import pieces
from doppio.kernel.context import Context
from doppio.kernel.identity import service_caller
from doppio.services.s3tables.errors import BadRequest
from doppio.services.s3tables.limits import METADATA_BYTES_MAX
from doppio.services.s3tables.lookup import warehouse_of
from doppio.services.s3tables.permissions import MAINTENANCE
from doppio.services.s3tables.records import Table
from doppio.services.s3tables.rules import key_of
from doppio.wire.errors import AwsError

_SERVICE = MAINTENANCE.removesuffix(".amazonaws.com")


def as_maintenance(ctx: Context, table: Table) -> Context:
    """The same call as S3 Tables itself, which keeps tables in order."""
    return ctx.derive(service_caller(_SERVICE, table.account, table.arn))


async def check_key(ctx: Context, table: Table) -> None:
    """Raise AccessDenied unless a table's key of KMS lets S3 Tables' maintenance in.

    Source: "Permission requirements for S3 Tables SSE-KMS encryption": no table is made without it.
    """
    key = (table.encryption or {}).get("kmsKeyArn")
    if key is not None:
        asked = {
            "KeyId": key,
            "KeySpec": "AES_256",
            "EncryptionContext": {"aws:s3:arn": f"{table.arn}/metadata"},
        }
        await as_maintenance(ctx, table).via("s3").call("kms", "generate_data_key", asked)


async def write_metadata(ctx: Context, table: Table, number: int, text: bytes) -> str:
    """Write a version of a table's metadata, as the caller; where it is."""
    warehouse = warehouse_of(table)
    key = f"metadata/{number:05d}-{ctx.new_id()}.metadata.json"
    await ctx.call(
        "s3",
        "put_object",
        {"Bucket": warehouse, "Key": key, "Body": text, "ContentType": "application/json"},
    )
    return f"s3://{warehouse}/{key}"


async def read_metadata(ctx: Context, table: Table) -> bytes:
    """The metadata of a table that counts, as the caller. The table has some."""
    warehouse = warehouse_of(table)
    assert table.location is not None, "who asks has looked"
    found = await ctx.call(
        "s3", "get_object", {"Bucket": warehouse, "Key": key_of(table.location, warehouse)}
    )
    if found["ContentLength"] > METADATA_BYTES_MAX:
        raise BadRequest("The metadata of the table is too large.")
    return b"".join([part async for part in pieces(found["Body"])])


async def check_there(ctx: Context, table: Table, location: str) -> None:
    """Raise BadRequestException unless there is an object at a location in a table's warehouse."""
    warehouse = warehouse_of(table)
    asked = {"Bucket": warehouse, "Key": key_of(location, warehouse)}
    try:
        await as_maintenance(ctx, table).call("s3", "head_object", asked)
    except AwsError as error:
        raise BadRequest("The specified metadata location does not exist.") from error
