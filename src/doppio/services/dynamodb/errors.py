"""DynamoDB's errors."""

from __future__ import annotations

from doppio.wire.errors import AwsError


class ValidationException(AwsError):
    """A request that cannot be."""

    code = "ValidationException"


class ResourceNotFoundException(AwsError):
    """A table or index that is not there, or not there yet."""

    code = "ResourceNotFoundException"
    text = "Requested resource not found"


class ResourceInUseException(AwsError):
    """A table that exists, or is being changed."""

    code = "ResourceInUseException"


class ConditionalCheckFailedException(AwsError):
    """A condition that does not hold; with the item, where it was asked for."""

    code = "ConditionalCheckFailedException"
    text = "The conditional request failed"


class ItemCollectionSizeLimitExceededException(AwsError):
    """A collection that would grow beyond what a table with local indexes may have."""

    code = "ItemCollectionSizeLimitExceededException"
    text = "Item collection size limit of 10737418240 bytes exceeded"


class DuplicateItemException(AwsError):
    """An item that PartiQL was to insert, and that is there."""

    code = "DuplicateItemException"
    text = "Duplicate primary key exists in table"


class TransactionCanceledException(AwsError):
    """A transaction of which nothing was done; the reasons are in the order of its parts."""

    code = "TransactionCanceledException"


class TransactionConflictException(AwsError):
    """An item that another transaction is writing."""

    code = "TransactionConflictException"
    text = "Transaction is ongoing for the item"


class IdempotentParameterMismatchException(AwsError):
    """A client token that was used for another request."""

    code = "IdempotentParameterMismatchException"
    text = "The specified client token has already been used with different parameters"


class ThrottledError(AwsError):
    """No capacity is left for a request; SDKs try it again. `reason` is what a transaction says."""

    reason = "ThrottlingError"


class ProvisionedThroughputExceededException(ThrottledError):
    """More than was bought."""

    code = "ProvisionedThroughputExceededException"
    reason = "ProvisionedThroughputExceeded"


class ThrottlingException(ThrottledError):
    """More than a table on demand can do yet, or may do."""

    code = "ThrottlingException"


class RequestLimitExceeded(ThrottledError):
    """More than the account may have."""

    code = "RequestLimitExceeded"
    text = (
        "Throughput exceeds the current throughput quota for your account. Please contact AWS "
        "Support at https://aws.amazon.com/support to request a quota increase."
    )


class KmsDenied(AwsError):
    """A table's key that the caller may not use."""

    code = "AccessDeniedException"


class KeyInaccessible(AwsError):
    """A table's key that nobody can use: it is disabled, or will be deleted."""

    code = "AccessDeniedException"


class TableNotFoundException(AwsError):
    """What the operations of backups say of a table that is not there."""

    code = "TableNotFoundException"


class TableAlreadyExistsException(AwsError):
    """A table that a restore was to make, and that is there."""

    code = "TableAlreadyExistsException"


class TableInUseException(AwsError):
    """A table that is being made or deleted."""

    code = "TableInUseException"


class BackupNotFoundException(AwsError):
    """A backup that is not there."""

    code = "BackupNotFoundException"


class BackupInUseException(AwsError):
    """A backup that is being made, or of which a table is being made."""

    code = "BackupInUseException"


class PointInTimeRecoveryUnavailableException(AwsError):
    """A table that does not remember what it was."""

    code = "PointInTimeRecoveryUnavailableException"


class InvalidRestoreTimeException(AwsError):
    """A moment that a table does not remember."""

    code = "InvalidRestoreTimeException"


class ExportNotFoundException(AwsError):
    """An export that is not there."""

    code = "ExportNotFoundException"


class ExportConflictException(AwsError):
    """A client token that was used for another export."""

    code = "ExportConflictException"


class InvalidExportTimeException(AwsError):
    """A moment that a table does not remember."""

    code = "InvalidExportTimeException"


class ImportNotFoundException(AwsError):
    """An import that is not there."""

    code = "ImportNotFoundException"


class ImportConflictException(AwsError):
    """A client token that was used for another import."""

    code = "ImportConflictException"


class PolicyNotFoundException(AwsError):
    """A resource without a policy, or with another one than was expected."""

    code = "PolicyNotFoundException"


class LimitExceededException(AwsError):
    """One more than AWS allows."""

    code = "LimitExceededException"


class GlobalTableAlreadyExistsException(AwsError):
    """A global table that is there."""

    code = "GlobalTableAlreadyExistsException"


class GlobalTableNotFoundException(AwsError):
    """A global table that is not there."""

    code = "GlobalTableNotFoundException"


class ReplicaAlreadyExistsException(AwsError):
    """A Region that has joined a global table before."""

    code = "ReplicaAlreadyExistsException"


class ReplicaNotFoundException(AwsError):
    """A Region that is not of a global table."""

    code = "ReplicaNotFoundException"


class IndexNotFoundException(AwsError):
    """An index that a replica does not have."""

    code = "IndexNotFoundException"
