"""Rows of items say how large the items are; rows from before they did are read as well."""

from __future__ import annotations

from functools import partial
from typing import Any

import msgspec
import pytest
from hypothesis import given

from doppio.services.dynamodb.item_rows import decode_row, encode_row, item_in, size_in
from doppio.services.dynamodb.records import ITEMS
from doppio.services.dynamodb.values import checked_item, size_of
from tests.services.world import World, run

from . import reference
from .helpers import caller, described, get, item, make, put, scanned


@given(reference.ITEMS)
def test_an_item_comes_out_of_its_row_with_its_size(one: Any) -> None:
    one = {name: reference.wire(value) for name, value in one.items()}
    size = checked_item(one)
    assert size == size_of(one)
    raw = encode_row(size, one)
    assert decode_row(raw) == (size, one)
    assert (size_in(raw), item_in(raw)) == (size, one)
    alone = msgspec.msgpack.encode(one)
    assert decode_row(alone) == (size, one)
    assert (size_in(alone), item_in(alone)) == (size, one)


@pytest.mark.parametrize(("length", "read", "written"), [(1, 1.0, 1.0), (5_000, 2.0, 5.0)])
def test_a_row_without_a_size_is_read_counted_and_replaced(
    length: int, read: float, written: float
) -> None:
    async def story(world: World) -> None:
        await make(world)
        old = item(id="a", v="x" * length)
        await put(world, id="a", v="x" * length)
        [row] = [key for key in world.memory.disk if key.startswith(ITEMS)]
        tx = world.memory.begin()
        tx.put(row, msgspec.msgpack.encode(old))
        await tx.commit()
        call = partial(caller(world), TableName="orders", ReturnConsumedCapacity="TOTAL")
        got = await call("get_item", Key=item(id="a"), ConsistentRead=True)
        assert (got["Item"], got["ConsumedCapacity"]["CapacityUnits"]) == (old, read)
        assert await scanned(world) == [old]
        done = await call("put_item", Item=item(id="a", v="y"))
        # What is larger counts, and that was what is gone.
        assert done["ConsumedCapacity"]["CapacityUnits"] == written
        assert await get(world, id="a") == item(id="a", v="y")
        table = await described(world)
        assert (table["ItemCount"], table["TableSizeBytes"]) == (1, 5)

    run(story)
