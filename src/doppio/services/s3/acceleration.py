"""Transfer acceleration: whether a bucket may be reached by its `s3-accelerate` host."""

from __future__ import annotations

from typing import TYPE_CHECKING

from doppio.kernel.context import Context
from doppio.services.s3.errors import InvalidRequest, MalformedXML, MethodNotAllowed
from doppio.services.s3.lookup import bucket_id, existing_bucket
from doppio.services.s3.records import Bucket
from doppio.services.s3.settings import put_setting, setting

if TYPE_CHECKING:
    from doppio._stubs import s3 as w

KIND = "accelerate"
# What accelerated hosts do not offer. Source: "Using the Amazon S3 Transfer Acceleration endpoint".
_ELSEWHERE = frozenset({"ListBuckets", "CreateBucket", "DeleteBucket"})


class Acceleration:
    """A bucket's transfer acceleration."""

    async def put_bucket_accelerate_configuration(
        self, ctx: Context, req: w.PutBucketAccelerateConfigurationRequest
    ) -> None:
        """Let the bucket be reached by its accelerated host, or not any more."""
        status = req["AccelerateConfiguration"].get("Status")
        if status not in {"Enabled", "Suspended"}:
            raise MalformedXML
        async with ctx.write() as tx:
            bucket = await existing_bucket(tx, req)
            if "." in bucket.name:
                raise InvalidRequest(
                    "S3 Transfer Acceleration is not supported for buckets with periods (.) in "
                    "their names"
                )
            put_setting(tx, bucket, KIND, {"Status": status})
            tx.meter("Requests-Tier1")

    async def get_bucket_accelerate_configuration(
        self, ctx: Context, req: w.GetBucketAccelerateConfigurationRequest
    ) -> w.GetBucketAccelerateConfigurationOutput:
        """Enabled or Suspended; empty while it was never set."""
        reader = ctx.read()
        bucket = await existing_bucket(reader, req)
        reader.meter("Requests-Tier2")
        found = await setting(reader, bucket, KIND)
        return {} if found is None else {"Status": found["Status"]}


async def check_reached(ctx: Context, name: str, operation: str) -> None:
    """Raise InvalidRequest where a bucket may not be reached by its accelerated host."""
    if operation in _ELSEWHERE:
        raise MethodNotAllowed(Method=operation, ResourceType="SERVICE")
    reader = ctx.read()
    bucket = await reader.get(Bucket, bucket_id(ctx, name))
    if bucket is None:
        return  # The operation says so.
    found = await setting(reader, bucket, KIND)
    if found is None:
        raise InvalidRequest("S3 Transfer Acceleration is not configured on this bucket")
    if found["Status"] != "Enabled":
        raise InvalidRequest("S3 Transfer Acceleration is disabled on this bucket")
