"""DynamoDB through HTTP with boto3's resource: Python's own types, conditions as objects, batches."""

from __future__ import annotations

from decimal import Decimal

import pytest
from boto3.dynamodb.conditions import Attr, Key
from boto3.dynamodb.types import Binary
from botocore.exceptions import ClientError

from doppio.testing import Cloud


def test_a_menu_is_kept_by_the_resource_as_people_write_it() -> None:
    with Cloud() as cloud:
        dynamodb = cloud.resource("dynamodb")
        table = dynamodb.create_table(
            TableName="menu", BillingMode="PAY_PER_REQUEST",
            KeySchema=[{"AttributeName": "shop", "KeyType": "HASH"},
                       {"AttributeName": "name", "KeyType": "RANGE"}],
            AttributeDefinitions=[{"AttributeName": name, "AttributeType": "S"}
                                  for name in ("shop", "name")],
        )  # fmt: skip
        table.wait_until_exists()
        mocha = {
            "shop": "corner", "name": "mocha", "price": Decimal("4.20"), "hot": True, "left": None,
            "sizes": {"S", "L"}, "seal": b"\x00\xff", "beans": [{"from": "Yirgacheffe", "grams": 18}],
        }  # fmt: skip
        table.put_item(Item=mocha, ConditionExpression=Attr("name").not_exists())
        key = {"shop": "corner", "name": "mocha"}
        found = table.get_item(Key=key, ConsistentRead=True)["Item"]
        assert found == {**mocha, "seal": Binary(b"\x00\xff")}
        assert isinstance(found["price"], Decimal)
        with pytest.raises(ClientError) as refused:
            table.put_item(Item=mocha, ConditionExpression=Attr("name").not_exists())
        assert refused.value.response["Error"]["Code"] == "ConditionalCheckFailedException"
        with pytest.raises(dynamodb.meta.client.exceptions.ConditionalCheckFailedException):
            table.delete_item(Key=key, ConditionExpression=Attr("price").gt(Decimal(9)))
        changed = table.update_item(
            Key=key, UpdateExpression="SET price = price + :more ADD sizes :m",
            ExpressionAttributeValues={":more": Decimal("0.30"), ":m": {"M"}},
            ReturnValues="UPDATED_NEW",
        )["Attributes"]  # fmt: skip
        assert changed == {"price": Decimal("4.50"), "sizes": {"S", "M", "L"}}


def test_queries_scans_and_batches_of_the_resource_go_through_all_pages() -> None:
    with Cloud() as cloud:
        table = cloud.resource("dynamodb").create_table(
            TableName="orders", BillingMode="PAY_PER_REQUEST",
            KeySchema=[{"AttributeName": "day", "KeyType": "HASH"},
                       {"AttributeName": "number", "KeyType": "RANGE"}],
            AttributeDefinitions=[{"AttributeName": "day", "AttributeType": "S"},
                                  {"AttributeName": "number", "AttributeType": "N"}],
        )  # fmt: skip
        table.wait_until_exists()
        with table.batch_writer(overwrite_by_pkeys=["day", "number"]) as batch:
            for number in range(60):
                batch.put_item(Item={"day": "today", "number": number, "cups": number % 3})
            batch.delete_item(Key={"day": "today", "number": 59})
        found, start = [], {}
        while True:
            page = table.query(
                KeyConditionExpression=Key("day").eq("today") & Key("number").between(10, 58),
                FilterExpression=Attr("cups").is_in([0, 2]), ScanIndexForward=False, Limit=7,
                ProjectionExpression="#n", ExpressionAttributeNames={"#n": "number"}, **start,
            )  # fmt: skip
            found += [int(item["number"]) for item in page["Items"]]
            if "LastEvaluatedKey" not in page:
                break
            start = {"ExclusiveStartKey": page["LastEvaluatedKey"]}
        assert found == [number for number in range(58, 9, -1) if number % 3 != 1]
        count = table.scan(FilterExpression=Attr("cups").eq(1), Select="COUNT")["Count"]
        assert count == sum(number % 3 == 1 for number in range(59))
        got = cloud.resource("dynamodb").batch_get_item(
            RequestItems={"orders": {"Keys": [{"day": "today", "number": n} for n in (3, 59)]}}
        )
        assert [int(item["number"]) for item in got["Responses"]["orders"]] == [3]
