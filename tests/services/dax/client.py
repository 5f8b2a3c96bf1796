"""A small client of DAX's, for tests: it speaks the wire to a node's port, and shows what it hears."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import ssl
from collections.abc import Awaitable, Mapping
from datetime import UTC, datetime
from typing import Any, Self

from doppio.services.dax.cbor import Extent, Reader, put, put_bytes, put_int, put_null
from doppio.services.dax.items import attribute_value, key_bytes, names_of, put_value, read_key
from doppio.wire import sigv4
from tests.services.world import ACCOUNT, REGION, World

Schema = tuple[tuple[str, str], ...]
HASH: Schema = (("id", "S"),)
GREETING = b"gJ7yne5G\x00\xf6\xa1" + b"iUserAgent" + b"dtest" + b"\x00"
AUTHORIZE, ENDPOINTS = 1489122155, 455855874
KEY_SCHEMA, LIST, LIST_NUMBER = -742646399, 670678385, -1230579644
GET, PUT, DELETE, UPDATE = 263244906, -2106490455, 1013539361, 1425579023
QUERY, SCAN, BATCH_GET, BATCH_WRITE = -931250863, -1875390620, -697851100, 116217951
TRANSACT_GET, TRANSACT_WRITE = 1866287579, -1160037738
ANSWERS = {BATCH_GET: 2, BATCH_WRITE: 3}
ATTRIBUTE_EXISTS, ATTRIBUTE_NOT_EXISTS, EQUAL, VARIABLE, PATH, SET = 11, 12, 0, 17, 18, 19


class Refused(Exception):
    """An error that a node has answered."""

    def __init__(self, numbers: list[int], text: str, told: Any) -> None:
        super().__init__(text)
        self.numbers = numbers
        self.code: str = told[1]
        self.reasons = told[3] if len(told) > 3 else None


class Raw(bytes):
    """What is on the wire already."""


def path(*parts: str) -> list[Any]:
    """A document path in a tree."""
    return [PATH, *parts]


def tree(node: Any, *values: Mapping[str, Any]) -> bytes:
    """A condition or an update as clients parse it."""
    out = bytearray(b"\x83\x01")
    put(out, node)
    out.append(0x80 | len(values))
    for one in values:
        put_value(out, one)
    return bytes(out)


def paths(*names: str) -> bytes:
    """A projection."""
    out = bytearray(b"\x82\x01")
    put(out, [path(*name.split(".")) for name in names])
    return bytes(out)


class Ear(asyncio.Protocol):
    """What a connection hears."""

    def __init__(self) -> None:
        self.heard = bytearray()
        self.ended = False
        self.news = asyncio.Event()

    def data_received(self, data: bytes) -> None:
        self.heard += data
        self.news.set()

    def connection_lost(self, exc: Exception | None) -> None:
        self.ended = True
        self.news.set()

    async def more(self) -> bool:
        """Wait for more than was heard; False if there is no more."""
        self.news.clear()
        if not self.ended:
            await self.news.wait()
        return not self.ended


class Client:
    """A connection to a node."""

    def __init__(self, world: World, transport: asyncio.Transport, ear: Ear) -> None:
        self.world = world
        self._transport = transport
        self._ear = ear
        self._lists: dict[tuple[str, ...], int] = {}

    @classmethod
    async def silent(cls, world: World, port: int, tls: ssl.SSLContext | None = None) -> Self:
        """Connect, and say nothing."""
        loop = asyncio.get_running_loop()
        return cls(world, *(await loop.create_connection(Ear, "127.0.0.1", port, ssl=tls)))

    @classmethod
    async def to(
        cls, world: World, port: int, *keys: str, tls: ssl.SSLContext | None = None
    ) -> Self:
        """Connect, greet and say who speaks: root, unless other keys are given."""
        client = await cls.silent(world, port, tls)
        client.send(GREETING)
        client.authorize(*(keys or (ACCOUNT, "test")))
        return client

    def close(self) -> None:
        """Go."""
        self._transport.close()

    def end(self) -> None:
        """Say that there is no more."""
        self._transport.write_eof()

    def send(self, data: bytes) -> None:
        """Say something, whatever it means."""
        self._transport.write(data)

    async def rest(self) -> bytes:
        """All that is said until the other side goes."""
        async with asyncio.timeout(10):
            while await self._ear.more():
                pass
        return bytes(self._ear.heard)

    def authorize(
        self, key: str, secret: str, token: str | None = None, *, region: str = REGION,
        at: datetime | None = None,
    ) -> None:  # fmt: skip
        """Say who speaks."""
        now = at or datetime.fromtimestamp(self.world.host.seconds(), UTC)
        when = now.strftime("%Y%m%dT%H%M%SZ")
        empty = hashlib.sha256(b"").hexdigest()
        canonical = (
            f"POST\n/\n\nhost:dax.amazonaws.com\nx-amz-date:{when}\n\nhost;x-amz-date\n{empty}"
        )
        signed = (
            f"AWS4-HMAC-SHA256\n{when}\n{when[:8]}/{region}/dax/aws4_request\n"
            + hashlib.sha256(canonical.encode()).hexdigest()
        ).encode()
        signing = sigv4.signing_key(secret, when[:8], region, "dax")
        signature = hmac.new(signing, signed, hashlib.sha256).hexdigest()
        self.request(AUTHORIZE, key, signature, signed, token, "test")

    def request(self, method: int, *args: Any) -> None:
        """Send a request."""
        out = bytearray()
        put_int(out, 1)
        put_int(out, method)
        for one in args:
            if isinstance(one, Raw):
                out += one
            else:
                put(out, one)
        self.send(bytes(out))

    async def values(self, count: int) -> bytes:
        """The next values that are said."""
        extent, heard = Extent(count), self._ear.heard
        async with asyncio.timeout(10):
            while not extent.ended(heard):
                if not await self._ear.more():
                    raise EOFError
        found = bytes(heard[: extent.at])
        del heard[: extent.at]
        return found

    async def ask(self, method: int, *args: Any) -> Any:
        """Send a request; its answer, a list where it has several values. Raises Refused."""
        self.request(method, *args)
        status = Reader(await self.values(1)).value()
        if status:
            reader = Reader(await self.values(2))
            raise Refused(status, reader.value(), reader.value())
        count = ANSWERS.get(method, 1)
        reader = Reader(await self.values(count))
        found = [reader.value() for _ in range(count)]
        return found[0] if count == 1 else found

    async def put(
        self, table: str, item: Mapping[str, Any], schema: Schema = HASH, **more: Any
    ) -> Any:
        """PutItem."""
        return await self.ask(
            PUT, table.encode(), key_bytes(item, schema), await self.packed(item, schema),
            options(more),
        )  # fmt: skip

    async def packed(self, item: Mapping[str, Any], schema: Schema = HASH) -> bytes:
        """An item's attributes beside its key."""
        names = names_of(item, schema)
        if names not in self._lists:
            self._lists[names] = await self.ask(LIST_NUMBER, list(names)) if names else 1
        out = bytearray()
        put_int(out, self._lists[names])
        for name in names:
            put_value(out, item[name])
        return bytes(out)

    async def get(
        self, table: str, key: Mapping[str, Any], schema: Schema = HASH, **more: Any
    ) -> dict[str, Any] | None:
        """GetItem: the item without its key, or None."""
        answer = await self.ask(GET, table.encode(), key_bytes(key, schema), options(more))
        return await self.unpacked(answer[0]) if 0 in answer else None

    async def unpacked(self, data: bytes) -> dict[str, Any]:
        """An item's attributes beside its key."""
        reader = Reader(data)
        names = await self.names(reader.value())
        return {name: attribute_value(reader.value()) for name in names}

    async def names(self, number: int) -> list[str]:
        """The names of a list."""
        return [] if number == 1 else await self.ask(LIST, number)

    async def query(self, table: str, condition: bytes, **more: Any) -> Any:
        """Query: the answer's members by number."""
        return await self.ask(QUERY, table.encode(), condition, options(more))

    async def scan(self, table: str, **more: Any) -> Any:
        """Scan: the answer's members by number."""
        return await self.ask(SCAN, table.encode(), options(more))

    async def items(self, answer: Any, schema: Schema = HASH) -> list[dict[str, Any]]:
        """The items of an answer to Query or Scan."""
        return [
            {**read_key(key, schema), **await self.unpacked(values)} for key, values in answer[7]
        ]


_OPTIONS = {
    "projection": 0, "consistent": 2, "capacity": 3, "condition": 4, "metrics": 6, "returned": 7,
    "update": 8, "start": 9, "filter": 10, "index": 11, "limit": 13, "forward": 14, "select": 15,
    "segment": 16, "segments": 17, "token": 19,
}  # fmt: skip


def options(given: Mapping[str, Any]) -> Raw:
    """Options, as clients write them: a map without a length."""
    out = bytearray()
    if not given:
        put_null(out)
        return Raw(out)
    out.append(0xBF)
    for name, value in given.items():
        put_int(out, _OPTIONS[name])
        if isinstance(value, bytes):
            put_bytes(out, value)
        else:
            put(out, value)
    out.append(0xFF)
    return Raw(out)


async def refused(call: Awaitable[Any]) -> Refused:
    """The error with which a node refuses a request."""
    try:
        found = await call
    except Refused as error:
        return error
    raise AssertionError(f"not refused, but answered {found!r}")


async def refusal(call: Awaitable[Any]) -> str:
    """The code of that error."""
    return (await refused(call)).code


ONE = {"id": {"S": "espresso"}, "price": {"N": "2.5"}}
KEY = {"id": {"S": "espresso"}}
PRICE = {"price": {"N": "2.5"}}
DEARER = {"id": {"S": "espresso"}, "price": {"N": "3"}}
BY_ID = tree([EQUAL, path("id"), [VARIABLE, 0]], {"S": "espresso"})
