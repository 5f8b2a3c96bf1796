"""How other services follow a table's stream for their users, by the operations of DynamoDB Streams."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from doppio.kernel.context import Context
from doppio.kernel.shard_steps import GET_RECORDS_MAX, Page
from doppio.wire.errors import AwsError

_TRIMMED = "TrimmedDataAccessException"


class TableStream:
    """One stream. Its records are begun with at the oldest."""

    def __init__(self, arn: str) -> None:
        self.arn = arn

    async def shards(self, acting: Context) -> list[Mapping[str, Any]]:
        """The shards, parents before their children."""
        found: list[Mapping[str, Any]] = []
        more: dict[str, str] = {}
        while True:
            req = {"StreamArn": self.arn, **more}
            answer = await acting.call("dynamodbstreams", "describe_stream", req)
            told = answer["StreamDescription"]
            found += told["Shards"]
            if "LastEvaluatedShardId" not in told:
                return found
            more = {"ExclusiveStartShardId": told["LastEvaluatedShardId"]}

    async def begin(self, acting: Context, shard: str, after: str) -> str:
        """Behind a record; where the stream has forgotten that, at its oldest one."""
        req = {"StreamArn": self.arn, "ShardId": shard}
        oldest = {**req, "ShardIteratorType": "TRIM_HORIZON"}
        if after:
            behind = {"ShardIteratorType": "AFTER_SEQUENCE_NUMBER", "SequenceNumber": after}
            try:
                return await _ask(acting, {**req, **behind})
            except AwsError as error:
                if error.code != _TRIMMED:
                    raise
        return await _ask(acting, oldest)

    async def get(self, acting: Context, iterator: str, most: int) -> Page:
        """Records behind an iterator."""
        req = {"ShardIterator": iterator, "Limit": most}
        page = await acting.call("dynamodbstreams", "get_records", req)
        records = {one["dynamodb"]["SequenceNumber"]: one for one in page["Records"]}
        return Page(records, page.get("NextShardIterator"))

    async def end(self, acting: Context, shard: str) -> str:
        """The number of the last record that is there now; empty where there is none."""
        last, iterator = "", await self.begin(acting, shard, "")
        while True:
            page = await self.get(acting, iterator, GET_RECORDS_MAX)
            if not page.records:
                return last
            last = next(reversed(page.records))
            if page.iterator is None:
                return last
            iterator = page.iterator

    def told_at(self, record: Mapping[str, Any]) -> datetime:
        """When an item was changed."""
        at: datetime = record["dynamodb"]["ApproximateCreationDateTime"]
        return at

    def key_of(self, record: Mapping[str, Any]) -> str:
        """The item: what is told of one keeps its order."""
        return json.dumps(_plain(record["dynamodb"]["Keys"]), sort_keys=True)


def event_of(record: Mapping[str, Any], stream: str) -> dict[str, Any]:
    """A record as others are told it: times are numbers, and bytes are in Base64."""
    event: dict[str, Any] = _plain(record)
    if "userIdentity" in record:
        by = record["userIdentity"]
        event["userIdentity"] = {"principalId": by["PrincipalId"], "type": by["Type"]}
    return {**event, "eventSourceARN": stream}


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: _plain(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    if isinstance(value, bytes | bytearray | memoryview):
        return base64.b64encode(value).decode()
    return int(value.timestamp()) if isinstance(value, datetime) else value


async def _ask(acting: Context, req: Mapping[str, str]) -> str:
    answer = await acting.call("dynamodbstreams", "get_shard_iterator", req)
    iterator: str = answer["ShardIterator"]
    return iterator
