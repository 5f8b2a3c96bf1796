"""What operations need: IAM's names for them, on which table or index."""

from __future__ import annotations

import json
from typing import Any

import pytest

from doppio.kernel.identity import Caller, root_of
from doppio.services.dynamodb.permissions import needs
from tests.services.world import ACCOUNT, REGION, World, refusal, told

from .helpers import arn, caller, index, item, make, put

T, U = arn("orders"), arn("till")
GET = {"Get": {"TableName": "till", "Key": {}}}
PARTS = [
    {"Put": {"TableName": "orders"}},
    {"Update": {"TableName": "orders"}},
    {"Delete": {"TableName": "till"}},
    {"ConditionCheck": {"TableName": U}},
]


@pytest.mark.parametrize(
    ("operation", "req", "expected"),
    [
        ("ListTables", {}, [("ListTables", "*")]),
        ("PutItem", {"TableName": "orders"}, [("PutItem", T)]),
        ("PutItem", {"TableName": T}, [("PutItem", T)]),
        ("Query", {"TableName": "orders", "IndexName": "by"}, [("Query", f"{T}/index/by")]),
        (
            "BatchGetItem",
            {"RequestItems": {"orders": {}, "till": {}}},
            [("BatchGetItem", T), ("BatchGetItem", U)],
        ),
        (
            "TransactWriteItems",
            {"TransactItems": PARTS},
            [("PutItem", T), ("UpdateItem", T), ("DeleteItem", U), ("ConditionCheckItem", U)],
        ),
        ("TransactGetItems", {"TransactItems": [GET]}, [("GetItem", U)]),
        ("TagResource", {"ResourceArn": T}, [("TagResource", T)]),
    ],
)
def test_an_operation_needs(operation: str, req: Any, expected: list[tuple[str, str]]) -> None:
    world = World()
    context = world.cloud.context(root_of(ACCOUNT), account=ACCOUNT, region=REGION, request_id="r")
    found = [(need.action, need.resource) for need in needs(context, operation, req)]
    assert found == [(f"dynamodb:{action}", resource) for action, resource in expected]


async def employed(world: World, **statement: Any) -> Caller:
    """A user who is allowed what a statement says."""
    await world.call("iam", "create_user", UserName="barista")
    document = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", **statement}]}
    await world.call(
        "iam",
        "put_user_policy",
        UserName="barista",
        PolicyName="work",
        PolicyDocument=json.dumps(document),
    )
    made = await world.call("iam", "create_access_key", UserName="barista")
    return await world.who({"AccessKeyId": made["AccessKey"]["AccessKeyId"]})


@told
async def test_conditions_see_the_request(world: World) -> None:
    await make(world)
    await put(world, id="1")
    barista = await employed(
        world,
        Action="dynamodb:*",
        Resource=T,
        Condition={"StringEquals": {"dynamodb:Select": "COUNT"}},
    )
    call = caller(world)
    scan = {"TableName": "orders", "caller": barista}
    assert (await call("scan", **scan, Select="COUNT"))["Count"] == 1
    assert (await refusal(call("scan", **scan)))[0] == "AccessDeniedException"
    assert (await refusal(call("describe_table", **scan)))[0] == "AccessDeniedException"


@told
async def test_a_condition_that_cannot_be_judged_yet_allows_nothing(world: World) -> None:
    await make(world)
    await put(world, id="1")
    own = {"ForAllValues:StringEquals": {"dynamodb:LeadingKeys": ["${aws:username}"]}}
    barista = await employed(world, Action="dynamodb:*", Resource=T, Condition=own)
    call = caller(world)
    for method, req in (
        ("get_item", {"Key": item(id="1")}),
        ("put_item", {"Item": item(id="1", n=2)}),
        ("delete_item", {"Key": item(id="1")}),
        ("scan", {}),
    ):
        code, text = await refusal(call(method, TableName="orders", caller=barista, **req))
        assert code == "NotImplemented"
        assert "dynamodb:leadingkeys" in text
    shown = await call("describe_table", TableName="orders", caller=barista)
    assert shown["Table"]["ItemCount"] == 1


@told
async def test_a_user_does_what_a_policy_allows_and_nothing_else(world: World) -> None:
    await make(world, kinds={"id": "S", "w": "S"}, GlobalSecondaryIndexes=[index("by-w", "w")])
    await make(world, "till")
    await put(world, id="1")
    barista = await employed(
        world,
        Action=["dynamodb:GetItem", "dynamodb:Scan", "dynamodb:PutItem"],
        Resource=T,
    )
    call = caller(world)
    key = item(id="1")
    got = await call("get_item", TableName="orders", Key=key, caller=barista)
    assert got == {"Item": key}
    for method, req in (
        ("get_item", {"TableName": "till", "Key": key}),
        ("delete_item", {"TableName": "orders", "Key": key}),
        ("scan", {"TableName": "orders", "IndexName": "by-w"}),
        ("transact_write_items", {"TransactItems": [
            {"Put": {"TableName": "orders", "Item": item(id="2")}},
            {"Delete": {"TableName": "orders", "Key": key}},
        ]}),
    ):  # fmt: skip
        code, text = await refusal(call(method, **req, caller=barista))
        assert code == "AccessDeniedException"
        assert f"arn:aws:iam::{ACCOUNT}:user/barista is not authorized" in text
    assert await call("scan", TableName="orders", caller=barista, Select="COUNT") == {
        "Count": 1,
        "ScannedCount": 1,
    }
