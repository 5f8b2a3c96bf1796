"""What is no request of any client's ends its connection, and harms nobody."""

from __future__ import annotations

import asyncio
import gc
import random
from typing import Any

import pytest

from tests.services.dax.client import (
    BATCH_GET,
    BATCH_WRITE,
    BY_ID,
    ENDPOINTS,
    EQUAL,
    GREETING,
    ONE,
    SET,
    TRANSACT_WRITE,
    UPDATE,
    VARIABLE,
    Client,
    options,
    path,
    paths,
    tree,
)
from tests.services.dax.helpers import cafe, stored
from tests.services.world import World, run, told

GARBAGE = [
    b"GET / HTTP/1.1\r\nhost: x\r\n\r\n",
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    b"gJ7yne5X\x00\xf6\xa0\x00",
    GREETING + b"\x02\x00",
    GREETING + b"\x01\x18\x63",
    GREETING + b"\x01\x60",
    GREETING + b"\xff",
    GREETING + b"\x01\x1a\x0f\xb0\xd9\x2a" + b"\x9b" + b"\xff" * 8,
    GREETING + b"\x01" + b"\x9f" * 200,
    GREETING + b"\x01\x1c",
    GREETING + b"\x01\x1a\x0f\xb0\xd9\x2a" + b"\x5b\x00\x00\x00\xff\xff\xff\xff\xff",
]


@pytest.mark.parametrize("garbage", GARBAGE)
def test_what_is_no_request_ends_the_connection(garbage: bytes) -> None:
    async def story(world: World) -> None:
        port = await cafe(world)
        client = await Client.silent(world, port)
        client.send(garbage)
        assert await client.rest() == b""

    run(story)


@told
async def test_garbage_in_a_request_ends_the_connection_and_nothing_else(world: World) -> None:
    """Real requests with bytes changed: each is answered, or ends its connection at once."""
    crashes: list[Any] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, told: crashes.append(told))
    port = await cafe(world)
    await stored(world, ONE)
    whole = await Client.silent(world, port)
    sent: list[bytes] = []
    whole.send = sent.append
    condition = tree([6, [EQUAL, path("id"), [VARIABLE, 0]], [11, path("a", "b")]], {"S": "x"})
    whole.request(-931250863, b"menu", BY_ID, options({"filter": condition, "limit": 3}))
    whole.request(263244906, b"menu", b"espresso", options({"projection": paths("a.b", "c")}))
    whole.request(BATCH_GET, {"menu": [False, paths("n"), [b"a", b"b"]]}, None)
    whole.request(BATCH_WRITE, {"menu": [b"a", b"\x01", b"b", None]}, options({"capacity": 1}))
    update = tree([[SET, path("price"), [25, path("price"), [VARIABLE, 0]]]], {"N": "1.5"})
    whole.request(UPDATE, b"menu", b"espresso", options({"update": update, "returned": 5}))
    whole.request(
        TRANSACT_WRITE, [9, 12], [b"menu"] * 2, [b"a", b"b"], None, None, [1, 1],
        [None, condition], [update, None], options({"token": "t"}),
    )  # fmt: skip
    chance = random.Random(7)
    for _ in range(1_200):
        request = bytearray(chance.choice(sent))
        for _ in range(chance.randint(1, 3)):
            place = chance.randrange(len(request))
            way = chance.randrange(3)
            if way == 0:
                request[place] = chance.randrange(256)
            elif way == 1:
                del request[place]
            else:
                request.insert(place, chance.randrange(256))
        client = await Client.to(world, port)
        client.send(bytes(request))
        client.end()
        await client.rest()
        client.close()
    gc.collect()
    await world.settle()
    assert crashes == []
    client = await Client.to(world, port)
    assert await client.ask(ENDPOINTS)


@told
async def test_requests_that_come_by_single_bytes_are_served(world: World) -> None:
    port = await cafe(world)
    await stored(world, {**ONE, "text": {"S": "x" * 300}, "n": {"N": "1000000"}})
    client = await Client.to(world, port)
    sent: list[bytes] = []
    send, client.send = client.send, sent.append
    client.request(263244906, b"menu", b"espresso", options({"consistent": True, "capacity": 1}))
    client.request(BATCH_GET, {"menu": [False, None, [b"espresso", b"y" * 300]]}, None)
    client.send = send
    for request in sent:
        for byte in request:
            client.send(bytes([byte]))
            await asyncio.sleep(0)
    assert await client.values(2)
    assert await client.values(3)
