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
E = T.replace(REGION, "eu-west-1")
G = f"arn:aws:dynamodb::{ACCOUNT}:global-table/orders"
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
        ("ExecuteStatement", {"Statement": "SELECT * FROM orders"}, [("PartiQLSelect", T)]),
        (
            "ExecuteStatement",
            {"Statement": f'SELECT * FROM "{U}"."by"'},
            [("PartiQLSelect", f"{U}/index/by")],
        ),
        (
            "ExecuteTransaction",
            {"TransactStatements": [
                {"Statement": "INSERT INTO orders VALUE {'id': '1'}"},
                {"Statement": "UPDATE till SET n = 1 WHERE id = '1'"},
                {"Statement": "DELETE FROM orders WHERE id = '1'"},
                {"Statement": "EXISTS(SELECT * FROM till WHERE id = '1' AND n = 1)"},
            ]},
            [("PartiQLInsert", T), ("PartiQLUpdate", U), ("PartiQLDelete", T),
             ("PartiQLSelect", U)],
        ),
        ("TagResource", {"ResourceArn": T}, [("TagResource", T)]),
        (
            "CreateGlobalTable",
            {"GlobalTableName": "orders", "ReplicationGroup": [{"RegionName": "eu-west-1"}]},
            [("CreateGlobalTable", G), ("CreateGlobalTable", E)],
        ),
        (
            "UpdateGlobalTable",
            {"GlobalTableName": "orders", "ReplicaUpdates": [
                {"Delete": {"RegionName": "eu-west-1"}}
            ]},
            [("UpdateGlobalTable", G), ("UpdateGlobalTable", E)],
        ),
        ("DescribeGlobalTable", {"GlobalTableName": "orders"}, [("DescribeGlobalTable", G)]),
        ("ListGlobalTables", {}, [("ListGlobalTables", "*")]),
        (
            "UpdateTable",
            {"TableName": "orders", "ReplicaUpdates": [
                {"Create": {"RegionName": "eu-west-1"}}, {"Update": {"RegionName": "eu-west-1"}},
                {"Delete": {"RegionName": "eu-west-1"}},
            ], "GlobalTableWitnessUpdates": [{"Create": {"RegionName": "eu-west-1"}}]},
            [("UpdateTable", T), ("CreateTableReplica", E),
             *((one, E) for one in ("BatchWriteItem", "DeleteItem", "GetItem", "PutItem", "Query",
                                    "Scan", "UpdateItem")),
             ("UpdateTable", E), ("DeleteTableReplica", E), ("CreateGlobalTableWitness", E)],
        ),
    ],
)  # fmt: skip
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
async def test_a_user_reaches_the_items_whose_partition_key_is_theirs(world: World) -> None:
    await make(world, key=("id", "n"), kinds={"id": "S", "n": "N"})
    own = {"ForAllValues:StringEquals": {"dynamodb:LeadingKeys": ["${aws:username}"]}}
    barista = await employed(world, Action="dynamodb:*", Resource=T, Condition=own)
    call = caller(world)

    def asked(who: str) -> list[tuple[str, dict[str, Any]]]:
        key = item(id=who, n=1)
        query = {"TableName": "orders", "ExpressionAttributeNames": {"#i": "id"},
                 "ExpressionAttributeValues": {":i": {"S": who}, ":n": {"N": "0"}}}  # fmt: skip
        old = {"id": {"AttributeValueList": [{"S": who}], "ComparisonOperator": "EQ"}}
        put_one = {"Put": {"TableName": "orders", "Item": item(id=who, n=2)}}
        return [
            ("put_item", {"TableName": "orders", "Item": key}),
            ("get_item", {"TableName": "orders", "Key": key}),
            ("update_item", {"TableName": "orders", "Key": key}),
            ("query", {**query, "KeyConditionExpression": "n > :n AND :i = #i"}),
            ("query", {"TableName": "orders", "KeyConditions": old}),
            ("batch_get_item", {"RequestItems": {"orders": {"Keys": [key]}}}),
            ("batch_write_item", {"RequestItems": {"orders": [{"DeleteRequest": {"Key": key}}]}}),
            ("transact_write_items", {"TransactItems": [put_one]}),
            ("execute_statement", {"Statement": f"SELECT * FROM orders WHERE id IN ('{who}')"}),
            ("execute_statement", {"Statement": f"DELETE FROM orders WHERE id='{who}' AND n=1"}),
            (
                "execute_statement",
                {"Statement": f"INSERT INTO orders VALUE {{'id':'{who}','n':1}}"},
            ),
        ]

    for method, req in asked("barista"):
        await call(method, caller=barista, **req)
    for method, req in asked("boss"):
        assert (await refusal(call(method, caller=barista, **req)))[0] == "AccessDeniedException"


@told
async def test_a_user_sees_the_attributes_that_a_policy_names(world: World) -> None:
    await make(world)
    await put(world, id="1", n=2, wage=3)
    barista = await employed(
        world,
        Action="dynamodb:*",
        Resource=T,
        Condition={
            "ForAllValues:StringEquals": {"dynamodb:Attributes": ["id", "n"]},
            "StringEqualsIfExists": {
                "dynamodb:Select": "SPECIFIC_ATTRIBUTES",
                "dynamodb:ReturnValues": ["NONE", "UPDATED_OLD", "UPDATED_NEW"],
            },
        },
    )
    call = caller(world)
    of_one = {"TableName": "orders", "Key": item(id="1"), "caller": barista}
    add = {"UpdateExpression": "ADD #n :n", "ExpressionAttributeNames": {"#n": "n"},
           "ExpressionAttributeValues": {":n": {"N": "1"}}}  # fmt: skip
    allowed: list[tuple[str, dict[str, Any]]] = [
        ("get_item", {**of_one, "ProjectionExpression": "id, n"}),
        ("update_item", {**of_one, **add, "ReturnValues": "UPDATED_NEW"}),
        ("execute_statement",
         {"Statement": "SELECT n FROM orders WHERE id = '1'", "caller": barista}),
    ]  # fmt: skip
    for method, req in allowed:
        await call(method, **req)
    wage = {"#n": "wage"}
    denied: list[tuple[str, dict[str, Any]]] = [
        ("get_item", of_one),
        ("get_item", {**of_one, "ProjectionExpression": "id, wage"}),
        ("get_item", {**of_one, "AttributesToGet": ["wage"]}),
        ("update_item", {**of_one, **add, "ReturnValues": "ALL_NEW"}),
        ("update_item", {**of_one, **add, "ExpressionAttributeNames": wage}),
        ("delete_item", {**of_one, "ConditionExpression": "wage > :n",
                         "ExpressionAttributeValues": {":n": {"N": "1"}}}),
        ("scan", {"TableName": "orders", "caller": barista}),
        ("execute_statement", {"Statement": "SELECT * FROM orders", "caller": barista}),
        ("execute_statement", {"Statement": "SELECT n FROM orders WHERE id = '1' AND wage > 0",
                               "caller": barista}),
        ("execute_statement", {"Statement": "UPDATE orders SET wage = 9 WHERE id = '1'",
                               "caller": barista}),
    ]  # fmt: skip
    for method, req in denied:
        assert (await refusal(call(method, **req)))[0] == "AccessDeniedException"


@told
async def test_a_policy_can_forbid_full_table_scans(world: World) -> None:
    await make(world, GlobalSecondaryIndexes=[index("by-id", "id")])
    barista = await employed(
        world,
        Action="dynamodb:PartiQLSelect",
        Resource=[T, f"{T}/index/*"],
        Condition={"Bool": {"dynamodb:FullTableScan": "false"}},
    )
    call = caller(world)
    for source in ("orders", 'orders."by-id"'):
        text = f"SELECT * FROM {source}"
        keyed = {"Statement": f"{text} WHERE id = '1'", "caller": barista}
        assert (await call("execute_statement", **keyed))["Items"] == []
        for statement in (text, f"{text} WHERE n = 1", f"{text} WHERE id > '1'"):
            code, message = await refusal(
                call("execute_statement", Statement=statement, caller=barista)
            )
            assert code == "AccessDeniedException"
            assert "dynamodb:PartiQLSelect" in message


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


@told
async def test_who_changes_a_global_table_is_allowed_to_change_each_replica(world: World) -> None:
    stream = {"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"}
    await make(world, StreamSpecification=stream)
    call = caller(world)
    group = [{"RegionName": REGION}]
    await call("create_global_table", GlobalTableName="orders", ReplicationGroup=group)
    barista = await employed(world, Action="dynamodb:UpdateGlobalTableSettings", Resource=G)
    change = {"GlobalTableName": "orders", "GlobalTableBillingMode": "PROVISIONED"}
    code, text = await refusal(call("update_global_table_settings", **change, caller=barista))
    assert (code, T in text) == ("AccessDeniedException", True)
