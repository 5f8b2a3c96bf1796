"""What services measure of themselves, for CloudWatch: summed in memory, handed over in batches.

A measurement on the path of a request is one look into a dict. Sums go to CloudWatch every few
seconds of host time, as the service's principal, and only while something is measured: an idle
cloud has no timer. A crash loses what was not handed over yet, at most `FLUSH_SECONDS` of it;
metrics are no ledger (usage is, and rides in commits).

What a resource holds, rather than what happens to it, is a gauge: a service says by `sampling`
how a resource that was just used comes to be looked at, by a durable job of its own.
"""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable
from datetime import datetime
from typing import TYPE_CHECKING, Any

import msgspec

from doppio.kernel.store import StoreClosed, StoreFull
from doppio.wire.errors import AwsError

if TYPE_CHECKING:
    from doppio.kernel.context import Context

_log = logging.getLogger("doppio.metrics")
FLUSH_SECONDS = 5.0
# As many as CloudWatch takes at once.
DATA_A_CALL = 1_000

# How a resource that was measured comes to be looked at: by its owner's context and its dimensions.
Sampling = Callable[["Context", tuple[str, ...]], Awaitable[None]]


class Measure:
    """One metric of a service: its name, its unit, and the names of its dimensions.

    Two measures are the same only if they are one object, so that finding their sums is cheap.
    `tally` is another metric that goes up by one whenever this one is measured.
    """

    __slots__ = ("dimensions", "name", "namespace", "service", "tally", "unit")

    def __init__(
        self,
        service: str,
        namespace: str,
        name: str,
        unit: str,
        *dimensions: str,
        tally: str | None = None,
    ) -> None:
        self.service = service
        self.namespace = namespace
        self.name = name
        self.unit = unit
        self.dimensions = dimensions
        self.tally = tally


class Sums(msgspec.Struct):
    """What was measured of one resource within a minute."""

    at: datetime
    samples: float
    sum: float
    least: float
    most: float


class Metrics:
    """Sums of what is measured, until they are handed over."""

    def __init__(
        self,
        context_for: Callable[[str, str], Context],
        sampling: Callable[[str], Sampling | None],
    ) -> None:
        self._context_for = context_for
        self._sampling = sampling
        self._sums: dict[Any, Sums] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._closed = False
        self._flush: asyncio.Task[None] | None = None

    def count(
        self,
        measure: Measure,
        account: str,
        region: str,
        names: tuple[str, ...],
        now: datetime,
        amount: float = 1.0,
    ) -> None:
        """Measure something once, of a resource whose dimensions have these values."""
        key = (measure, account, region, names, now.minute)
        sums = self._sums.get(key)
        if sums is None:
            self._sums[key] = Sums(now, 1.0, amount, amount, amount)
            if self._timer is None and not self._closed:
                self._arm()
            return
        sums.samples += 1.0
        sums.sum += amount
        if amount < sums.least:
            sums.least = amount
        elif amount > sums.most:
            sums.most = amount

    async def close(self) -> None:
        """Hand over the last of it; what is measured from now on nobody hears."""
        self._closed = True
        if self._flush is not None:
            await self._flush
        await self.flush()

    async def flush(self) -> None:
        """Hand over what has been gathered."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        gathered, self._sums = self._sums, {}
        groups: dict[tuple[str, str, str, str], list[dict[str, Any]]] = defaultdict(list)
        used: dict[tuple[str, str, str, tuple[str, ...]], None] = {}
        for (measure, account, region, names, _), sums in gathered.items():
            datum = {
                "MetricName": measure.name,
                "Dimensions": [
                    {"Name": name, "Value": value}
                    for name, value in zip(measure.dimensions, names, strict=True)
                ],
                "Timestamp": sums.at,
                "Unit": measure.unit,
                "StatisticValues": {
                    "SampleCount": sums.samples, "Sum": sums.sum, "Minimum": sums.least,
                    "Maximum": sums.most,
                },
            }  # fmt: skip
            data = groups[(measure.service, measure.namespace, account, region)]
            data.append(datum)
            if measure.tally is not None:
                data.append({**datum, **_tally(measure.tally, sums.samples)})
            used[(measure.service, account, region, names)] = None
        for (service, namespace, account, region), data in groups.items():
            await self._hand_over(self._context_for(account, region), service, namespace, data)
        await self._sample(used)

    async def _hand_over(
        self, ctx: Context, service: str, namespace: str, data: list[dict[str, Any]]
    ) -> None:
        for begin in range(0, len(data), DATA_A_CALL):
            some = {"Namespace": namespace, "MetricData": data[begin : begin + DATA_A_CALL]}
            try:
                await ctx.as_service(service).call("cloudwatch", "put_metric_data", some)
            except AwsError as error:
                _log.warning("metrics of %s were lost: %s", namespace, error)

    async def _sample(self, used: Iterable[tuple[str, str, str, tuple[str, ...]]]) -> None:
        for service, account, region, names in used:
            sampling = self._sampling(service)
            if sampling is not None:
                try:
                    await sampling(self._context_for(account, region), names)
                except (AwsError, StoreFull, StoreClosed) as error:
                    _log.warning("%s of %s is not looked at: %s", names, service, error)

    def _arm(self) -> None:
        self._timer = asyncio.get_running_loop().call_later(FLUSH_SECONDS, self._due)

    def _due(self) -> None:
        self._timer = None
        self._flush = asyncio.get_running_loop().create_task(self.flush())


def _tally(name: str, count: float) -> dict[str, Any]:
    """What a datum says of how often something was measured."""
    return {
        "MetricName": name,
        "Unit": "Count",
        "StatisticValues": {"SampleCount": count, "Sum": count, "Minimum": 1.0, "Maximum": 1.0},
    }
