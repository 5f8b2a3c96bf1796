"""DynamoDB Streams' errors."""

from __future__ import annotations

from doppio.wire.errors import AwsError


class ValidationException(AwsError):
    """A request that cannot be."""

    code = "ValidationException"


class ResourceNotFoundException(AwsError):
    """A stream or shard that is not there."""

    code = "ResourceNotFoundException"


class ExpiredIteratorException(AwsError):
    """An iterator older than its fifteen minutes."""

    code = "ExpiredIteratorException"
    text = (
        "The shard iterator has expired and can no longer be used to retrieve stream records. A "
        "shard iterator expires 15 minutes after it is retrieved using the GetShardIterator action."
    )


class TrimmedDataAccessException(AwsError):
    """Records that were asked for and are older than a day."""

    code = "TrimmedDataAccessException"
    text = "The operation attempted to read past the oldest stream record in a shard."
