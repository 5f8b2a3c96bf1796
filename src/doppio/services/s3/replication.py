"""Replication configurations: what of a bucket is kept in which other buckets, too."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, cast

from doppio.kernel.context import Context, Reader
from doppio.services.s3.errors import (
    InvalidArgument,
    InvalidRequest,
    MalformedXML,
    ReplicationConfigurationNotFound,
)
from doppio.services.s3.limits import REPLICATION_RULES_MAX, RTC_MINUTES, RULE_ID_CHARS_MAX
from doppio.services.s3.lookup import bucket_id, existing_bucket
from doppio.services.s3.records import Bucket
from doppio.services.s3.replication_rules import KIND, filter_of
from doppio.services.s3.rules import STORAGE_CLASSES
from doppio.services.s3.settings import drop_setting, put_setting, setting
from doppio.services.s3.versions import ENABLED

if TYPE_CHECKING:
    from doppio._stubs import s3 as w

_STATUS = frozenset({"Enabled", "Disabled"})
_SCHEMA = "for this version of Cross Region Replication configuration schema. Please refer to S3 "


class Replication:
    """The operations on a bucket's replication."""

    async def put_bucket_replication(
        self, ctx: Context, req: w.PutBucketReplicationRequest
    ) -> None:
        """Set what is replicated where; new versions go from now on."""
        document = _with_ids(ctx, cast("dict[str, Any]", req["ReplicationConfiguration"]))
        bucket = await existing_bucket(ctx.read(), req)
        if bucket.versioning != ENABLED:
            raise InvalidRequest(
                "Versioning must be 'Enabled' on the bucket to apply a replication configuration"
            )
        _check_role(document["Role"])
        _check_rules(document["Rules"])
        for rule in document["Rules"]:
            await _check_destination(ctx.read(), bucket, rule["Destination"])
        passed = {"iam:passedtoservice": "s3.amazonaws.com"}
        await ctx.authorise("iam:PassRole", document["Role"], passed)
        async with ctx.write() as tx:
            bucket = await existing_bucket(tx, req)
            put_setting(tx, bucket, KIND, document)
            tx.meter("Requests-Tier1")

    async def get_bucket_replication(
        self, ctx: Context, req: w.GetBucketReplicationRequest
    ) -> w.GetBucketReplicationOutput:
        """What is replicated where; an error where nothing is."""
        reader = ctx.read()
        bucket = await existing_bucket(reader, req)
        reader.meter("Requests-Tier2")
        document = await setting(reader, bucket, KIND)
        if document is None:
            raise ReplicationConfigurationNotFound(BucketName=bucket.name)
        return {"ReplicationConfiguration": cast("w.ReplicationConfiguration", document)}

    async def delete_bucket_replication(
        self, ctx: Context, req: w.DeleteBucketReplicationRequest
    ) -> None:
        """Replicate nothing more; replicas stay."""
        async with ctx.write() as tx:
            bucket = await existing_bucket(tx, req)
            await drop_setting(tx, bucket, KIND)


def _with_ids(ctx: Context, document: Mapping[str, Any]) -> dict[str, Any]:
    rules = [{**one, "ID": one.get("ID") or ctx.new_id()} for one in document.get("Rules") or []]
    return {"Role": document["Role"], "Rules": rules}


def _check_role(arn: str) -> None:
    parts = arn.split(":")
    if len(parts) != 6 or parts[2] != "iam" or not parts[5].startswith("role/"):
        raise InvalidArgument(
            "Invalid role specified in replication configuration", ArgumentName="Role"
        )


def _check_rules(rules: list[dict[str, Any]]) -> None:
    """Raise MalformedXML, InvalidArgument or InvalidRequest where rules mean nothing."""
    if not rules:
        raise MalformedXML
    if len(rules) > REPLICATION_RULES_MAX:
        raise InvalidRequest(f"The number of replication rules must not exceed {len(rules)}")
    if len({rule["ID"] for rule in rules}) < len(rules):
        raise InvalidArgument("Rule ID must be unique. Found same ID for one or more rules")
    if len({"Filter" in rule for rule in rules}) > 1:
        raise InvalidRequest("All rules must be of the same version of the schema.")
    newer = [rule for rule in rules if "Filter" in rule]
    if len({rule.get("Priority") for rule in newer}) < len(newer):
        raise InvalidRequest("Found duplicate priorities: each rule must have one of its own.")
    for rule in rules:
        _check_rule(rule)


def _check_rule(rule: Mapping[str, Any]) -> None:
    if len(rule["ID"]) > RULE_ID_CHARS_MAX:
        raise InvalidArgument("The ID of a rule must not be longer than 255 characters")
    if rule["Status"] not in _STATUS or ("Prefix" in rule and "Filter" in rule):
        raise MalformedXML
    if "ExistingObjectReplication" in rule:
        # S3 has given it up for its batch jobs: "this parameter is no longer supported".
        raise MalformedXML
    if "Filter" in rule:
        for member in ("Priority", "DeleteMarkerReplication"):
            if member not in rule:
                raise InvalidRequest(
                    f"{member} must be specified {_SCHEMA}Developer Guide for more information."
                )
        _, tags = filter_of(rule)
        if tags and rule["DeleteMarkerReplication"].get("Status") == "Enabled":
            raise InvalidRequest(
                "Delete marker replication is not supported if any Tag filter is specified. Please "
                "refer to S3 Developer Guide for more information."
            )
    _check_encryption(rule)
    _check_timing(rule["Destination"])
    storage_class = rule["Destination"].get("StorageClass", "STANDARD")
    if storage_class not in STORAGE_CLASSES:
        raise MalformedXML


def _check_encryption(rule: Mapping[str, Any]) -> None:
    chosen = (rule.get("SourceSelectionCriteria") or {}).get("SseKmsEncryptedObjects") or {}
    key = (rule["Destination"].get("EncryptionConfiguration") or {}).get("ReplicaKmsKeyID")
    if chosen.get("Status") == "Enabled" and not key:
        raise InvalidRequest(
            "ReplicaKmsKeyID must be specified if SseKmsEncryptedObjects tag is present."
        )
    if key and not chosen:
        raise InvalidRequest(
            "SseKmsEncryptedObjects must be specified if EncryptionConfiguration is present."
        )


def _check_timing(destination: Mapping[str, Any]) -> None:
    timing, metrics = destination.get("ReplicationTime"), destination.get("Metrics")
    if timing is not None:
        if timing["Time"].get("Minutes") != RTC_MINUTES:
            raise InvalidRequest("The value for replication time must be 15 minutes.")
        if (metrics or {}).get("Status") != timing["Status"]:
            raise InvalidRequest("Metrics must be enabled along with ReplicationTime.")
    threshold = ((metrics or {}).get("EventThreshold") or {}).get("Minutes", RTC_MINUTES)
    if threshold != RTC_MINUTES:
        raise InvalidRequest("The value for the event threshold must be 15 minutes.")
    translated = destination.get("AccessControlTranslation")
    if translated is not None and "Account" not in destination:
        raise InvalidRequest("Account must be specified with AccessControlTranslation.")


async def _check_destination(
    reader: Reader, source: Bucket, destination: Mapping[str, Any]
) -> None:
    arn = destination["Bucket"]
    if not arn.startswith(f"arn:{source.partition}:s3:::"):
        raise InvalidArgument("Invalid bucket ARN.", ArgumentName="Bucket", ArgumentValue=arn)
    name = arn.rpartition(":")[2]
    if name == source.name:
        raise InvalidRequest("Destination bucket cannot be the same as the source bucket.")
    found = await reader.get(Bucket, bucket_id(reader.context, name))
    if found is None:
        raise InvalidRequest("Destination bucket must exist.")
    if found.versioning != ENABLED:
        raise InvalidRequest("Destination bucket must have versioning enabled.")
