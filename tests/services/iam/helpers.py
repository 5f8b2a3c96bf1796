"""What IAM's tests say often."""

from __future__ import annotations

import json
from typing import Any

from doppio.kernel.identity import Caller
from tests.services.world import ACCOUNT, World

READ_ONLY = "arn:aws:iam::aws:policy/ReadOnlyAccess"


def document(*actions: str, effect: str = "Allow", resource: str = "*", **more: Any) -> str:
    """A policy of one statement."""
    statement = {"Effect": effect, "Action": list(actions), "Resource": resource, **more}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def trust(principal: Any, **condition: Any) -> str:
    """A role's trust policy."""
    statement: dict[str, Any] = {
        "Effect": "Allow", "Principal": principal, "Action": "sts:AssumeRole",
    }  # fmt: skip
    if condition:
        statement["Condition"] = condition
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


async def iam(world: World, method: str, **req: Any) -> Any:
    """Call IAM as the account's root."""
    return await world.call("iam", method, **req)


async def user(world: World, name: str = "barista", *policies: str) -> Caller:
    """A user with inline policies, and an access key; as caller."""
    await iam(world, "create_user", UserName=name)
    for number, text in enumerate(policies):
        await iam(
            world, "put_user_policy", UserName=name, PolicyName=f"p{number}", PolicyDocument=text
        )
    return await as_user(world, name)


async def as_user(world: World, name: str = "barista") -> Caller:
    """A user as caller, by a new access key that is deleted again."""
    key = (await iam(world, "create_access_key", UserName=name))["AccessKey"]
    found = await world.who(key)
    await iam(world, "delete_access_key", UserName=name, AccessKeyId=key["AccessKeyId"])
    return found


async def role(world: World, name: str = "brewing", trusts: Any = None, **more: Any) -> str:
    """A role that the account's own principals may assume; its ARN."""
    principal = {"AWS": ACCOUNT} if trusts is None else trusts
    made = await iam(
        world, "create_role", RoleName=name, AssumeRolePolicyDocument=trust(principal), **more
    )
    return str(made["Role"]["Arn"])
