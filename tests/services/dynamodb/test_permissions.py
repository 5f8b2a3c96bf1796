"""What operations need: IAM's names for them, on which table or index."""

from __future__ import annotations

import json
from typing import Any

import pytest

from doppio.kernel.identity import root_of
from doppio.services.dynamodb.service import needs
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


@told
async def test_a_user_does_what_a_policy_allows_and_nothing_else(world: World) -> None:
    await make(world, kinds={"id": "S", "w": "S"}, GlobalSecondaryIndexes=[index("by-w", "w")])
    await make(world, "till")
    await put(world, id="1")
    await world.call("iam", "create_user", UserName="barista")
    statement = {
        "Effect": "Allow",
        "Action": ["dynamodb:GetItem", "dynamodb:Scan", "dynamodb:PutItem"],
        "Resource": T,
    }
    await world.call(
        "iam",
        "put_user_policy",
        UserName="barista",
        PolicyName="orders",
        PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [statement]}),
    )
    made = await world.call("iam", "create_access_key", UserName="barista")
    barista = await world.who({"AccessKeyId": made["AccessKey"]["AccessKeyId"]})
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
