"""Models of a real PynamoDB, run by an interpreter that has it. Each check asserts; the end says "done"."""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from pynamodb.attributes import (
    BooleanAttribute,
    JSONAttribute,
    ListAttribute,
    MapAttribute,
    NumberAttribute,
    UnicodeAttribute,
    UnicodeSetAttribute,
    UTCDateTimeAttribute,
    VersionAttribute,
)
from pynamodb.connection import Connection
from pynamodb.exceptions import DoesNotExist, PutError, TransactWriteError, UpdateError
from pynamodb.indexes import AllProjection, GlobalSecondaryIndex
from pynamodb.models import Model
from pynamodb.transactions import TransactGet, TransactWrite

HOST, REGION = os.environ["AWS_ENDPOINT_URL"], os.environ["AWS_REGION"]


class Address(MapAttribute):
    street = UnicodeAttribute()
    number = NumberAttribute(null=True)


class ByShop(GlobalSecondaryIndex):
    class Meta:
        index_name = "by-shop"
        projection = AllProjection()

    shop = UnicodeAttribute(hash_key=True)
    n = NumberAttribute(range_key=True)


class Order(Model):
    class Meta:
        table_name = "pynamo"
        host = HOST
        region = REGION
        billing_mode = "PAY_PER_REQUEST"

    customer = UnicodeAttribute(hash_key=True)
    n = NumberAttribute(range_key=True)
    shop = UnicodeAttribute(default="corner")
    at = UTCDateTimeAttribute(null=True)
    tags = UnicodeSetAttribute(null=True)
    paid = BooleanAttribute(default=False)
    lines = ListAttribute(null=True)
    address = Address(null=True)
    extra = JSONAttribute(null=True)
    by_shop = ByShop()


class Counter(Model):
    class Meta:
        table_name = "pynamo-counters"
        host = HOST
        region = REGION
        read_capacity_units = write_capacity_units = 5

    id = UnicodeAttribute(hash_key=True)
    value = NumberAttribute(default=0)
    version = VersionAttribute()


def raised(kind: type[Exception], work: Callable[[], Any]) -> Any:
    """The error that some work ends with."""
    try:
        work()
    except kind as error:
        return error
    raise AssertionError(f"no {kind.__name__}")


def too_much(connection: Connection) -> None:
    """A transaction whose check does not hold."""
    with TransactWrite(connection=connection) as transaction:
        transaction.save(Order("eve", 2))
        transaction.condition_check(Counter, "d", condition=Counter.value > 3)


def items() -> None:
    at = datetime(2030, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)
    order = Order("ann", 1, at=at, tags={"a", "b"}, lines=[1, "x", {"k": True}], extra={"e": [1]},
                  address=Address(street="Main", number=5))  # fmt: skip
    order.save()
    found = Order.get("ann", 1, consistent_read=True)
    assert found.at == at
    assert found.tags == {"a", "b"}
    assert found.address.street == "Main"
    assert found.extra == {"e": [1]}
    found.update(
        actions=[Order.paid.set(True), Order.address.number.set(7), Order.tags.delete({"a"}),
                 Order.lines.set(Order.lines.append(["last"]))],
        condition=Order.paid == False,  # noqa: E712
    )  # fmt: skip
    found.refresh()
    assert (found.paid, found.address.number, found.tags) == (True, 7, {"b"})
    assert found.lines[-1] == "last"
    refused = raised(
        PutError, lambda: Order("ann", 1).save(condition=Order.customer.does_not_exist())
    )
    assert refused.cause_response_code == "ConditionalCheckFailedException"
    found.delete()
    raised(DoesNotExist, lambda: Order.get("ann", 1))


def many() -> None:
    with Order.batch_write() as batch:
        for n in range(60):
            batch.save(Order("bob", n, shop=f"shop{n % 3}"))
    assert [one.n for one in Order.query("bob", Order.n.between(10, 14))] == [10, 11, 12, 13, 14]
    newest = Order.query("bob", scan_index_forward=False, limit=3, page_size=2)
    assert [one.n for one in newest] == [59, 58, 57]
    kept = Order.query("bob", filter_condition=Order.shop.is_in("shop1", "shop2"))
    assert sum(1 for _ in kept) == 40
    assert Order.by_shop.count("shop0", Order.n < 30) == 10
    assert sum(1 for _ in Order.scan(segment=0, total_segments=1)) == 60
    keys = [("bob", n) for n in range(0, 60, 2)]
    assert len(list(Order.batch_get(keys))) == 30


def versions_and_transactions() -> None:
    counter = Counter("c")
    counter.save()
    stale = Counter.get("c")
    counter.update(actions=[Counter.value.add(1)])
    assert counter.version == 2
    refused = raised(UpdateError, lambda: stale.update(actions=[Counter.value.add(1)]))
    assert refused.cause_response_code == "ConditionalCheckFailedException"
    connection = Connection(host=HOST, region=REGION)
    with TransactWrite(connection=connection, client_request_token="one") as transaction:
        transaction.save(Order("eve", 1), condition=Order.customer.does_not_exist())
        transaction.update(Counter("d"), actions=[Counter.value.set(3)])
        transaction.delete(Order("bob", 0))
    cancelled = raised(TransactWriteError, lambda: too_much(connection))
    reasons = [reason and reason.code for reason in cancelled.cancellation_reasons]
    assert reasons == ["ConditionalCheckFailed", None]  # PynamoDB sends its checks first.
    with TransactGet(connection=connection) as transaction:
        one = transaction.get(Order, "eve", 1)
        other = transaction.get(Counter, "d")
    assert (one.get().n, other.get().value) == (1, 3)


for model in (Order, Counter):
    model.create_table(wait=True)
items()
many()
versions_and_transactions()
for model in (Order, Counter):
    model.delete_table()
print("done")
