"""Kinesis Data Streams: the table of contents."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from doppio.kernel.context import Context
from doppio.kernel.service import Need, Service
from doppio.kernel.tags import ResourceTags
from doppio.services.kinesis.belongings import Belongings, tags_of
from doppio.services.kinesis.consumers import Consumers
from doppio.services.kinesis.consuming import Consuming, arn_of_iterator
from doppio.services.kinesis.lookup import stream_arn
from doppio.services.kinesis.producing import Producing
from doppio.services.kinesis.reshaping import Reshaping
from doppio.services.kinesis.settings import Settings
from doppio.services.kinesis.streams import Streams
from doppio.services.kinesis.upkeep import EMPTY, SETTLE, UPKEEP, empty, settle, upkeep

_OF_ACCOUNTS = frozenset({
    "ListStreams", "DescribeLimits", "DescribeAccountSettings", "UpdateAccountSettings",
})  # fmt: skip
_TAGS = ResourceTags(tags_of)


def needs(ctx: Context, operation: str, req: Mapping[str, Any]) -> Sequence[Need]:
    """Each operation's own action, on the stream or the consumer that it names."""
    if operation in _OF_ACCOUNTS:
        return (Need(f"kinesis:{operation}"),)
    if operation == "GetRecords" and "StreamARN" not in req:
        return (Need("kinesis:GetRecords", arn_of_iterator(req["ShardIterator"]), beyond=_TAGS),)
    if operation == "ListShards" and "NextToken" in req:
        return (Need("kinesis:ListShards", arn_of_iterator(req["NextToken"]), beyond=_TAGS),)
    return (Need(f"kinesis:{operation}", stream_arn(ctx, req), beyond=_TAGS),)


SERVICE = Service(
    "kinesis",
    groups=[
        Streams(), Reshaping(), Producing(), Consuming(), Consumers(), Settings(), Belongings(),
    ],
    needs=needs,
    data_events=["PutRecord", "PutRecords", "GetRecords", "GetShardIterator", "SubscribeToShard"],
    jobs={SETTLE: settle, EMPTY: empty, UPKEEP: upkeep},
)  # fmt: skip
