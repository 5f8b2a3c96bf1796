"""S3 Metadata, as pure functions: what a configuration may say, what tables and their rows are.

Sources: "S3 Metadata journal tables schema", "S3 Metadata live inventory tables schema" and
"Creating metadata table configurations" in the user guide.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from doppio.services.s3.encryption import CUSTOMER, DSSE, KMS
from doppio.services.s3.errors import InvalidRequest, MalformedXML
from doppio.services.s3.limits import JOURNAL_DAYS_MAX, JOURNAL_DAYS_MIN
from doppio.services.s3.metadata_records import DELETE, Entry, Metadata, TableState
from doppio.services.s3.records import Bucket, Version

ENABLED, DISABLED = "ENABLED", "DISABLED"
CREATING, BACKFILLING, ACTIVE, FAILED = "CREATING", "BACKFILLING", "ACTIVE", "FAILED"
AWS, CUSTOMERS = "aws", "customer"
MANAGED_BUCKET = "aws-s3"
V1_NAMESPACE = "aws_s3_metadata"
JOURNAL, INVENTORY, ANNOTATION = "journal", "inventory", "annotation"
PRINCIPAL = "metadata.s3"
# Properties of a table: whose it is, how much of what happened it holds, and how far it is filled.
OWNER, POSITION, PLACE = "s3.metadata.id", "s3.metadata.position", "s3.metadata.place"
_STATES = frozenset({ENABLED, DISABLED})
_ENCRYPTIONS = frozenset({"aws:kms", "AES256"})
_STATUS = {KMS: "SSE-KMS", DSSE: "DSSE-KMS", CUSTOMER: "SSE-C"}
_MAP = "map"
_OF_OBJECT = (
    ("size", "long"), ("last_modified_date", "timestamp"), ("e_tag", "string"),
    ("storage_class", "string"), ("is_multipart", "boolean"), ("encryption_status", "string"),
    ("is_bucket_key_enabled", "boolean"), ("kms_key_arn", "string"),
    ("checksum_algorithm", "string"), ("object_tags", _MAP), ("user_metadata", _MAP),
)  # fmt: skip
_NAMED = (("bucket", "string"), ("key", "string"), ("sequence_number", "string"))
_VERSION = (("version_id", "string"), ("is_delete_marker", "boolean"))
COLUMNS = {
    JOURNAL: (
        *_NAMED, ("record_type", "string"), ("record_timestamp", "timestamp"), *_VERSION,
        *_OF_OBJECT, ("requester", "string"), ("source_ip_address", "string"),
        ("request_id", "string"),
    ),
    INVENTORY: (*_NAMED, *_VERSION, *_OF_OBJECT),
    # The columns of annotations are ours.
    ANNOTATION: (
        *_NAMED, ("version_id", "string"), ("annotation_name", "string"),
        ("annotation_value", "string"), ("size", "long"), ("last_modified_date", "timestamp"),
        ("e_tag", "string"), ("checksum_algorithm", "string"),
    ),
}  # fmt: skip
_REQUIRED = frozenset(
    {"bucket", "key", "sequence_number", "record_type", "record_timestamp", "annotation_name"}
)
_RECREATE = (
    "To create a new metadata table, you must delete the metadata configuration for this bucket, "
    "and then create a new metadata configuration."
)
_ACCESS_V1 = (
    "You don't have sufficient permissions to create the required resources. Make sure that you "
    "have s3tables:CreateNamespace, s3tables:CreateTable, s3tables:GetTable and "
    f"s3tables:PutTablePolicy permissions, and then try again. {_RECREATE}"
)
_ACCESS_V2 = (
    "You don't have sufficient permissions to create the required resources. Make sure that you "
    "have s3tables:CreateTableBucket, s3tables:CreateNamespace, s3tables:CreateTable, "
    "s3tables:GetTable, s3tables:PutTablePolicy, kms:DescribeKey, and s3tables:PutTableEncryption "
    "permissions. Additionally, ensure that the KMS key used to encrypt the table still exists, is "
    "active and has a resource policy granting access to the S3 service principals "
    "'maintenance.s3tables.amazonaws.com' and 'metadata.s3.amazonaws.com'. "
    f"{_RECREATE}"
)
# Why a table could not be made, or is not written to any more. Source: `ErrorDetails`.
_TEXTS = {
    "AccessDeniedWritingToTable": (
        "Unable to write to the metadata table because of missing resource permissions. To fix the "
        f"resource policy, Amazon S3 needs to create a new metadata table. {_RECREATE}"
    ),
    "DestinationTableNotFound": f"The destination table doesn't exist. {_RECREATE}",
    "ServerInternalError": f"An internal error has occurred. {_RECREATE}",
    "TableAlreadyExists": (
        "The table that you specified already exists in the table bucket's namespace. Specify a "
        f"different table name. {_RECREATE}"
    ),
    "TableBucketNotFound": (
        "The table bucket that you specified doesn't exist in this Amazon Web Services Region and "
        f"account. Create or choose a different table bucket. {_RECREATE}"
    ),
    "JournalTableAlreadyExists": (
        "A journal table already exists in the Amazon Web Services managed table bucket's "
        f"namespace. Delete the journal table, and then try again. {_RECREATE}"
    ),
    "InventoryTableAlreadyExists": (
        "An inventory table already exists in the Amazon Web Services managed table bucket's "
        f"namespace. Delete the inventory table, and then try again. {_RECREATE}"
    ),
    "AnnotationTableAlreadyExists": (
        "An annotation table already exists in the Amazon Web Services managed table bucket's "
        f"namespace. Delete the annotation table, and then try again. {_RECREATE}"
    ),
    "AccessDeniedReadingAnnotations": (
        "Unable to read annotations with the IAM role of the annotation table. Make sure that the "
        "role trusts 'metadata.s3.amazonaws.com' and may read annotations of the bucket. "
        f"{_RECREATE}"
    ),
    "JournalTableNotAvailable": (
        "The journal table that the inventory table relies on has a FAILED status. An inventory "
        "table requires a journal table with an ACTIVE status. To create a new journal or inventory "
        "table, you must delete the metadata configuration for this bucket, along with any journal "
        "or inventory tables, and then create a new metadata configuration."
    ),
}


def text_of(code: str, version: int) -> str:
    """AWS's words for why a table has failed."""
    if code == "AccessDeniedCreatingResources":
        return _ACCESS_V1 if version == 1 else _ACCESS_V2
    return _TEXTS[code]


def expiration_of(given: Mapping[str, Any]) -> int | None:
    """After how many days records of the journal go; None where they stay. Raises MalformedXML."""
    state, days = given["Expiration"], given.get("Days")
    if state not in _STATES:
        raise MalformedXML
    if state == DISABLED:
        if days is not None:
            raise InvalidRequest("Days cannot be specified when record expiration is disabled.")
        return None
    if days is None or not JOURNAL_DAYS_MIN <= days <= JOURNAL_DAYS_MAX:
        raise InvalidRequest(
            "Days must be a whole number from 7 to 2147483647 when record expiration is enabled."
        )
    return int(days)


def encryption_of(given: Mapping[str, Any] | None) -> dict[str, str] | None:
    """How a table is to be encrypted, as S3 Tables asks for it. Raises MalformedXML."""
    encryption = (given or {}).get("EncryptionConfiguration")
    if encryption is None:
        return None
    kind, key = encryption["SseAlgorithm"], encryption.get("KmsKeyArn")
    if kind not in _ENCRYPTIONS:
        raise MalformedXML
    if (kind == "aws:kms") != (key is not None):
        raise InvalidRequest(
            "A KMS key ARN must be specified for aws:kms, and only for aws:kms encryption."
        )
    return {"sseAlgorithm": kind, **({"kmsKeyArn": key} if key is not None else {})}


def is_enabled(given: Mapping[str, Any] | None) -> bool:
    """Whether a configuration turns a table on. Raises MalformedXML."""
    if given is None:
        return False
    if given["ConfigurationState"] not in _STATES:
        raise MalformedXML
    return bool(given["ConfigurationState"] == ENABLED)


def role_of(given: Mapping[str, Any] | None, known: str = "") -> str:
    """The role as which annotations are read. Raises InvalidRequest where there has to be one."""
    role = str((given or {}).get("Role") or known)
    if is_enabled(given) and not role:
        raise InvalidRequest("A role must be specified to enable the annotation table.")
    return role


def namespace_of(bucket: str) -> str:
    """The namespace of a bucket's tables in AWS's own table bucket: it has underscores alone."""
    return f"b_{bucket.replace('.', '_').replace('-', '_')}"


def shown(found: Metadata) -> dict[str, Any]:
    """A configuration as GetBucketMetadataConfiguration shows it."""
    days = found.expiration_days
    expiration = {"Expiration": DISABLED} if days is None else {"Expiration": ENABLED, "Days": days}
    told: dict[str, Any] = {
        "DestinationResult": {
            "TableBucketType": CUSTOMERS if found.version == 1 else AWS,
            "TableBucketArn": found.table_bucket,
            "TableNamespace": found.namespace,
        },
        "JournalTableConfigurationResult": {
            **_shown_table(found.journal, found.version),
            "RecordExpiration": expiration,
        },
    }
    if found.version == 2:
        told["InventoryTableConfigurationResult"] = _shown_follower(found.inventory)
    if found.annotation is not None:
        role = {"Role": found.role} if found.role else {}
        told["AnnotationTableConfigurationResult"] = {**_shown_follower(found.annotation), **role}
    return told


def _shown_follower(table: TableState | None) -> dict[str, Any]:
    if table is None or not table.enabled:
        return {"ConfigurationState": DISABLED}
    return {"ConfigurationState": ENABLED, **_shown_table(table, 2)}


def _shown_table(table: TableState, version: int) -> dict[str, Any]:
    told: dict[str, Any] = {"TableStatus": table.status, "TableName": table.name}
    if table.arn:
        told["TableArn"] = table.arn
    if table.error:
        told["Error"] = error_of(table, version)
    return told


def error_of(table: TableState, version: int) -> dict[str, str]:
    """Why a table has failed, as S3 says it."""
    return {"ErrorCode": table.error, "ErrorMessage": text_of(table.error, version)}


def policy_of(table: str, bucket: Bucket) -> dict[str, Any]:
    """What lets S3 write to a table of a customer's."""
    return {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Principal": {"Service": f"{PRINCIPAL}.amazonaws.com"},
                "Action": [
                    "s3tables:GetTableMetadataLocation",
                    "s3tables:GetTableData",
                    "s3tables:PutTableData",
                    "s3tables:UpdateTableMetadataLocation",
                ],
                "Resource": table,
                "Condition": {
                    "StringEquals": {"aws:SourceAccount": bucket.account},
                    "ArnLike": {"aws:SourceArn": bucket.arn},
                },
            }
        ],
    }


def schema_of(kind: str) -> dict[str, Any]:
    """The schema of a table, as Iceberg writes it."""
    columns = COLUMNS[kind]
    fields = []
    inner = len(columns) + 1
    for number, (name, type_name) in enumerate(columns, 1):
        given: Any = type_name
        if type_name == _MAP:
            given = {
                "type": _MAP, "key-id": inner, "key": "string", "value-id": inner + 1,
                "value": "string", "value-required": False,
            }  # fmt: skip
            inner += 2
        fields.append({"id": number, "name": name, "type": given, "required": name in _REQUIRED})
    return {"type": "struct", "schema-id": 0, "fields": fields}


def sequence_number(position: int, version: Version) -> str:
    """The number of a row that tells of what stands at a position of the bucket's log.

    Those of a key sort as things have happened, whatever the clock was. What the log has not told of
    has the position from which on it does.
    """
    return f"{position:016x}{version.sequence:016x}"


def journal_row(bucket: Bucket, entry: Entry, position: int) -> dict[str, Any]:
    """What the journal says of what happened."""
    row = {
        "bucket": bucket.name,
        "key": entry.version.key,
        "sequence_number": sequence_number(position, entry.version),
        "record_type": entry.type,
        "record_timestamp": entry.at.replace(tzinfo=None),
        "requester": entry.requester,
    }
    if entry.source_ip:
        row |= {"source_ip_address": entry.source_ip, "request_id": entry.request_id}
    if entry.type == DELETE:
        return row | _version(entry.version)
    return row | _version(entry.version) | _object(entry.version)


def inventory_row(bucket: Bucket, version: Version, number: str) -> dict[str, Any]:
    """What the inventory says of a version."""
    row = {"bucket": bucket.name, "key": version.key, "sequence_number": number}
    found = row | _version(version)
    return found if version.marker else found | _object(version)


def version_key(version: Version) -> tuple[str, str | None]:
    """A version by what a row calls it."""
    return version.key, None if version.id == "null" else version.id


def _version(version: Version) -> dict[str, Any]:
    return {"version_id": version_key(version)[1], "is_delete_marker": version.marker}


def _object(version: Version) -> dict[str, Any]:
    sealed = None if version.more is None else version.more.sealed
    return {
        "size": version.size,
        "last_modified_date": version.modified.replace(tzinfo=None),
        "e_tag": version.etag,
        "storage_class": version.storage_class,
        "is_multipart": version.parts_count > 0,
        "encryption_status": "SSE-S3" if sealed is None else _STATUS.get(sealed.kind, "SSE-S3"),
        "is_bucket_key_enabled": sealed is not None and sealed.bucket_key,
        "kms_key_arn": (sealed.key_id or None) if sealed is not None else None,
        "checksum_algorithm": None if version.checksum is None else version.checksum.algorithm,
        "object_tags": list(version.tags.items()),
        "user_metadata": list(version.metadata.items()),
    }
