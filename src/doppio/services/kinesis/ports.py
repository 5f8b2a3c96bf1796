"""How other services follow a stream for their users, by Kinesis's operations."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from doppio.kernel.context import Context
from doppio.kernel.shard_steps import Page


class DataStream:
    """One stream. Its records are begun with at the oldest, or with those that came `since`."""

    def __init__(self, arn: str, since: datetime | None = None) -> None:
        self.arn = arn
        self._since = since

    async def shards(self, acting: Context) -> list[Mapping[str, Any]]:
        """The shards, with their parents' names."""
        found: list[Mapping[str, Any]] = []
        req: dict[str, Any] = {"StreamARN": self.arn}
        while True:
            page = await acting.call("kinesis", "list_shards", req)
            found += page["Shards"]
            if not page.get("NextToken"):
                return found
            req = {"NextToken": page["NextToken"]}

    async def begin(self, acting: Context, shard: str, after: str) -> str:
        """Behind a record; behind nothing, where the stream is begun with."""
        req: dict[str, Any] = {"StreamARN": self.arn, "ShardId": shard}
        if after:
            req |= {
                "ShardIteratorType": "AFTER_SEQUENCE_NUMBER", "StartingSequenceNumber": after,
            }  # fmt: skip
        elif self._since is not None:
            req |= {"ShardIteratorType": "AT_TIMESTAMP", "Timestamp": self._since}
        else:
            req["ShardIteratorType"] = "TRIM_HORIZON"
        answer = await acting.call("kinesis", "get_shard_iterator", req)
        iterator: str = answer["ShardIterator"]
        return iterator

    async def get(self, acting: Context, iterator: str, most: int) -> Page:
        """Records behind an iterator."""
        req = {"ShardIterator": iterator, "Limit": most}
        page = await acting.call("kinesis", "get_records", req)
        records = {one["SequenceNumber"]: one for one in page["Records"]}
        return Page(records, page.get("NextShardIterator"))

    def told_at(self, record: Mapping[str, Any]) -> datetime:
        """When a record came."""
        at: datetime = record["ApproximateArrivalTimestamp"]
        return at

    def key_of(self, record: Mapping[str, Any]) -> str:
        """The partition key: what has the same keeps its order."""
        key: str = record["PartitionKey"]
        return key
