"""What CloudWatch is told of streams.

Source: "Monitoring the Amazon Kinesis Data Streams service with Amazon CloudWatch". Shards are measured
one by one where enhanced monitoring asks for it.
"""

from __future__ import annotations

from doppio.kernel.context import Context
from doppio.kernel.metrics import Measure
from doppio.services.kinesis.records import Stream, shard_id

NAMESPACE = "AWS/Kinesis"


def _of_stream(name: str, unit: str) -> Measure:
    return Measure("kinesis", NAMESPACE, name, unit, "StreamName")


IN_RECORDS = _of_stream("IncomingRecords", "Count")
IN_BYTES = _of_stream("IncomingBytes", "Bytes")
PUT_OK = _of_stream("PutRecord.Success", "Count")
PUT_BYTES = _of_stream("PutRecord.Bytes", "Bytes")
PUTS_OK = _of_stream("PutRecords.Success", "Count")
PUTS_BYTES = _of_stream("PutRecords.Bytes", "Bytes")
PUTS_RECORDS = _of_stream("PutRecords.Records", "Count")
PUTS_TOTAL = _of_stream("PutRecords.TotalRecords", "Count")
PUTS_GOOD = _of_stream("PutRecords.SuccessfulRecords", "Count")
PUTS_FAILED = _of_stream("PutRecords.FailedRecords", "Count")
GET_OK = _of_stream("GetRecords.Success", "Count")
GET_BYTES = _of_stream("GetRecords.Bytes", "Bytes")
GET_RECORDS = _of_stream("GetRecords.Records", "Count")
GET_AGE = _of_stream("GetRecords.IteratorAgeMilliseconds", "Milliseconds")
SHARD_METRICS = (
    "IncomingBytes", "IncomingRecords", "OutgoingBytes", "OutgoingRecords", "IteratorAgeMilliseconds",
)  # fmt: skip
_UNITS = {"IncomingBytes": "Bytes", "OutgoingBytes": "Bytes"}
_OF_SHARD = {
    name: Measure(
        "kinesis", NAMESPACE, name,
        "Milliseconds" if name.endswith("Milliseconds") else _UNITS.get(name, "Count"),
        "StreamName", "ShardId",
    )
    for name in SHARD_METRICS
}  # fmt: skip
# What a stream may ask to be measured shard by shard. Nothing is throttled here, so that these two
# never have anything to say.
NEVER = ("WriteProvisionedThroughputExceeded", "ReadProvisionedThroughputExceeded")


def count(ctx: Context, stream: Stream, measure: Measure, amount: float = 1.0) -> None:
    """Measure something of a stream."""
    ctx.count(measure, stream.account, stream.region, (stream.name,), amount)


def count_shard(ctx: Context, stream: Stream, shard: int, name: str, amount: float) -> None:
    """Measure something of a shard, where its stream asks for it."""
    if name in stream.metrics:
        ctx.count(
            _OF_SHARD[name], stream.account, stream.region, (stream.name, shard_id(shard)), amount
        )
