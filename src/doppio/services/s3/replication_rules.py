"""Which rules a replication configuration holds, and which versions they are about. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from doppio.services.s3.encryption import CUSTOMER
from doppio.services.s3.records import Version

KIND = "replication"
PENDING, COMPLETED, FAILED, REPLICA = "PENDING", "COMPLETED", "FAILED", "REPLICA"


class Rule(NamedTuple):
    """One rule that is on. `bucket` is the destination's name.

    `key` is the KMS key for replicas, None where nothing sealed by KMS is replicated. `minutes` is
    the time within which RTC promises a replica, 0 without it; `metrics` says whether CloudWatch is
    told how it goes.
    """

    id: str
    priority: int
    prefix: str
    tags: dict[str, str]
    bucket: str
    account: str | None
    storage_class: str | None
    markers: bool
    modifications: bool
    key: str | None
    minutes: int
    metrics: bool = False


def rules_of(document: Mapping[str, Any]) -> Iterator[Rule]:
    """The rules that are on."""
    for one in document["Rules"]:
        if one["Status"] != "Enabled":
            continue
        prefix, tags = filter_of(one)
        destination = one["Destination"]
        chosen = one.get("SourceSelectionCriteria") or {}
        sealed = _is_on(chosen.get("SseKmsEncryptedObjects"))
        encryption = destination.get("EncryptionConfiguration") or {}
        timing = destination.get("ReplicationTime")
        yield Rule(
            one["ID"],
            one.get("Priority", 0),
            prefix,
            tags,
            destination["Bucket"].rpartition(":")[2],
            destination.get("Account"),
            destination.get("StorageClass"),
            # The first version of the schema knows no such element: markers go along.
            "Filter" not in one or _is_on(one.get("DeleteMarkerReplication")),
            _is_on(chosen.get("ReplicaModifications")),
            encryption.get("ReplicaKmsKeyID") if sealed else None,
            timing["Time"]["Minutes"] if _is_on(timing) else 0,
            _is_on(destination.get("Metrics")),
        )


def filter_of(rule: Mapping[str, Any]) -> tuple[str, dict[str, str]]:
    """The prefix and the tags that a rule is about."""
    given = rule.get("Filter")
    if given is None:
        return rule.get("Prefix", ""), {}
    both = given.get("And") or {}
    tags = {tag["Key"]: tag["Value"] for tag in both.get("Tags") or []}
    if given.get("Tag"):
        tags[given["Tag"]["Key"]] = given["Tag"]["Value"]
    return given.get("Prefix") or both.get("Prefix") or "", tags


def chosen(document: Mapping[str, Any], version: Version) -> list[Rule]:
    """The rules by which a version is replicated: for each destination, the first in priority."""
    found: dict[str, Rule] = {}
    for rule in sorted(rules_of(document), key=lambda one: -one.priority):
        if _fits(rule, version):
            found.setdefault(rule.bucket, rule)
    return list(found.values())


def _fits(rule: Rule, version: Version) -> bool:
    if not version.key.startswith(rule.prefix):
        return False
    if version.marker:
        return rule.markers and not rule.tags
    if not rule.tags.items() <= version.tags.items():
        return False
    sealed = None if version.more is None else version.more.sealed
    # What KMS has sealed goes only where a rule says so, and under which key.
    return sealed is None or not sealed.key_id or rule.key is not None


def is_sealed_by_customer(version: Version) -> bool:
    """Whether only the customer has the key: the replica has the same."""
    sealed = None if version.more is None else version.more.sealed
    return sealed is not None and sealed.kind == CUSTOMER


def _is_on(element: Any) -> bool:
    return bool(element) and element.get("Status") == "Enabled"
