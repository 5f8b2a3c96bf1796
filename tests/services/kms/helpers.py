"""What KMS's tests share."""

from __future__ import annotations

import json
from typing import Any

from doppio.kernel.identity import Caller
from tests.services.world import ACCOUNT, World


async def key(world: World, **req: Any) -> dict[str, Any]:
    """Make a key; its metadata."""
    found: dict[str, Any] = (await world.call("kms", "create_key", **req))["KeyMetadata"]
    return found


async def user(world: World, name: str, *statements: dict[str, Any]) -> Caller:
    """Make a user with a policy; the caller that it is."""
    await world.call("iam", "create_user", UserName=name)
    if statements:
        document = json.dumps({"Version": "2012-10-17", "Statement": list(statements)})
        await world.call(
            "iam", "put_user_policy", UserName=name, PolicyName="own", PolicyDocument=document
        )
    made = await world.call("iam", "create_access_key", UserName=name)
    return await world.who(made["AccessKey"])


def allow(action: str, resource: str = "*", **more: Any) -> dict[str, Any]:
    """A statement that allows."""
    return {"Effect": "Allow", "Action": action, "Resource": resource, **more}


def key_policy(*statements: dict[str, Any], root: bool = True) -> str:
    """A key's policy, with or without the account's own policies."""
    listed = list(statements)
    if root:
        listed.append(allow("kms:*", Principal={"AWS": f"arn:aws:iam::{ACCOUNT}:root"}))
    return json.dumps({"Version": "2012-10-17", "Statement": listed})
