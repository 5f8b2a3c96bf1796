"""What the tests of S3 Tables share."""

from __future__ import annotations

from typing import Any

from tests.services.world import ACCOUNT, REGION, World

BUCKET = f"arn:aws:s3tables:{REGION}:{ACCOUNT}:bucket/lake"
SCHEMA = {
    "fields": [{"name": "id", "type": "long", "required": True}, {"name": "said", "type": "string"}]
}
METADATA = {"iceberg": {"schema": SCHEMA}}
NAMED = {"tableBucketARN": BUCKET, "namespace": "ns", "name": "t"}


async def lake(world: World, **req: Any) -> None:
    """A table bucket with a namespace."""
    await world.call("s3tables", "create_table_bucket", name="lake", **req)
    await world.call("s3tables", "create_namespace", tableBucketARN=BUCKET, namespace=["ns"])


async def table(world: World, name: str = "t", **req: Any) -> dict[str, Any]:
    """A table in it, as GetTable shows it; with metadata unless said otherwise."""
    asked = {"metadata": METADATA, "format": "ICEBERG", **NAMED, "name": name, **req}
    asked = {key: value for key, value in asked.items() if value is not None}
    await world.call("s3tables", "create_table", **asked)
    found: dict[str, Any] = await world.call("s3tables", "get_table", **{**NAMED, "name": name})
    return found


def place(location: str) -> dict[str, str]:
    """Bucket and key of a location, as S3 asks for them."""
    bucket, _, key = location.removeprefix("s3://").partition("/")
    return {"Bucket": bucket, "Key": key}
