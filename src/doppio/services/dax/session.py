"""One connection of a client to a node: its greeting, who speaks, and its requests one by one.

What is no request of any client's ends the connection without an answer. What goes wrong with a
request is told, and the connection goes on.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from ipaddress import ip_address
from typing import Any, NamedTuple, Protocol

from doppio.kernel import regions
from doppio.kernel.context import Context
from doppio.kernel.door import unavailable
from doppio.kernel.store import Conflict, StoreClosed, StoreFull
from doppio.services.dax import limits, reads, writes
from doppio.services.dax.answering import SUCCESS, error_answer
from doppio.services.dax.calls import Call, values_of
from doppio.services.dax.cbor import BadWire, Extent, Reader, put
from doppio.services.dax.credentials import Authorization, speaker, verified
from doppio.services.dax.engine import Engine
from doppio.services.dax.options import array, blob, text
from doppio.services.dax.records import Cluster
from doppio.wire.errors import AccessDenied, AwsError, Throttled

MAGIC = "J7yne5G"
_GREETING_VALUES = 5
_SERVICE = 1
_AUTHORIZE, _AUTHORIZE_VALUES = 1489122155, 5
_ENDPOINTS = 455855874
_SCHEMA, _LIST, _LIST_NUMBER = -742646399, 670678385, -1230579644
_LEADER, _REPLICA = 1, 2
_Run = Callable[[Engine, Call, list[Any], bytes], Awaitable[bytes]]


class Method(NamedTuple):
    """A request that clients send: how many values follow its number, and what it counts as."""

    values: int
    run: _Run
    metric: str


class Stream(Protocol):
    """A connection's two ways; `local` is the address that the client has reached.

    `secure` is the version of TLS, empty without.
    """

    local: str
    remote: str
    secure: str

    async def read(self) -> bytes:
        """What has come, nothing when there is no more."""
        ...

    async def write(self, data: bytes) -> None:
        """Send it."""
        ...


_METHODS: dict[int, Method] = {
    263244906: Method(3, reads.get_item, "GetItem"),
    -697851100: Method(2, reads.batch_get_item, "BatchGetItem"),
    -931250863: Method(3, reads.query, "Query"),
    -1875390620: Method(2, reads.scan, "Scan"),
    1866287579: Method(4, reads.transact_get_items, "TransactGetItems"),
    -2106490455: Method(4, writes.put_item, "PutItem"),
    1013539361: Method(3, writes.delete_item, "DeleteItem"),
    1425579023: Method(3, writes.update_item, "UpdateItem"),
    116217951: Method(2, writes.batch_write_item, "BatchWriteItem"),
    -1160037738: Method(9, writes.transact_write_items, "TransactWriteItems"),
}
# Those that tell clients how to write the others.
_HELPERS = {_ENDPOINTS: 0, _SCHEMA: 1, _LIST: 1, _LIST_NUMBER: 1}


class Session:
    """A connection to a node, `node` is empty at the cluster's own port."""

    def __init__(self, ctx: Context, engine: Engine, node: str, stream: Stream) -> None:
        self._ctx = ctx
        self._engine = engine
        self._node = node
        self._stream = stream
        self._data = bytearray()
        self._said: Authorization | None = None
        self._agent = ""
        # Why the last thing that was said of who speaks was not believed.
        self._refused: AwsError | None = None

    async def run(self) -> None:
        """Serve until the client goes, or says what is no request."""
        try:
            if not await self._greeted():
                return
            while (head := await self._values(2)) is not None:
                reader = Reader(head)
                if reader.value() != _SERVICE:
                    raise BadWire("no such service")
                if not await self._request(reader.value()):
                    return
        except (BadWire, StoreClosed):
            # What is no request, or a cloud that is closing.
            return

    async def _greeted(self) -> bool:
        # Who speaks something else hears at once that nobody understands it.
        magic = await self._values(1)
        if magic is None:
            return False
        if Reader(magic).value() != MAGIC:
            raise BadWire("no client of DAX's")
        more = await self._values(_GREETING_VALUES - 1)
        if more is None:
            return False
        if Reader(more).value() != 0:
            raise BadWire("no such layers")
        return True

    async def _values(self, count: int) -> bytes | None:
        """The next values as they came; None if the client goes before."""
        extent = Extent(count)
        while not extent.ended(self._data):
            while len(self._data) < extent.wants:
                got = await self._stream.read()
                if not got:
                    return None
                self._data += got
                # What a client sends ahead of its answers is bounded by the same.
                if len(self._data) > 2 * limits.REQUEST_BYTES_MAX:
                    raise BadWire("too much at once")
        if extent.at > limits.REQUEST_BYTES_MAX:
            raise BadWire("too large a request")
        found = bytes(self._data[: extent.at])
        del self._data[: extent.at]
        return found

    async def _request(self, number: Any) -> bool:
        """Serve one request; False if the connection is to end."""
        if type(number) is not int:
            raise BadWire("no method")
        method = _METHODS.get(number)
        if number == _AUTHORIZE:
            count = _AUTHORIZE_VALUES
        elif method is not None:
            count = method.values
        elif number in _HELPERS:
            count = _HELPERS[number]
        else:
            raise BadWire("no such method")
        raw = await self._values(count)
        if raw is None:
            return False
        reader = Reader(raw)
        args = [reader.value() for _ in range(count)]
        if number == _AUTHORIZE:
            await self._authorize(args)
            return True
        cluster = await self._serving()
        if cluster is None:
            # The node is gone, or its zone is down: clients find another.
            return False
        await self._stream.write(await self._answer(cluster, number, method, args, raw))
        return True

    async def _authorize(self, args: list[Any]) -> None:
        """Who speaks from now on. There is no answer to it: the next request hears of a refusal."""
        access_key, signature, signed, token, agent = args
        self._agent = "" if agent is None else text(agent)
        self._said = self._refused = None
        try:
            self._said = await verified(
                self._ctx, text(access_key), text(signature), blob(signed),
                None if token is None else text(token),
            )  # fmt: skip
        except AwsError as error:
            self._refused = error

    async def _serving(self) -> Cluster | None:
        """The cluster, if this node of it serves."""
        reader = self._ctx.read()
        cluster = await reader.get(Cluster, *self._engine.key)
        if cluster is None or cluster.uid != self._engine.uid or cluster.status == "deleting":
            return None
        for node in cluster.nodes:
            if node.id == self._node:
                up = node.status == "available" and await regions.is_up(reader, node.zone)
                return cluster if up else None
        return cluster if not self._node else None

    async def _answer(
        self, cluster: Cluster, number: int, method: Method | None, args: list[Any], raw: bytes
    ) -> bytes:
        ctx = self._ctx
        request_id = ctx.new_id()
        node = self._node or cluster.nodes[0].id
        call: Call | None = None
        try:
            if self._refused is not None:
                raise self._refused
            ctx = ctx.derive(await speaker(ctx, self._said))
            ctx.request_id, ctx.user_agent = request_id, self._agent
            ctx.source_ip, ctx.secure = self._stream.remote, self._stream.secure
            if ctx.caller.account != cluster.account:
                raise AccessDenied(
                    f"User: {ctx.caller.arn} is not authorized to use cluster: {cluster.arn}"
                )
            call = Call(ctx, cluster, node, await values_of(ctx, cluster))
            if method is None:
                return SUCCESS + await self._help(call, number, args)
            call.count("TotalRequestCount")
            call.count(f"{method.metric}RequestCount")
            return SUCCESS + await method.run(self._engine, call, args, raw)
        except writes.Cancelled as cancelled:
            _failed(call, method, 400)
            return cancelled.answer
        except AwsError as error:
            _failed(call, method, error.status)
            if error.code in _THROTTLES and call is not None:
                call.count("ThrottledRequestCount")
            return error_answer(error, request_id)
        except Conflict:
            return error_answer(
                Throttled("Too many requests at once; please try again."), request_id
            )
        except (StoreFull, StoreClosed) as error:
            _failed(call, method, 503)
            return error_answer(unavailable(error), request_id)

    async def _help(self, call: Call, number: int, args: list[Any]) -> bytes:
        """What clients ask so that they can write their requests."""
        out = bytearray()
        if number == _ENDPOINTS:
            put(out, await self._endpoints(call))
        elif number == _SCHEMA:
            put(out, dict(await self._engine.schema(call, text(args[0]))))
        elif number == _LIST:
            if type(args[0]) is not int:
                raise BadWire("no number")
            put(out, await self._engine.lists.names(call.ctx, args[0]))
        else:
            names = [text(one) for one in array(args[0])]
            put(out, await self._engine.lists.number(call.ctx, names))
        return bytes(out)

    async def _endpoints(self, call: Call) -> list[dict[int, Any]]:
        """The nodes that serve, the first of which takes the writes."""
        reader = call.ctx.read()
        address = ip_address(self._stream.local).packed
        found: list[dict[int, Any]] = []
        for number, node in enumerate(call.cluster.nodes):
            if node.status != "available" or not await regions.is_up(reader, node.zone):
                continue
            role = _REPLICA if found else _LEADER
            found.append({
                0: number, 1: f"{node.id}.{call.cluster.name}", 2: address, 3: node.port, 4: role,
                5: node.zone, 6: 0,
            })  # fmt: skip
        return found


_THROTTLES = frozenset({
    "ProvisionedThroughputExceededException", "ThrottlingException", "RequestLimitExceeded",
})  # fmt: skip


def _failed(call: Call | None, method: Method | None, status: int) -> None:
    """Count a request that went wrong: its sender's fault, or ours."""
    if call is None or method is None:
        return
    call.count("FailedRequestCount")
    call.count("FaultRequestCount" if status >= 500 else "ErrorRequestCount")
