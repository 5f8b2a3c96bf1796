"""What the tests of Organizations say often."""

from __future__ import annotations

import json
from typing import Any

from doppio.kernel.identity import Caller
from tests.services.world import World

MASTER = "000000000000"
OTHER = "222222222222"


async def orgs(world: World, method: str, **req: Any) -> Any:
    """Call Organizations as the management account's root, or as told."""
    return await world.call("organizations", method, **req)


async def organization(world: World, **req: Any) -> tuple[str, str]:
    """A new organisation: its id and its root's."""
    made = (await orgs(world, "create_organization", **req))["Organization"]
    return made["Id"], (await orgs(world, "list_roots"))["Roots"][0]["Id"]


async def unit(world: World, parent: str, name: str = "bar", **req: Any) -> str:
    """A new unit; its id."""
    made = await orgs(world, "create_organizational_unit", ParentId=parent, Name=name, **req)
    return str(made["OrganizationalUnit"]["Id"])


async def account(world: World, name: str = "till", **req: Any) -> str:
    """A new account of the organisation; its id."""
    asked = {"AccountName": name, "Email": f"{name}@example.com", **req}
    made = (await orgs(world, "create_account", **asked))["CreateAccountStatus"]
    assert made["State"] == "IN_PROGRESS"
    await world.settle()
    told = await orgs(world, "describe_create_account_status", CreateAccountRequestId=made["Id"])
    return str(told["CreateAccountStatus"]["AccountId"])


async def inside(world: World, member: str, role: str = "OrganizationAccountAccessRole") -> Caller:
    """A caller in a member account, by the role that the management account may assume."""
    name = "keeper"
    users = (await world.call("iam", "list_users"))["Users"]
    if not users:
        await world.call("iam", "create_user", UserName=name)
        await world.call(
            "iam", "attach_user_policy", UserName=name,
            PolicyArn="arn:aws:iam::aws:policy/AdministratorAccess",
        )  # fmt: skip
    key = (await world.call("iam", "create_access_key", UserName=name))["AccessKey"]
    keeper = await world.who(key)
    await world.call("iam", "delete_access_key", UserName=name, AccessKeyId=key["AccessKeyId"])
    arn = f"arn:aws:iam::{member}:role/{role}"
    got = await world.call(
        "sts", "assume_role", caller=keeper, RoleArn=arn, RoleSessionName="visit"
    )
    return await world.who(got["Credentials"])


def deny(*actions: str) -> str:
    """A service control policy that denies some actions."""
    statement = {"Effect": "Deny", "Action": list(actions), "Resource": "*"}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


async def policy(
    world: World, content: str, name: str = "rule", kind: str = "SERVICE_CONTROL_POLICY"
) -> str:
    """A new policy; its id."""
    made = await orgs(world, "create_policy", Name=name, Description="", Type=kind, Content=content)
    return str(made["Policy"]["PolicySummary"]["Id"])


async def enable(world: World, root: str, kind: str = "SERVICE_CONTROL_POLICY") -> None:
    """Enable a policy type in the root."""
    found = await orgs(world, "enable_policy_type", RootId=root, PolicyType=kind)
    assert {"Type": kind, "Status": "ENABLED"} in found["Root"]["PolicyTypes"]
