"""Policies that hang on tables and streams: who they let in, and who they keep out."""

from __future__ import annotations

import json
from typing import Any

from doppio.kernel.identity import root_of
from tests.services.world import ACCOUNT, OTHER, REGION, World, refusal, told

from .helpers import arn, caller, index, item, key_of, make, put, types
from .test_permissions import T, employed


def document(effect: str, principal: Any, *actions: str, resource: Any = T) -> str:
    """A policy of one statement."""
    statement = {
        "Effect": effect, "Principal": principal, "Action": list(actions), "Resource": resource,
    }  # fmt: skip
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


THEIRS = {"AWS": f"arn:aws:iam::{OTHER}:root"}


@told
async def test_a_policy_is_kept_with_its_revision(world: World) -> None:
    await make(world)
    call = caller(world)
    code, text = await refusal(call("get_resource_policy", ResourceArn=T))
    assert code == "PolicyNotFoundException"
    assert text == f"Resource-based policy not found for the provided ResourceArn: {T}"
    policy = document("Allow", THEIRS, "dynamodb:GetItem")
    first = await call("put_resource_policy", ResourceArn=T, Policy=policy)
    assert await call("put_resource_policy", ResourceArn=T, Policy=policy) == first
    got = await call("get_resource_policy", ResourceArn=T)
    assert got == {"Policy": policy, **first}
    other = document("Allow", THEIRS, "dynamodb:PutItem")
    for expected in ("NO_POLICY", "17"):
        code, _ = await refusal(
            call("put_resource_policy", ResourceArn=T, Policy=other, ExpectedRevisionId=expected)
        )
        assert code == "PolicyNotFoundException"
    second = await call(
        "put_resource_policy", ResourceArn=T, Policy=other, ExpectedRevisionId=first["RevisionId"]
    )
    assert second != first
    code, _ = await refusal(
        call("delete_resource_policy", ResourceArn=T, ExpectedRevisionId=first["RevisionId"])
    )
    assert code == "PolicyNotFoundException"
    assert await call("delete_resource_policy", ResourceArn=T) == second
    assert await call("delete_resource_policy", ResourceArn=T) == {"RevisionId": ""}
    await call("put_resource_policy", ResourceArn=T, Policy=other, ExpectedRevisionId="NO_POLICY")


@told
async def test_another_account_comes_in_by_arn_where_the_policy_lets_it(world: World) -> None:
    await make(world, GlobalSecondaryIndexes=[index("by-id", "id")])
    await put(world, id="1", n=1)
    await make(world, "till")
    call = caller(world)
    them = root_of(OTHER)
    key = item(id="1")
    code, text = await refusal(call("get_item", TableName=T, Key=key, caller=them))
    assert code == "AccessDeniedException"
    assert "no resource-based policy allows the dynamodb:GetItem action" in text
    actions = ("GetItem", "PutItem", "Query", "Scan", "DescribeTable", "BatchGetItem", "UpdateItem",
               "PartiQLSelect")  # fmt: skip
    policy = document(
        "Allow", THEIRS, *(f"dynamodb:{one}" for one in actions), resource=[T, f"{T}/index/*"]
    )
    await call("put_resource_policy", ResourceArn=T, Policy=policy)
    got = await call("get_item", TableName=T, Key=key, caller=them, ReturnConsumedCapacity="TOTAL")
    assert got == {
        "Item": item(id="1", n=1), "ConsumedCapacity": {"TableName": T, "CapacityUnits": 0.5},
    }  # fmt: skip
    before = await world.used("WriteRequestUnits")
    await call("put_item", TableName=T, Item=item(id="2"), caller=them)
    # Whose the table is pays, for the item and its index.
    assert await world.used("WriteRequestUnits") == before + 2
    assert await world.used("WriteRequestUnits", OTHER) == 0
    got = await call("scan", TableName=T, IndexName="by-id", caller=them)
    assert got["Count"] == 2
    got = await call("batch_get_item", RequestItems={T: {"Keys": [key]}}, caller=them)
    assert got["Responses"] == {T: [item(id="1", n=1)]}
    shown = await call("describe_table", TableName=T, caller=them)
    assert shown["Table"]["TableArn"] == T
    got = await call("execute_statement", Statement=f'SELECT * FROM "{T}" WHERE id = \'1\'',
                     caller=them)  # fmt: skip
    assert got["Items"] == [item(id="1", n=1)]
    got = await call(
        "transact_write_items", caller=them, ReturnConsumedCapacity="TOTAL",
        TransactItems=[{"Put": {"TableName": T, "Item": item(id="3")}}],
    )  # fmt: skip
    assert got["ConsumedCapacity"][0]["TableName"] == T
    for method, req in (
        ("delete_item", {"TableName": T, "Key": key}),
        ("get_item", {"TableName": arn("till"), "Key": key}),
        ("delete_table", {"TableName": T}),
    ):
        assert (await refusal(call(method, **req, caller=them)))[0] == "AccessDeniedException"
    elsewhere = T.replace(REGION, "eu-west-1")
    code, _ = await refusal(call("get_item", TableName=elsewhere, Key=key))
    assert code == "ResourceNotFoundException"
    for method, member in (("list_backups", "TableName"), ("list_exports", "TableArn"),
                           ("list_imports", "TableArn")):  # fmt: skip
        code, _ = await refusal(call(method, **{member: T}, caller=them))
        assert code == "AccessDeniedException"
    code, _ = await refusal(call("get_item", TableName="orders", Key=key, caller=them))
    assert code == "ResourceNotFoundException"


@told
async def test_a_policy_denies_also_who_may_do_all(world: World) -> None:
    await make(world)
    barista = await employed(world, Action="dynamodb:*", Resource="*")
    call = caller(world)
    policy = document("Deny", "*", "dynamodb:PutItem")
    await call("put_resource_policy", ResourceArn=T, Policy=policy)
    code, text = await refusal(
        call("put_item", TableName="orders", Item=item(id="1"), caller=barista)
    )
    assert code == "AccessDeniedException"
    assert "explicit deny in a resource-based policy" in text
    await call("delete_resource_policy", ResourceArn=T)
    await call("put_item", TableName="orders", Item=item(id="1"), caller=barista)


@told
async def test_nobody_is_locked_out_without_saying_so(world: World) -> None:
    await make(world)
    barista = await employed(world, Action="dynamodb:*", Resource="*")
    call = caller(world)
    req = {"ResourceArn": T, "Policy": document("Deny", "*", "dynamodb:*"), "caller": barista}
    code, text = await refusal(call("put_resource_policy", **req))
    assert code == "ValidationException"
    assert "ConfirmRemoveSelfResourceAccess" in text
    await call("put_resource_policy", **req, ConfirmRemoveSelfResourceAccess=True)
    code, _ = await refusal(call("get_resource_policy", ResourceArn=T, caller=barista))
    assert code == "AccessDeniedException"
    # The account's root can always take it down.
    assert await call("delete_resource_policy", ResourceArn=T, caller=root_of(ACCOUNT))
    await call("describe_table", TableName="orders", caller=barista)


@told
async def test_a_policy_comes_with_a_table_and_goes_with_it(world: World) -> None:
    call = caller(world)
    policy = document("Allow", THEIRS, "dynamodb:GetItem")
    await make(world, ResourcePolicy=policy)
    them = root_of(OTHER)
    req = {"TableName": T, "Key": item(id="1"), "caller": them}
    assert await call("get_item", **req) == {}
    await call("delete_table", TableName="orders")
    await world.advance(1)
    await make(world)
    assert (await refusal(call("get_item", **req)))[0] == "AccessDeniedException"
    maker = await employed(world, Action="dynamodb:CreateTable", Resource="*")
    shape = {"KeySchema": key_of("id"), "AttributeDefinitions": types(id="S"),
             "BillingMode": "PAY_PER_REQUEST", "TableName": "till"}  # fmt: skip
    code, text = await refusal(call("create_table", **shape, ResourcePolicy=policy, caller=maker))
    assert code == "AccessDeniedException"
    assert "dynamodb:PutResourcePolicy" in text


@told
async def test_a_stream_has_a_policy_of_its_own(world: World) -> None:
    stream = {"StreamEnabled": True, "StreamViewType": "NEW_IMAGE"}
    await make(world, StreamSpecification=stream)
    await put(world, id="1")
    call = caller(world)
    them = root_of(OTHER)
    of = (await call("describe_table", TableName="orders"))["Table"]["LatestStreamArn"]
    req = {"StreamArn": of, "caller": them}
    code, _ = await refusal(world.call("dynamodbstreams", "describe_stream", **req))
    assert code == "AccessDeniedException"
    actions = ("dynamodb:DescribeStream", "dynamodb:GetShardIterator", "dynamodb:GetRecords")
    policy = document("Allow", THEIRS, *actions, resource=of)
    revision = await call("put_resource_policy", ResourceArn=of, Policy=policy)
    assert await call("get_resource_policy", ResourceArn=of) == {"Policy": policy, **revision}
    shown = await world.call("dynamodbstreams", "describe_stream", **req)
    shard = shown["StreamDescription"]["Shards"][0]["ShardId"]
    start = await world.call(
        "dynamodbstreams", "get_shard_iterator", **req, ShardId=shard,
        ShardIteratorType="TRIM_HORIZON",
    )  # fmt: skip
    got = await world.call(
        "dynamodbstreams", "get_records", ShardIterator=start["ShardIterator"], caller=them
    )
    assert [one["dynamodb"]["Keys"] for one in got["Records"]] == [item(id="1")]
    await call("delete_table", TableName="orders")
    await world.advance(hours=26)
    code, _ = await refusal(call("get_resource_policy", ResourceArn=of))
    assert code == "ResourceNotFoundException"


@told
async def test_a_document_that_is_no_policy_is_refused(world: World) -> None:
    await make(world)
    call = caller(world)
    no_principal = json.dumps(
        {"Version": "2012-10-17",
         "Statement": [{"Effect": "Allow", "Action": "dynamodb:*", "Resource": T}]}
    )  # fmt: skip
    for policy in ("{", no_principal):
        code, text = await refusal(call("put_resource_policy", ResourceArn=T, Policy=policy))
        assert code == "ValidationException"
        assert text.startswith("Invalid policy document: ")
    fits = document("Allow", THEIRS, "dynamodb:GetItem")
    fits += " " * (20_480 - len(fits))
    await call("put_resource_policy", ResourceArn=T, Policy=fits)
    code, _ = await refusal(call("put_resource_policy", ResourceArn=T, Policy=fits + " "))
    assert code == "LimitExceededException"
    nothing = arn("nothing")
    code, text = await refusal(call("put_resource_policy", ResourceArn=nothing, Policy=fits))
    assert code == "ResourceNotFoundException"
