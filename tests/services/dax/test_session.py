"""Requests on the wire: what the caches answer, and what passes through."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from doppio.kernel.regions import set_zone
from doppio.services.dax.cbor import Reader
from tests.services.dax.client import (
    ATTRIBUTE_NOT_EXISTS,
    BATCH_GET,
    BATCH_WRITE,
    BY_ID,
    DEARER,
    DELETE,
    ENDPOINTS,
    EQUAL,
    KEY,
    KEY_SCHEMA,
    LIST,
    ONE,
    PRICE,
    SET,
    TRANSACT_GET,
    TRANSACT_WRITE,
    UPDATE,
    VARIABLE,
    Client,
    options,
    path,
    paths,
    refusal,
    refused,
    tree,
)
from tests.services.dax.helpers import cafe, described, open_cluster, role, stored, table
from tests.services.world import ACCOUNT, World, told


@told
async def test_an_item_is_remembered_until_its_time_is_over(world: World) -> None:
    client = await Client.to(world, await cafe(world))
    await stored(world, ONE)
    assert await client.get("menu", KEY) == PRICE
    await stored(world, DEARER)
    assert await client.get("menu", KEY) == PRICE
    assert await client.get("menu", KEY, consistent=True) == {"price": {"N": "3"}}
    assert await client.get("menu", KEY) == PRICE, "what passes through is not remembered"
    await world.advance(299.9)
    assert await client.get("menu", KEY) == PRICE
    await world.advance(0.2)
    client.authorize(ACCOUNT, "test")
    assert await client.get("menu", KEY) == {"price": {"N": "3"}}


@told
async def test_that_there_is_no_item_is_remembered_too(world: World) -> None:
    client = await Client.to(world, await cafe(world))
    assert await client.get("menu", KEY) is None
    await stored(world, ONE)
    assert await client.get("menu", KEY) is None
    assert await client.get("menu", KEY, consistent=True) == PRICE
    await client.put("menu", DEARER)
    assert await client.get("menu", KEY) == {"price": {"N": "3"}}


@told
async def test_what_is_written_by_dax_is_read_by_dax_and_is_in_dynamodb(world: World) -> None:
    client = await Client.to(world, await cafe(world))
    await client.put("menu", ONE)
    found = await world.call("dynamodb", "get_item", TableName="menu", Key=KEY)
    assert found["Item"] == ONE
    await world.call("dynamodb", "delete_item", TableName="menu", Key=KEY)
    assert await client.get("menu", KEY) == PRICE, "it was remembered when it was written"
    await client.ask(DELETE, b"menu", b"espresso", None)
    await stored(world, ONE)
    assert await client.get("menu", KEY) is None, "that it is gone was remembered"
    await client.ask(UPDATE, b"menu", b"new", None)
    assert await client.get("menu", {"id": {"S": "new"}}) == {}, "it is its key alone"
    raise_ = tree([[SET, path("price"), [VARIABLE, 0]]], {"N": "4"})
    await client.ask(UPDATE, b"menu", b"espresso", options({"update": raise_}))
    await stored(world, ONE)
    assert await client.get("menu", KEY) == {"price": {"N": "4"}}
    answer = await client.ask(
        UPDATE, b"menu", b"espresso", options({"update": raise_, "returned": 3})
    )
    number, changed = client_values(answer[2])
    assert (await client.names(number), changed) == (["price"], {0: Decimal("2.5")})
    await stored(world, ONE)
    assert await client.get("menu", KEY) == PRICE, "what is not known whole is not remembered"


def client_values(data: bytes) -> tuple[int, Any]:
    """The number of a list, and the map behind it."""
    reader = Reader(data)
    return reader.value(), reader.value()


@told
async def test_a_condition_that_fails_changes_nothing(world: World) -> None:
    client = await Client.to(world, await cafe(world))
    await stored(world, ONE)
    new = tree([ATTRIBUTE_NOT_EXISTS, path("id")])
    code = await refusal(client.put("menu", DEARER, condition=new))
    assert code == "ConditionalCheckFailedException"
    assert await client.get("menu", KEY) == PRICE
    await client.ask(DELETE, b"menu", b"espresso", None)
    assert await client.put("menu", DEARER, condition=new) == {}
    answer = await client.put("menu", ONE, returned=2)
    assert await client.unpacked(answer[2]) == {"price": {"N": "3"}}


@told
async def test_a_query_is_remembered_whole_and_no_write_changes_it(world: World) -> None:
    client = await Client.to(world, await cafe(world))
    await client.put("menu", ONE)
    first = await client.query("menu", BY_ID, capacity=1)
    assert await client.items(first) == [ONE]
    assert 1 in first
    await client.put("menu", DEARER)
    again = await client.query("menu", BY_ID, capacity=1)
    assert await client.items(again) == [ONE]
    assert 1 not in again, "who asks for nothing uses no capacity"
    fresh = await client.query("menu", BY_ID, consistent=1)
    assert await client.items(fresh) == [DEARER]
    assert await client.items(await client.query("menu", BY_ID, limit=5)) == [DEARER]
    await world.advance(301)
    assert await client.items(await client.query("menu", BY_ID, capacity=1)) == [DEARER]


@told
async def test_a_scan_is_remembered_by_its_page(world: World) -> None:
    client = await Client.to(world, await cafe(world))
    for number in range(3):
        await stored(world, {"id": {"S": f"i{number}"}})
    seen: list[str] = []
    more: dict[str, Any] = {}
    while True:
        page = await client.scan("menu", limit=1, **more)
        seen += [one["id"]["S"] for one in await client.items(page)]
        assert page[8] == len(page[7])
        if 9 not in page:
            break
        more = {"start": page[9]}
    assert sorted(seen) == ["i0", "i1", "i2"]
    await world.call("dynamodb", "delete_item", TableName="menu", Key={"id": {"S": seen[0]}})
    page = await client.scan("menu", limit=1)
    assert [one["id"]["S"] for one in await client.items(page)] == seen[:1]
    projected = await client.scan("menu", projection=paths("id"), select=4)
    assert sorted(one[0] for one in projected[7]) == sorted(seen[1:])
    assert 7 not in await client.scan("menu", select=3)


@told
async def test_the_parameters_of_the_group_count_at_once(world: World) -> None:
    client = await Client.to(world, await cafe(world))
    await world.call("dax", "create_parameter_group", ParameterGroupName="g")
    values = [
        {"ParameterName": "record-ttl-millis", "ParameterValue": "1000"},
        {"ParameterName": "query-ttl-millis", "ParameterValue": "0"},
    ]
    await world.call(
        "dax", "update_parameter_group", ParameterGroupName="g", ParameterNameValues=values
    )
    await stored(world, ONE)
    await client.get("menu", KEY)
    await client.query("menu", BY_ID)
    await stored(world, DEARER)
    await world.advance(2)
    assert await client.get("menu", KEY) == PRICE
    await world.call("dax", "update_cluster", ClusterName="c", ParameterGroupName="g")
    assert await client.get("menu", KEY) == {"price": {"N": "3"}}
    await world.advance(days=365)
    assert await client.items(await client.query("menu", BY_ID)) == [ONE], "zero is for ever"


@told
async def test_batches_use_the_cache_and_fill_it(world: World) -> None:
    client = await Client.to(world, await cafe(world))
    puts: list[Any] = []
    for number in range(3):
        item = {"id": {"S": f"i{number}"}, "n": {"N": str(number)}}
        puts += [f"i{number}".encode(), await client.packed(item)]
    left, consumed, _ = await client.ask(
        BATCH_WRITE, {"menu": [*puts, b"gone", None]}, options({"capacity": 1})
    )
    assert (left, len(consumed)) == ({}, 1)
    for number in range(3):
        await stored(world, {"id": {"S": f"i{number}"}, "n": {"N": "9"}})
    await stored(world, {"id": {"S": "gone"}})
    await stored(world, {"id": {"S": "new"}, "n": {"N": "1"}})
    keys = [b"i0", b"i1", b"i2", b"gone", b"new", b"none"]
    (found, unread), consumed = await client.ask(
        BATCH_GET, {"menu": [False, None, keys]}, options({"capacity": 1})
    )
    flat = found["menu"]
    got = {key: await client.unpacked(one) for key, one in zip(flat[::2], flat[1::2], strict=True)}
    assert got == {
        b"i0": {"n": {"N": "0"}}, b"i1": {"n": {"N": "1"}}, b"i2": {"n": {"N": "2"}},
        b"new": {"n": {"N": "1"}},
    }  # fmt: skip
    assert (unread, len(consumed)) == ({}, 1)
    (again, _), consumed = await client.ask(
        BATCH_GET, {"menu": [False, None, keys]}, options({"capacity": 1})
    )
    assert (again, consumed) == (found, [])
    (fresh, _), _ = await client.ask(BATCH_GET, {"menu": [True, paths("n"), [b"i0"]]}, None)
    assert fresh == {"menu": [{0: 9}]}
    many = [str(number).encode() for number in range(101)]
    call = client.ask(BATCH_GET, {"menu": [False, None, many]}, None)
    assert await refusal(call) == "ValidationException"


@told
async def test_transactions_pass_through(world: World) -> None:
    client = await Client.to(world, await cafe(world))
    await stored(world, ONE)
    assert await client.get("menu", KEY) == PRICE
    update = tree([[SET, path("price"), [VARIABLE, 0]]], {"N": "7"})
    new = {"id": {"S": "latte"}, "price": {"N": "4"}}
    answer = await client.ask(
        TRANSACT_WRITE, [9, 2, 7, 12], [b"menu"] * 4, [b"espresso", b"latte", b"tea", b"milk"],
        [None, await client.packed(new), None, None], None, [1, 1, 1, 1],
        [None, None, None, tree([ATTRIBUTE_NOT_EXISTS, path("id")])],
        [update, None, None, None], options({"token": "once", "capacity": 1}),
    )  # fmt: skip
    assert len(answer) == 3
    assert await client.get("menu", KEY) == {"price": {"N": "7"}}
    got, consumed = await client.ask(
        TRANSACT_GET, [b"menu"] * 3, [b"espresso", b"latte", b"tea"],
        [None, paths("price"), None], options({"capacity": 1}),
    )  # fmt: skip
    assert await client.unpacked(got[0]) == {"price": {"N": "7"}}
    assert got[1:] == [{0: 4}, None]
    assert consumed[0][4] == "menu"
    call = client.ask(
        TRANSACT_WRITE, [7, 12], [b"menu"] * 2, [b"espresso", b"latte"], None, None, [1, 2],
        [None, tree([ATTRIBUTE_NOT_EXISTS, path("id")])], None, None,
    )  # fmt: skip
    error = await refused(call)
    assert error.code == "TransactionCanceledException"
    assert error.numbers == [4, 37, 38, 39, 58]
    assert error.reasons[0] == "None"
    assert error.reasons[3] == "ConditionalCheckFailed"
    assert await client.unpacked(error.reasons[5]) == {"price": {"N": "4"}}
    assert await client.get("menu", KEY) == {"price": {"N": "7"}}


@told
async def test_sort_keys_of_every_type_are_told_apart(world: World) -> None:
    await role(world, "dynamodb:*")
    made = await open_cluster(world)
    client = await Client.to(world, made["Nodes"][0]["Endpoint"]["Port"])
    values = {"S": ["", "a", "é"], "N": ["-1000", "-1.5", "0", "7", "1e60"], "B": [b"\x00", b"x"]}
    for kind, listed in values.items():
        name = f"table{kind}"
        await table(world, name, sort=kind)
        schema = (("id", "S"), ("at", kind))
        assert await client.ask(KEY_SCHEMA, name.encode()) == {"id": "S", "at": kind}
        listed = [one for one in listed if one != ""]
        for place, value in enumerate(listed):
            item = {"id": {"S": "x"}, "at": {kind: value}, "n": {"N": str(place)}}
            await client.put(name, item, schema)
        for place, value in enumerate(listed):
            key = {"id": {"S": "x"}, "at": {kind: value}}
            for consistent in (False, True):
                got = await client.get(name, key, schema, consistent=consistent)
                assert got == {"n": {"N": str(place)}}
        found = await client.query(name, tree([EQUAL, path("id"), [VARIABLE, 0]], {"S": "x"}))
        seen = [one["n"]["N"] for one in await client.items(found, schema)]
        assert seen == [str(place) for place in range(len(listed))]


@told
async def test_indexes_page_by_their_own_keys(world: World) -> None:
    await role(world, "dynamodb:*")
    types = [
        {"AttributeName": "id", "AttributeType": "S"}, {"AttributeName": "n", "AttributeType": "N"},
    ]  # fmt: skip
    await world.call(
        "dynamodb", "create_table", TableName="menu", BillingMode="PAY_PER_REQUEST",
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}], AttributeDefinitions=types,
        GlobalSecondaryIndexes=[{
            "IndexName": "by_n", "Projection": {"ProjectionType": "ALL"},
            "KeySchema": [{"AttributeName": "n", "KeyType": "HASH"}],
        }],
    )  # fmt: skip
    await world.advance(60)
    made = await open_cluster(world)
    client = await Client.to(world, made["Nodes"][0]["Endpoint"]["Port"])
    for name in "abc":
        await client.put("menu", {"id": {"S": name}, "n": {"N": "1"}})
    await world.settle()
    by_n = tree([EQUAL, path("n"), [VARIABLE, 0]], {"N": "1"})
    seen: list[str] = []
    more: dict[str, Any] = {}
    while True:
        page = await client.query("menu", by_n, index=b"by_n", limit=2, **more)
        seen += [one["id"]["S"] for one in await client.items(page)]
        if 9 not in page:
            break
        more = {"start": page[9]}
    assert sorted(seen) == ["a", "b", "c"]


@told
async def test_clients_find_the_nodes_and_who_takes_the_writes(world: World) -> None:
    await cafe(world, ReplicationFactor=3)
    found = await described(world)
    for port in (found["ClusterDiscoveryEndpoint"]["Port"], found["Nodes"][2]["Endpoint"]["Port"]):
        client = await Client.to(world, port)
        nodes = await client.ask(ENDPOINTS)
        assert [one[3] for one in nodes] == [one["Endpoint"]["Port"] for one in found["Nodes"]]
        assert [one[4] for one in nodes] == [1, 2, 2]
        assert [one[5] for one in nodes] == [one["AvailabilityZone"] for one in found["Nodes"]]
        assert {one[2] for one in nodes} == {bytes([127, 0, 0, 1])}
        client.close()


@told
async def test_a_node_in_a_zone_that_is_down_serves_nobody(world: World) -> None:
    await cafe(world, ReplicationFactor=2)
    found = await described(world)
    first, second = (one["Endpoint"]["Port"] for one in found["Nodes"])
    client, other = await Client.to(world, first), await Client.to(world, second)
    async with world.cloud.root_context().write() as tx:
        set_zone(tx, found["Nodes"][0]["AvailabilityZone"], "down")
    client.request(ENDPOINTS)
    assert await client.rest() == b""
    nodes = await other.ask(ENDPOINTS)
    assert [(one[3], one[4]) for one in nodes] == [(second, 1)]


@told
async def test_lists_of_names_keep_their_numbers(world: World) -> None:
    client = await Client.to(world, await cafe(world))
    await client.put("menu", ONE)
    number = client._lists[("price",)]
    again = world.again()
    await world.close()
    await again.start()
    try:
        await again.settle()
        found = await described(again)
        other = await Client.to(again, found["Nodes"][0]["Endpoint"]["Port"])
        assert await other.names(number) == ["price"]
        other._lists[("price",)] = number
        await other.put("menu", DEARER)
        assert await other.get("menu", KEY) == {"price": {"N": "3"}}
        await other.put("menu", {"id": {"S": "x"}, "milk": {"BOOL": True}})
        assert other._lists[("milk",)] > number
        assert await refusal(other.ask(LIST, 12_345)) == "ValidationException"
    finally:
        await again.close()
