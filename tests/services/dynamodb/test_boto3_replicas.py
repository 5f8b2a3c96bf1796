"""Global tables through a real client."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from doppio.testing import Account, Cloud

HERE, THERE = "us-east-1", "eu-central-1"


@pytest.fixture
def account() -> Iterator[Account]:
    with Cloud() as running:
        yield running.account()


def until(what: Callable[[], bool]) -> None:
    """Wait for what comes by itself."""
    deadline = time.monotonic() + 20
    while not what():
        assert time.monotonic() < deadline, "it did not come"
        time.sleep(0.01)


def test_a_replica_is_made_written_at_both_ends_and_deleted(account: Account) -> None:
    here, there = (account.client("dynamodb", region_name=one) for one in (HERE, THERE))
    here.create_table(
        TableName="music",
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
        StreamSpecification={"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"},
    )
    here.get_waiter("table_exists").wait(TableName="music")
    here.put_item(TableName="music", Item={"id": {"S": "a"}})
    here.update_table(TableName="music", ReplicaUpdates=[{"Create": {"RegionName": THERE}}])

    def replicas(client: Any) -> list[tuple[str, str]]:
        shown = client.describe_table(TableName="music")["Table"]
        return [(one["RegionName"], one["ReplicaStatus"]) for one in shown.get("Replicas", [])]

    until(lambda: replicas(here) == [(THERE, "ACTIVE")])
    there.get_waiter("table_exists").wait(TableName="music")
    assert replicas(there) == [(HERE, "ACTIVE")]
    there.put_item(TableName="music", Item={"id": {"S": "b"}, "raw": {"B": b"\x00\xff"}})

    def items(client: Any) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = client.scan(TableName="music")["Items"]
        return sorted(found, key=lambda one: str(one["id"]))

    until(lambda: len(items(here)) == 2)
    assert items(here) == items(there)
    assert items(here)[1] == {"id": {"S": "b"}, "raw": {"B": b"\x00\xff"}}
    here.update_table(TableName="music", ReplicaUpdates=[{"Delete": {"RegionName": THERE}}])
    there.get_waiter("table_not_exists").wait(TableName="music", WaiterConfig={"Delay": 1})
    until(lambda: not replicas(here))
    here.delete_table(TableName="music")
