"""A directory bucket of one zone, for the tests of what is in such buckets."""

from __future__ import annotations

from typing import Any

from doppio.kernel.identity import Caller
from doppio.wire.http import Whole
from tests.services.world import ACCOUNT, World, refused

from .world import content

BUCKET = "shop--use1-az1--x-s3"
ARN = f"arn:aws:s3express:us-east-1:{ACCOUNT}:bucket/{BUCKET}"
NOT_THERE = ("NotImplemented", 501)
PLACE = {
    "Location": {"Type": "AvailabilityZone", "Name": "use1-az1"},
    "Bucket": {"Type": "Directory", "DataRedundancy": "SingleAvailabilityZone"},
}


async def make(world: World, name: str = BUCKET, **more: Any) -> Any:
    """CreateBucket."""
    return await s3(world, "create_bucket", Bucket=name, CreateBucketConfiguration=PLACE, **more)


async def s3(world: World, method: str, **req: Any) -> Any:
    """A call, of the directory bucket where no other is named."""
    if isinstance(req.get("Body"), bytes):
        req["Body"] = Whole(req["Body"])
    return await world.call("s3", method, **{"Bucket": BUCKET, **req})


async def put(world: World, name: str, body: bytes = b"", **req: Any) -> Any:
    """PutObject."""
    return await s3(world, "put_object", Key=name, Body=body, **req)


async def get(world: World, name: str, **req: Any) -> bytes:
    """The bytes of GetObject's answer."""
    return await content((await s3(world, "get_object", Key=name, **req))["Body"])


async def session(world: World, caller: Caller, **req: Any) -> Caller:
    """The caller that signs with a session's credentials."""
    made = await s3(world, "create_session", caller=caller, **req)
    return await world.who(made["Credentials"])


async def of(world: World, call: Any) -> tuple[str, int]:
    """Code and status of a refusal."""
    error = await refused(call)
    return error.code, error.status
