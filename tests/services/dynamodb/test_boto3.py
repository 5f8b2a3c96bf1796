"""DynamoDB through a real client: what is more than items crosses the wire and comes back."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from doppio.testing import Cloud


@pytest.fixture(scope="module")
def cloud() -> Iterator[Cloud]:
    with Cloud() as running:
        yield running


@pytest.fixture(scope="module")
def db(cloud: Cloud) -> Any:
    client = cloud.account().client("dynamodb")
    client.create_table(
        TableName="orders",
        KeySchema=[
            {"AttributeName": "id", "KeyType": "HASH"},
            {"AttributeName": "n", "KeyType": "RANGE"},
        ],
        AttributeDefinitions=[
            {"AttributeName": "id", "AttributeType": "S"},
            {"AttributeName": "n", "AttributeType": "N"},
        ],
        BillingMode="PAY_PER_REQUEST",
    )
    client.get_waiter("table_exists").wait(TableName="orders")
    return client


def test_statements(db: Any) -> None:
    for n in range(5):
        db.execute_statement(
            Statement="INSERT INTO orders VALUE {'id': 'a', 'n': ?, 'raw': ?}",
            Parameters=[{"N": str(n)}, {"B": b"\x00\xff"}],
        )
    with pytest.raises(db.exceptions.DuplicateItemException) as refused:
        db.execute_statement(Statement="INSERT INTO orders VALUE {'id': 'a', 'n': 1}")
    assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] == 400
    found, token = [], {}
    while True:
        page = db.execute_statement(
            Statement="SELECT n, raw FROM orders WHERE id = 'a' ORDER BY n DESC", Limit=2, **token
        )
        found += page["Items"]
        if "NextToken" not in page:
            break
        token = {"NextToken": page["NextToken"]}
    assert [one["n"]["N"] for one in found] == ["4", "3", "2", "1", "0"]
    assert found[0]["raw"] == {"B": b"\x00\xff"}
    got = db.batch_execute_statement(
        Statements=[
            {"Statement": "UPDATE orders SET x = 1 WHERE id = 'a' AND n = 0"},
            {"Statement": "UPDATE orders SET x = 1 WHERE id = 'a' AND n = 99"},
        ]
    )
    assert [one.get("Error", {}).get("Code") for one in got["Responses"]] == [
        None, "ConditionalCheckFailed",
    ]  # fmt: skip
    with pytest.raises(db.exceptions.TransactionCanceledException) as cancelled:
        db.execute_transaction(
            TransactStatements=[
                {"Statement": "DELETE FROM orders WHERE id = 'a' AND n = 0"},
                {"Statement": "INSERT INTO orders VALUE {'id': 'a', 'n': 1}"},
            ]
        )
    reasons = cancelled.value.response["CancellationReasons"]
    assert [one["Code"] for one in reasons] == ["None", "DuplicateItem"]
