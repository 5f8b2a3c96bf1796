"""What a stream is set to: encryption and enhanced monitoring; and what an account is."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from doppio.kernel.context import Context
from doppio.kernel.quotas import quota
from doppio.services.kinesis import limits
from doppio.services.kinesis.errors import InvalidArgumentException
from doppio.services.kinesis.lookup import still_stream, stream_of
from doppio.services.kinesis.measures import NEVER, SHARD_METRICS
from doppio.services.kinesis.records import Stream
from doppio.services.kinesis.sealing import try_key
from doppio.services.kinesis.upkeep import settles

if TYPE_CHECKING:
    from doppio._stubs import kinesis as w

_METRICS = (*SHARD_METRICS, *NEVER)
_STREAMS_MAX = 20_000


class Settings:
    """The operations on settings."""

    async def start_stream_encryption(
        self, ctx: Context, req: w.StartStreamEncryptionInput
    ) -> None:
        """Keep what comes from now on under a KMS key, which the caller must be able to use."""
        if req["EncryptionType"] != "KMS":
            raise InvalidArgumentException("EncryptionType must be KMS.")
        stream = await still_stream(ctx.read(), ctx, req)
        await try_key(ctx, stream, req["KeyId"])
        async with ctx.write() as tx:
            stream = await still_stream(tx, ctx, req)
            changed = replace(stream, kms_key=req["KeyId"], status="UPDATING")
            await settles(tx, tx.put(changed))

    async def stop_stream_encryption(self, ctx: Context, req: w.StopStreamEncryptionInput) -> None:
        """Keep what comes from now on in clear; what is encrypted stays so."""
        async with ctx.write() as tx:
            stream = await still_stream(tx, ctx, req)
            if stream.kms_key != req["KeyId"]:
                raise InvalidArgumentException(
                    f"The key {req['KeyId']} does not encrypt stream {stream.name} under account "
                    f"{stream.account}."
                )
            await settles(tx, tx.put(replace(stream, kms_key=None, status="UPDATING")))

    async def enable_enhanced_monitoring(
        self, ctx: Context, req: w.EnableEnhancedMonitoringInput
    ) -> w.EnhancedMonitoringOutput:
        """Measure more of a stream's shards, one by one."""
        asked = _named(req["ShardLevelMetrics"])
        return await self._monitor(ctx, req, lambda now: {*now, *asked})

    async def disable_enhanced_monitoring(
        self, ctx: Context, req: w.DisableEnhancedMonitoringInput
    ) -> w.EnhancedMonitoringOutput:
        """Measure less of them."""
        asked = _named(req["ShardLevelMetrics"])
        return await self._monitor(ctx, req, lambda now: {*now} - asked)

    async def _monitor(
        self, ctx: Context, req: Any, change: Callable[[tuple[str, ...]], set[str]]
    ) -> w.EnhancedMonitoringOutput:
        async with ctx.write() as tx:
            stream = await stream_of(tx, ctx, req)
            wanted = change(stream.metrics)
            changed = replace(stream, metrics=tuple(one for one in _METRICS if one in wanted))
            tx.put(changed)
        return {
            "StreamName": stream.name, "StreamARN": stream.arn,
            "CurrentShardLevelMetrics": list(stream.metrics),
            "DesiredShardLevelMetrics": list(changed.metrics),
        }  # fmt: skip

    async def describe_limits(
        self, ctx: Context, req: w.DescribeLimitsInput
    ) -> w.DescribeLimitsOutput:
        """How many shards and streams an account has and may have."""
        reader = ctx.read()
        streams = await reader.list(Stream, (ctx.account, ctx.region), limit=_STREAMS_MAX)
        provisioned = [one for one in streams if one.mode == "PROVISIONED"]
        return {
            "ShardLimit": await quota(reader, limits.SHARDS_MAX),
            "OpenShardCount": sum(len(one.open_shards) for one in provisioned),
            "OnDemandStreamCount": len(streams) - len(provisioned),
            "OnDemandStreamCountLimit": limits.ON_DEMAND_STREAMS_MAX,
        }


def _named(metrics: Iterable[str]) -> set[str]:
    asked = set(metrics)
    return set(_METRICS) if "ALL" in asked else asked
