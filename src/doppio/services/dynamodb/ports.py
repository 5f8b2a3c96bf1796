"""Doors to DynamoDB where AWS has no public operation: what DynamoDB Streams reads,
and what CloudWatch reports of busy keys."""

from __future__ import annotations

from doppio.services.dynamodb.contributors import report
from doppio.services.dynamodb.insights import managed_rules
from doppio.services.dynamodb.limits import STREAM_LIFE
from doppio.services.dynamodb.records import Stream
from doppio.services.dynamodb.sealing import admit_by_key
from doppio.services.dynamodb.streams import Told, decode_told, find_stream, log_name, opened_told
from doppio.services.dynamodb.values import size_of

__all__ = [
    "STREAM_LIFE",
    "Stream",
    "Told",
    "admit_by_key",
    "decode_told",
    "find_stream",
    "log_name",
    "managed_rules",
    "opened_told",
    "report",
    "size_of",
]
