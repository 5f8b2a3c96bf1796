"""DynamoDB Streams: the table of contents."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from doppio.kernel.context import Context
from doppio.kernel.service import Need, Service
from doppio.services.dynamodbstreams.shards import Shards
from doppio.services.dynamodbstreams.streams import Streams


def needs(ctx: Context, operation: str, req: Mapping[str, Any]) -> Sequence[Need]:
    """The actions are DynamoDB's, on the stream; listing asks for all."""
    arn = req.get("StreamArn") or req.get("ShardIterator", "*").partition("|")[0]
    return (Need(f"dynamodb:{operation}", arn),)


SERVICE = Service(
    "dynamodbstreams",
    groups=[Streams(), Shards()],
    needs=needs,
    data_events=["GetRecords", "GetShardIterator"],
)
