"""Which nodes of which clusters listen in this process, and what their clusters remember."""

from __future__ import annotations

from typing import Any
from weakref import WeakKeyDictionary

from doppio.kernel.context import Context
from doppio.services.dax import limits, rules
from doppio.services.dax.engine import Engine
from doppio.services.dax.records import Cluster
from doppio.services.dax.session import Session, Stream

_all: WeakKeyDictionary[Any, Serving] = WeakKeyDictionary()


class Serving:
    """The nodes of one cloud."""

    def __init__(self) -> None:
        self._engines: dict[tuple[Any, ...], Engine] = {}

    @staticmethod
    def of(ctx: Context) -> Serving:
        """The nodes of the cloud in which this is asked."""
        found = _all.get(ctx.kernel)
        if found is None:
            found = _all[ctx.kernel] = Serving()
        return found

    async def listen(self, ctx: Context, cluster: Cluster, node: str, port: int) -> int | None:
        """Let a node listen, at its port or at any (0); None where somebody else has the port."""
        key = (cluster.account, cluster.region, cluster.name)
        engine = self._engines.get(key)
        if engine is None or engine.uid != cluster.uid:
            await self.stop_all(ctx, key)
            engine = Engine(key, cluster.uid, rules.cache_bytes(cluster.node_type))
            self._engines[key] = engine
        serves = engine

        async def serve(stream: Stream) -> None:
            await Session(ctx, serves, node, stream).run()

        found: int | None = await ctx.machine.tcp.listen(
            _name(key, node), port, serve, tls=cluster.tls,
            connections_max=limits.CONNECTIONS_A_NODE_MAX, idle_seconds=limits.IDLE_SECONDS,
            read_bytes=limits.READ_BYTES,
        )  # fmt: skip
        return found

    async def quiet(self, ctx: Context, cluster: Cluster, node: str) -> None:
        """Let a node listen no more, and end its connections."""
        key = (cluster.account, cluster.region, cluster.name)
        await ctx.machine.tcp.quiet(_name(key, node))

    async def stop_all(self, ctx: Context, key: tuple[Any, ...]) -> None:
        """Let no node of a cluster listen any more; what it remembered is gone."""
        self._engines.pop(key, None)
        await ctx.machine.tcp.quiet_all(_name(key, ""))


def _name(key: tuple[Any, ...], node: str) -> str:
    return "/".join(("dax", *key, node))
