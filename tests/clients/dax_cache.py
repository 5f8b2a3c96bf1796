"""A program with Amazon's own client of DAX: each check throws, and the last line says "done"."""

from __future__ import annotations

import os
from typing import Any

import boto3
import botocore.session
from amazondax import AmazonDaxClient
from botocore.exceptions import ClientError

URL, TABLE = os.environ["DAX_URL"], os.environ["DAX_TABLE"]
REGION = "us-east-1"
KEY = {"id": {"S": "tea"}, "at": {"N": "1.5"}}
ITEM = {
    **KEY, "text": {"S": "é"}, "n": {"N": "-12.5"}, "big": {"N": "12345678901234567890123"},
    "l": {"L": [{"S": "a"}, {"M": {"k": {"BOOL": True}}}, {"NULL": True}]},
    "ss": {"SS": ["a", "b"]}, "ns": {"NS": ["1", "2.5"]}, "b": {"B": b"\x00\x01"},
}  # fmt: skip


def code_of(call: Any, **given: Any) -> str:
    """The code with which a call is refused."""
    try:
        call(**given)
    except ClientError as error:
        found: str = error.response["Error"]["Code"]
        return found
    raise AssertionError("not refused")


def items(dax: Any) -> None:
    """Single items, with conditions, projections and updates."""
    assert dax.get_item(TableName=TABLE, Key=KEY) == {}
    dax.put_item(TableName=TABLE, Item=ITEM)
    assert dax.get_item(TableName=TABLE, Key=KEY)["Item"] == ITEM
    found = dax.get_item(
        TableName=TABLE, Key=KEY, ConsistentRead=True, ReturnConsumedCapacity="TOTAL"
    )
    assert found["Item"] == ITEM
    assert found["ConsumedCapacity"] == {"TableName": TABLE, "CapacityUnits": 1.0}
    some = dax.get_item(TableName=TABLE, Key=KEY, ProjectionExpression="n, l[1].k, none")
    assert some["Item"] == {"n": ITEM["n"], "l": {"L": [{"M": {"k": {"BOOL": True}}}]}}
    changed = dax.update_item(
        TableName=TABLE, Key=KEY, ReturnValues="UPDATED_NEW",
        UpdateExpression="SET #t = :t, n = n + :one REMOVE b ADD ns :ns DELETE ss :ss",
        ExpressionAttributeNames={"#t": "text"},
        ExpressionAttributeValues={
            ":t": {"S": "x"}, ":one": {"N": "1"}, ":ns": {"NS": ["7"]}, ":ss": {"SS": ["a"]},
        },
    )["Attributes"]  # fmt: skip
    assert changed["text"] == {"S": "x"}
    assert changed["n"] == {"N": "-11.5"}
    assert dax.get_item(TableName=TABLE, Key=KEY)["Item"]["ss"] == {"SS": ["b"]}
    refused = code_of(
        dax.put_item, TableName=TABLE, Item=ITEM, ConditionExpression="attribute_not_exists(id)"
    )
    assert refused == "ConditionalCheckFailedException"
    assert code_of(dax.get_item, TableName="none", Key=KEY) == "ResourceNotFoundException"
    old = dax.delete_item(TableName=TABLE, Key=KEY, ReturnValues="ALL_OLD")["Attributes"]
    assert old["big"] == ITEM["big"]
    assert dax.get_item(TableName=TABLE, Key=KEY) == {}


def many(dax: Any) -> None:
    """Batches, queries and scans."""
    keys = [{"id": {"S": "b"}, "at": {"N": str(n)}} for n in range(-5, 20)]
    puts = [{"PutRequest": {"Item": {**key, "n": key["at"]}}} for key in keys]
    assert dax.batch_write_item(RequestItems={TABLE: puts})["UnprocessedItems"] == {}
    found = dax.batch_get_item(RequestItems={TABLE: {"Keys": keys}})["Responses"][TABLE]
    assert sorted(int(one["n"]["N"]) for one in found) == list(range(-5, 20))
    some = dax.batch_get_item(
        RequestItems={TABLE: {"Keys": keys[:2], "ProjectionExpression": "n"}}
    )["Responses"][TABLE]
    assert sorted(one["n"]["N"] for one in some) == ["-4", "-5"]
    asked = {
        "KeyConditionExpression": "id = :id AND #at BETWEEN :low AND :high",
        "FilterExpression": "(n > :zero OR n IN (:low, :high)) AND NOT contains(n, :id)",
        "ExpressionAttributeNames": {"#at": "at"},
        "ExpressionAttributeValues": {
            ":id": {"S": "b"}, ":low": {"N": "-3"}, ":high": {"N": "3"}, ":zero": {"N": "0"},
        },
    }  # fmt: skip
    for forward in (True, False):
        page = dax.query(TableName=TABLE, ScanIndexForward=forward, **asked)
        numbers = [int(one["n"]["N"]) for one in page["Items"]]
        assert numbers == sorted([-3, 1, 2, 3], reverse=not forward)
        assert page["ScannedCount"] == 7
    seen, more = [], {}
    while True:
        page = dax.scan(TableName=TABLE, Limit=7, **more)
        seen += page["Items"]
        if "LastEvaluatedKey" not in page:
            break
        more = {"ExclusiveStartKey": page["LastEvaluatedKey"]}
    assert len(seen) == len(keys)
    deletes = [{"DeleteRequest": {"Key": key}} for key in keys]
    dax.batch_write_item(RequestItems={TABLE: deletes})


def transactions(dax: Any) -> None:
    """Transactions, and why they are cancelled."""
    one, other = {**KEY, "v": {"N": "1"}}, {"id": {"S": "milk"}, "at": {"N": "2"}}
    update = {
        "TableName": TABLE, "Key": other, "UpdateExpression": "SET v = :v",
        "ExpressionAttributeValues": {":v": {"N": "2"}},
    }  # fmt: skip
    dax.transact_write_items(
        TransactItems=[{"Put": {"TableName": TABLE, "Item": one}}, {"Update": update}]
    )
    found = dax.transact_get_items(
        TransactItems=[
            {"Get": {"TableName": TABLE, "Key": KEY}},
            {"Get": {"TableName": TABLE, "Key": other, "ProjectionExpression": "v"}},
            {"Get": {"TableName": TABLE, "Key": {**KEY, "at": {"N": "9"}}}},
        ]
    )["Responses"]
    assert found == [{"Item": one}, {"Item": {"v": {"N": "2"}}}, {}]
    check = {
        "TableName": TABLE, "Key": KEY, "ConditionExpression": "attribute_not_exists(id)",
    }  # fmt: skip
    refused = code_of(
        dax.transact_write_items,
        TransactItems=[{"ConditionCheck": check}, {"Delete": {"TableName": TABLE, "Key": other}}],
    )
    assert refused == "TransactionCanceledException"


def resources() -> None:
    """The same by boto3's resources, with numbers and sets of Python."""
    with AmazonDaxClient.resource(region_name=REGION, endpoint_url=URL) as dax:
        table = dax.Table(TABLE)
        table.put_item(Item={"id": "cake", "at": 3, "of": {"flour", "eggs"}, "deep": {"x": [1]}})
        found = table.get_item(Key={"id": "cake", "at": 3})["Item"]
        assert found["of"] == {"flour", "eggs"}
        assert found["deep"] == {"x": [1]}


def caches(dax: Any) -> None:
    """What is written past DAX is not seen yet."""
    past = boto3.client("dynamodb")
    key = {"id": {"S": "past"}, "at": {"N": "0"}}
    dax.put_item(TableName=TABLE, Item={**key, "v": {"S": "by"}})
    past.put_item(TableName=TABLE, Item={**key, "v": {"S": "past"}})
    assert dax.get_item(TableName=TABLE, Key=key)["Item"]["v"] == {"S": "by"}
    fresh = dax.get_item(TableName=TABLE, Key=key, ConsistentRead=True)
    assert fresh["Item"]["v"] == {"S": "past"}


def main() -> None:
    """All of it."""
    with AmazonDaxClient(
        botocore.session.get_session(), region_name=REGION, endpoints=[URL]
    ) as dax:
        items(dax)
        many(dax)
        transactions(dax)
        caches(dax)
    if not URL.startswith("daxs"):
        resources()
    print("done")


main()
