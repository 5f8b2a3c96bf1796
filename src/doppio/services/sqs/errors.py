"""SQS's errors. `query_code` is what the older query protocol, and botocore, call them."""

from __future__ import annotations

from doppio.wire.errors import AwsError

_OLD = "AWS.SimpleQueueService."


class QueueDoesNotExist(AwsError):
    code = "QueueDoesNotExist"
    query_code = _OLD + "NonExistentQueue"
    text = "The specified queue does not exist."


class QueueNameExists(AwsError):
    code = "QueueNameExists"
    query_code = "QueueAlreadyExists"


class QueueDeletedRecently(AwsError):
    code = "QueueDeletedRecently"
    query_code = _OLD + "QueueDeletedRecently"
    text = "You must wait 60 seconds after deleting a queue before you can create another with the same name."


class PurgeQueueInProgress(AwsError):
    code = "PurgeQueueInProgress"
    query_code = _OLD + "PurgeQueueInProgress"
    status = 403


class InvalidAddress(AwsError):
    code = "InvalidAddress"
    status = 404


class InvalidAttributeName(AwsError):
    code = "InvalidAttributeName"


class InvalidAttributeValue(AwsError):
    code = "InvalidAttributeValue"


class InvalidParameterValue(AwsError):
    code = "InvalidParameterValueException"
    query_code = "InvalidParameterValue"


class MissingParameter(AwsError):
    code = "MissingRequiredParameterException"
    query_code = "MissingParameter"


class InvalidMessageContents(AwsError):
    code = "InvalidMessageContents"


class ReceiptHandleIsInvalid(AwsError):
    code = "ReceiptHandleIsInvalid"
    status = 404


class MessageNotInflight(AwsError):
    code = "MessageNotInflight"
    query_code = _OLD + "MessageNotInflight"
    text = "The specified message isn't in flight."


class OverLimit(AwsError):
    code = "OverLimit"
    status = 403


class UnsupportedOperation(AwsError):
    code = "UnsupportedOperation"
    query_code = _OLD + "UnsupportedOperation"


class ResourceNotFound(AwsError):
    code = "ResourceNotFoundException"
    status = 404


class KmsNotFound(AwsError):
    code = "KmsNotFound"
    query_code = "KMS.NotFoundException"


class EmptyBatchRequest(AwsError):
    code = "EmptyBatchRequest"
    query_code = _OLD + "EmptyBatchRequest"


class TooManyEntriesInBatchRequest(AwsError):
    code = "TooManyEntriesInBatchRequest"
    query_code = _OLD + "TooManyEntriesInBatchRequest"


class BatchEntryIdsNotDistinct(AwsError):
    code = "BatchEntryIdsNotDistinct"
    query_code = _OLD + "BatchEntryIdsNotDistinct"


class InvalidBatchEntryId(AwsError):
    code = "InvalidBatchEntryId"
    query_code = _OLD + "InvalidBatchEntryId"
    text = (
        "A batch entry id can only contain alphanumeric characters, hyphens and underscores. "
        "It can be at most 80 letters long."
    )


class BatchRequestTooLong(AwsError):
    code = "BatchRequestTooLong"
    query_code = _OLD + "BatchRequestTooLong"
