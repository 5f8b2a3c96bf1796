"""SQS's errors. What the older query protocol calls them is in the model, but for two."""

from __future__ import annotations

from doppio.wire.errors import AwsError


class QueueDoesNotExist(AwsError):
    code = "QueueDoesNotExist"
    text = "The specified queue does not exist."


class QueueNameExists(AwsError):
    code = "QueueNameExists"


class QueueDeletedRecently(AwsError):
    code = "QueueDeletedRecently"
    text = "You must wait 60 seconds after deleting a queue before you can create another with the same name."


class PurgeQueueInProgress(AwsError):
    code = "PurgeQueueInProgress"
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
    query_code = "AWS.SimpleQueueService.MessageNotInflight"
    text = "The specified message isn't in flight."


class OverLimit(AwsError):
    code = "OverLimit"
    status = 403


class UnsupportedOperation(AwsError):
    code = "UnsupportedOperation"


class ResourceNotFound(AwsError):
    code = "ResourceNotFoundException"
    status = 404


class KmsAccessDenied(AwsError):
    code = "KmsAccessDenied"


class KmsDisabled(AwsError):
    code = "KmsDisabled"


class KmsInvalidKeyUsage(AwsError):
    code = "KmsInvalidKeyUsage"


class KmsInvalidState(AwsError):
    code = "KmsInvalidState"


class KmsThrottled(AwsError):
    code = "KmsThrottled"


class KmsNotFound(AwsError):
    code = "KmsNotFound"


class EmptyBatchRequest(AwsError):
    code = "EmptyBatchRequest"


class TooManyEntriesInBatchRequest(AwsError):
    code = "TooManyEntriesInBatchRequest"


class BatchEntryIdsNotDistinct(AwsError):
    code = "BatchEntryIdsNotDistinct"


class InvalidBatchEntryId(AwsError):
    code = "InvalidBatchEntryId"
    text = (
        "A batch entry id can only contain alphanumeric characters, hyphens and underscores. "
        "It can be at most 80 letters long."
    )


class BatchRequestTooLong(AwsError):
    code = "BatchRequestTooLong"
