from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from doppio.kernel.context import row_key
from doppio.kernel.keys import pack
from doppio.kernel.records import TABLES, Index, record, table_of
from tests.services.world import World, told

BY_PRICE: Index[Cup] = Index("price", ("shop", "price"))
BY_SIZE: Index[Cup] = Index("size", ("size",))
OF_CUP: Index[Regular] = Index("cup", ("shop", "cup"))


@record("test.cup", key=("shop", "number"), indexes=(BY_PRICE, BY_SIZE))
class Cup(msgspec.Struct, frozen=True, kw_only=True):
    shop: str
    number: int
    price: int
    size: str | None = None
    at: datetime | None = None
    notes: dict[str, list[bytes]] = {}
    share: float = 0.0


@record(
    "test.regular", key=("shop", "name"), indexes=(OF_CUP,), partitioned=True,
)  # fmt: skip
class Regular(msgspec.Struct, frozen=True, kw_only=True):
    shop: str
    name: str
    cup: int


@record("test.menu", key=("shop", "name"), extract=lambda menu: menu.title.encode())
class Menu(msgspec.Struct, frozen=True, kw_only=True):
    shop: str
    name: str
    title: str
    pages: bytes = b""


MOMENTS = st.integers(0, 2**33).map(lambda seconds: datetime.fromtimestamp(seconds, UTC))
CUPS = st.builds(
    Cup,
    shop=st.text(max_size=10),
    number=st.integers(-(2**62), 2**62),
    price=st.integers(0, 2**40),
    size=st.none() | st.text(max_size=5),
    at=st.none() | MOMENTS,
    notes=st.dictionaries(st.text(max_size=5), st.lists(st.binary(max_size=5)), max_size=3),
    share=st.floats(allow_nan=False),
)


@given(CUPS)
def test_every_field_comes_back(cup: Cup) -> None:
    table = table_of(Cup)
    assert table.decode(table.encode(cup)) == cup


@given(CUPS, CUPS)
def test_keys_stand_in_the_order_of_their_fields(one: Cup, other: Cup) -> None:
    table = table_of(Cup)
    order = (one.shop.encode(), one.number) < (other.shop.encode(), other.number)
    assert (table.key(one) < table.key(other)) == order


def test_a_row_without_a_later_field_has_its_default() -> None:
    old = msgspec.msgpack.encode({"shop": "s", "number": 1, "price": 2})
    assert table_of(Cup).decode(old) == Cup(shop="s", number=1, price=2)


def test_a_table_has_one_class_and_an_index_one_table() -> None:
    with pytest.raises(AssertionError, match="two record classes"):
        record("test.cup", key=("x",))(Cup)
    with pytest.raises(AssertionError, match="two tables"):
        record("test.other", key=("x",), indexes=(BY_SIZE,))(Cup)
    assert "test.other" not in TABLES


def cup(number: int, **more: Any) -> Cup:
    return Cup(**{"shop": "s", "number": number, "price": number, **more})


@told
async def test_records_are_found_by_key_and_by_index(world: World) -> None:
    context = world.cloud.root_context()
    async with context.write() as tx:
        for number in range(10):
            tx.add(cup(number, price=100 - number, size="big" if number % 2 else None))
        tx.add(cup(1, shop="t"))
    reader = context.read()
    assert await reader.get(Cup, "s", 3) == cup(3, price=97, size="big")
    assert await reader.get(Cup, "s", 99) is None
    numbers = [c.number for c in await reader.list(Cup, ("s",), since=4, until=6, limit=10)]
    assert numbers == [4, 5, 6]
    last = await reader.list(Cup, ("s",), limit=2, reverse=True)
    assert [c.number for c in last] == [9, 8]
    before = await reader.list(Cup, ("s",), after=row_key(last[-1]), limit=2, reverse=True)
    assert [c.number for c in before] == [7, 6]
    cheap = await reader.find(BY_PRICE, ("s",), limit=3)
    assert [c.price for c in cheap] == [91, 92, 93]
    assert len(await reader.find(BY_SIZE, ("big",), limit=100)) == 5


@told
async def test_an_index_follows_its_records(world: World) -> None:
    context = world.cloud.root_context()
    async with context.write() as tx:
        tx.add(cup(1, size="big"))
    async with context.write() as tx:
        found = await tx.get(Cup, "s", 1)
        assert found is not None
        tx.put(cup(1, size="small", price=7))
        assert [c.price for c in await tx.find(BY_SIZE, ("small",), limit=5)] == [7]
        assert await tx.find(BY_SIZE, ("big",), limit=5) == []
    async with context.write() as tx:
        [found] = await tx.find(BY_PRICE, ("s",), limit=5)
        tx.delete(found)
    assert await context.read().find(BY_SIZE, ("small",), limit=5) == []
    assert [key for key in world.memory.disk if b"test.cup" in key] == []


@told
async def test_an_extract_stands_where_its_record_does_and_follows_it(world: World) -> None:
    context = world.cloud.root_context()
    table = table_of(Menu)

    async def extracts() -> list[tuple[bytes, bytes]]:
        lo = table.extract_prefix + pack("s")
        rows = await context.read().raw.scan(lo, lo + b"\xff", limit=10)
        return [(key[len(lo) :], value) for key, value in rows]

    async with context.write() as tx:
        for name in ("b", "a\0b", "ü"):
            tx.add(Menu(shop="s", name=name, title=f"of {name}", pages=b"x" * 100))
        tx.add(Menu(shop="t", name="other", title="elsewhere"))
    assert await extracts() == [(pack(n), f"of {n}".encode()) for n in ("a\0b", "b", "ü")]
    async with context.write() as tx:
        tx.put(Menu(shop="s", name="b", title="new"))
        found = await tx.get(Menu, "s", "ü")
        tx.delete(found)
    assert await extracts() == [(pack("a\0b"), b"of a\0b"), (pack("b"), b"new")]
    assert [menu.name for menu in await context.read().list(Menu, ("s",), limit=9)] == ["a\0b", "b"]


@told
async def test_a_record_is_put_under_its_key_by_who_knows_it(world: World) -> None:
    context = world.cloud.root_context()
    menu = Menu(shop="s", name="b", title="of b")
    async with context.write() as tx:
        assert tx.put(menu, row_key(menu)) is menu
    assert await context.read().get(Menu, "s", "b") == menu
    lo = table_of(Menu).extract_prefix
    rows = await context.read().raw.scan(lo, lo + b"\xff", limit=9)
    assert [value for _, value in rows] == [b"of b"]


@told
async def test_an_indexed_record_is_not_put_unread(world: World) -> None:
    context = world.cloud.root_context()
    async with context.write() as tx:
        with pytest.raises(AssertionError, match=r"read test\.cup in this transaction"):
            tx.put(cup(1))


@told
async def test_what_is_partitioned_is_found_in_its_own_partition_alone(world: World) -> None:
    here = world.cloud.root_context()
    there = world.cloud.root_context(region="us-gov-west-1")
    for context, number in ((here, 1), (there, 2)):
        async with context.write() as tx:
            tx.add(Regular(shop="s", name="ada", cup=number))
            tx.add(cup(number))
    for context, number in ((here, 1), (there, 2)):
        reader = context.read()
        ada = Regular(shop="s", name="ada", cup=number)
        assert await reader.get(Regular, "s", "ada") == ada
        assert await reader.list(Regular, limit=10) == [ada]
        assert await reader.find(OF_CUP, ("s", number), limit=10) == [ada]
        assert await reader.find(OF_CUP, ("s", 3 - number), limit=10) == []
        # What is not partitioned is one for all.
        assert len(await reader.list(Cup, limit=10)) == 2
    async with there.write() as tx:
        ada = await tx.get(Regular, "s", "ada")
        assert ada is not None
        tx.put(msgspec.structs.replace(ada, cup=3))
    assert [r.cup for r in await there.read().find(OF_CUP, ("s",), limit=10)] == [3]
    async with there.write() as tx:
        ada = await tx.get(Regular, "s", "ada")
        tx.delete(ada)
    assert await there.read().find(OF_CUP, limit=10) == []
    assert await here.read().get(Regular, "s", "ada") is not None


@told
async def test_one_transaction_may_write_in_two_partitions(world: World) -> None:
    here = world.cloud.root_context()
    async with here.write() as tx:
        tx.add(Regular(shop="s", name="ada", cup=1))
        other = tx.elsewhere(here.derive(here.caller, region="cn-north-1"))
        assert await other.get(Regular, "s", "ada") is None
        other.put(Regular(shop="s", name="ada", cup=2))
        back = other.elsewhere(here)
        assert await back.get(Regular, "s", "ada") == Regular(shop="s", name="ada", cup=1)
    there = world.cloud.root_context(region="cn-northwest-1").read()
    assert await there.get(Regular, "s", "ada") == Regular(shop="s", name="ada", cup=2)
