"""What the stories of S3 Control share."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

from doppio.kernel.identity import Caller
from doppio.wire.http import FileRange, Whole

from ..world import ACCOUNT, OTHER, World

OPEN: dict[str, Any] = dict.fromkeys(
    ("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets"), False
)
STRANGER = Caller(account=OTHER, arn=f"arn:aws:iam::{OTHER}:root", id=OTHER, kind="root")


async def control(
    world: World,
    method: str,
    account: str = ACCOUNT,
    *,
    caller: Caller | None = None,
    region: str = "us-east-1",
    **req: Any,
) -> Any:
    """Call an operation of S3 Control for an account, as its root or as `caller`."""
    return await world.call(
        "s3control", method, account=account, caller=caller, region=region, AccountId=account, **req
    )


async def s3(world: World, method: str, **req: Any) -> Any:
    """Call an operation of S3; bodies may be bytes."""
    if isinstance(req.get("Body"), bytes):
        req["Body"] = Whole(req["Body"])
    return await world.call("s3", method, **req)


async def text(world: World, bucket: str, key: str, **req: Any) -> bytes:
    """The bytes of GetObject's answer."""
    body: Any = (await s3(world, "get_object", Bucket=bucket, Key=key, **req))["Body"]
    if isinstance(body, AsyncIterator):
        return b"".join([bytes(chunk) async for chunk in body])
    if isinstance(body, FileRange):
        return body.path.read_bytes()[body.offset : body.offset + body.length]
    return bytes(body)


def policy(*statements: dict[str, Any]) -> str:
    """A policy document."""
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


def statement(
    principal: Any, resource: Any, action: Any = "s3:GetObject", **more: Any
) -> dict[str, Any]:
    """A statement that allows."""
    return {
        "Effect": "Allow",
        "Principal": principal,
        "Action": action,
        "Resource": resource,
        **more,
    }
