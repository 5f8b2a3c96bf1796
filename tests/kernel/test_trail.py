"""Which calls stand in a trail, and what their records hide. Stories are in services/events."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from doppio.kernel.identity import Caller, root_of
from doppio.kernel.trail import HIDDEN, PART_BYTES_MAX, _part, identity_of, is_read
from doppio.wire import model


@pytest.mark.parametrize(
    ("operation", "reads"),
    [
        ("CreateQueue", False), ("PutRule", False), ("DeleteUser", False), ("TagResource", False),
        ("GetUser", True), ("ListQueues", True), ("DescribeTable", True),
        ("GenerateDataKey", True), ("AssumeRole", True), ("BatchGetSecretValue", True),
    ],
)  # fmt: skip
def test_what_reads_is_known_by_its_name(operation: str, reads: bool) -> None:
    assert is_read(operation) is reads


def shown(service: str, operation: str, req: dict[str, Any]) -> Any:
    """What a record shows of a request."""
    return _part(model.load(service).operations[operation].input, req, service)


def test_names_begin_small_and_the_keys_of_maps_stay() -> None:
    req = {"QueueName": "q", "Attributes": {"VisibilityTimeout": "3"}, "tags": {"Team": "bar"}}
    assert shown("sqs", "CreateQueue", req) == {
        "queueName": "q", "attributes": {"VisibilityTimeout": "3"}, "tags": {"Team": "bar"},
    }  # fmt: skip


def test_a_bucket_is_named_as_in_its_own_records() -> None:
    req = {"Bucket": "b", "VersioningConfiguration": {"Status": "Enabled"}}
    assert shown("s3", "PutBucketVersioning", req) == {
        "bucketName": "b", "VersioningConfiguration": {"Status": "Enabled"},
    }  # fmt: skip


def test_what_is_secret_or_bytes_is_not_shown() -> None:
    req = {"Name": "pin", "SecretString": "0042", "SecretBinary": b"0042"}
    assert shown("secretsmanager", "CreateSecret", req) == {"name": "pin", "secretString": HIDDEN}


def test_a_part_is_shown_up_to_its_limit() -> None:
    def body(size: int) -> dict[str, Any]:
        return {"DashboardName": "d", "DashboardBody": "x" * size}

    small = shown("cloudwatch", "PutDashboard", body(0))
    room = PART_BYTES_MAX - len('{"dashboardName": "d", "dashboardBody": ""}')
    assert small == {"dashboardName": "d", "dashboardBody": ""}
    assert shown("cloudwatch", "PutDashboard", body(room))["dashboardName"] == "d"
    assert shown("cloudwatch", "PutDashboard", body(room + 1)) == {
        "omitted": True, "originalSize": PART_BYTES_MAX + 1, "reason": "request too large",
    }  # fmt: skip


def test_moments_are_texts_and_nothing_is_null() -> None:
    at = datetime(2030, 1, 1, tzinfo=UTC)
    entry = {"Source": "s", "Time": at}
    assert shown("events", "PutEvents", {"Entries": [entry]}) == {
        "entries": [{"source": "s", "time": "2030-01-01T00:00:00Z"}]
    }
    assert shown("sqs", "ListQueues", {}) is None


def test_a_federated_user_and_root_are_told_apart() -> None:
    assert identity_of(root_of("1" * 12))["type"] == "Root"
    arn = f"arn:aws:sts::{'1' * 12}:federated-user/ada"
    who = Caller(account="1" * 12, arn=arn, id="111:ada", kind="federated-user")
    assert identity_of(who)["type"] == "FederatedUser"
