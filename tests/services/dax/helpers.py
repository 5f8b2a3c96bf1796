"""What DAX's tests share."""

from __future__ import annotations

import json
from typing import Any

from tests.services.kms.helpers import allow
from tests.services.world import ACCOUNT, REGION, World

ROLE = f"arn:aws:iam::{ACCOUNT}:role/cache"
ARN = f"arn:aws:dax:{REGION}:{ACCOUNT}:cache/"


async def role(world: World, *actions: str, name: str = "cache") -> str:
    """A role that clusters may act as."""
    trust = {
        "Effect": "Allow",
        "Principal": {"Service": "dax.amazonaws.com"},
        "Action": "sts:AssumeRole",
    }
    await world.call(
        "iam",
        "create_role",
        RoleName=name,
        AssumeRolePolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [trust]}),
    )
    document = {"Version": "2012-10-17", "Statement": [allow(one) for one in actions]}
    if actions:
        await world.call(
            "iam",
            "put_role_policy",
            RoleName=name,
            PolicyName="own",
            PolicyDocument=json.dumps(document),
        )
    return f"arn:aws:iam::{ACCOUNT}:role/{name}"


async def begin(world: World, **req: Any) -> dict[str, Any]:
    """Ask for a cluster."""
    given = {"ClusterName": "c", "NodeType": "dax.t3.small", "ReplicationFactor": 1, **req}
    given.setdefault("IamRoleArn", ROLE)
    made: dict[str, Any] = (await world.call("dax", "create_cluster", **given))["Cluster"]
    return made


async def open_cluster(world: World, **req: Any) -> dict[str, Any]:
    """A cluster that is available."""
    made = await begin(world, **req)
    await world.advance(2)
    found = await described(world, made["ClusterName"])
    assert found["Status"] == "available"
    return found


async def described(world: World, name: str = "c") -> dict[str, Any]:
    """A cluster as it is shown."""
    found = await world.call("dax", "describe_clusters", ClusterNames=[name])
    shown: dict[str, Any] = found["Clusters"][0]
    return shown


async def events(world: World, **req: Any) -> list[str]:
    """What happened, the latest first."""
    found = await world.call("dax", "describe_events", **req)
    return [one["Message"] for one in found["Events"]]


async def table(world: World, name: str = "menu", *, sort: str = "", **more: Any) -> None:
    """A table whose key is `id`, and maybe a sort key `at` of a type."""
    keys = [{"AttributeName": "id", "KeyType": "HASH"}]
    types = [{"AttributeName": "id", "AttributeType": "S"}]
    if sort:
        keys.append({"AttributeName": "at", "KeyType": "RANGE"})
        types.append({"AttributeName": "at", "AttributeType": sort})
    await world.call(
        "dynamodb",
        "create_table",
        TableName=name,
        KeySchema=keys,
        AttributeDefinitions=types,
        BillingMode="PAY_PER_REQUEST",
        **more,
    )
    await world.advance(60)


async def stored(world: World, item: dict[str, Any], name: str = "menu") -> None:
    """Put an item past DAX."""
    await world.call("dynamodb", "put_item", TableName=name, Item=item)


async def cafe(world: World, **req: Any) -> int:
    """A table, a role that may do all with it, and a cluster; the port of its first node."""
    await role(world, "dynamodb:*")
    await table(world)
    made = await open_cluster(world, **req)
    port: int = made["Nodes"][0]["Endpoint"]["Port"]
    return port
