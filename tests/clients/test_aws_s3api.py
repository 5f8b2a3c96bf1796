"""`aws s3api` as its documentation shows it: real answers of S3, asked for again here."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from .cli_examples import Cli, cli, example, missing
from .conftest import Account

# S3 has not shown names of owners since November 2025.
GONE = frozenset({"DisplayName"})
MIB = 1024 * 1024


_names = itertools.count(1)


@pytest.fixture(scope="module")
def account(endpoints: list[str]) -> Account:
    """One account for all: the CLI takes seconds to start."""
    return Account(endpoints, "000000900000")


@pytest.fixture(scope="module")
def s3(account: Account, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cli]:
    with cli(account, tmp_path_factory.mktemp("cli")) as running:
        yield running


@pytest.fixture
def bucket(s3: Cli) -> str:
    return made(s3)


def made(s3: Cli, *words: str) -> str:
    """A new bucket."""
    name = f"examples-{next(_names)}"
    assert s3("create-bucket", *words, bucket=name)["Location"] == f"/{name}"
    return name


# A setting: how it is put, the member that it is given as, and what of the document is the bucket's
# own to say. What is read back is the document that real S3 showed.
SETTINGS: list[tuple[str, str, dict[str, Any]]] = [
    ("accelerate-configuration", "accelerate_configuration", {}),
    ("cors", "cors_configuration", {}),
    ("encryption", "server_side_encryption_configuration",
     {"take": "ServerSideEncryptionConfiguration"}),
    ("lifecycle-configuration", "lifecycle_configuration", {}),
    ("metrics-configuration", "metrics_configuration", {"take": "MetricsConfiguration", "id": "123"}),
    ("analytics-configuration", "analytics_configuration",
     {"take": "AnalyticsConfiguration", "id": "1"}),
    ("intelligent-tiering-configuration", "intelligent_tiering_configuration",
     {"take": "IntelligentTieringConfiguration", "id": "ExampleConfig2"}),
    ("ownership-controls", "ownership_controls", {"take": "OwnershipControls"}),
    ("request-payment", "request_payment_configuration", {}),
    ("tagging", "tagging", {}),
    ("versioning", "versioning_configuration", {}),
    ("website", "website_configuration", {}),
]  # fmt: skip


@pytest.mark.parametrize(("name", "option", "how"), SETTINGS, ids=[row[0] for row in SETTINGS])
def test_a_setting_is_read_back_as_s3_shows_it(
    s3: Cli, bucket: str, name: str, option: str, how: dict[str, Any]
) -> None:
    shown = example(f"get-bucket-{name}")
    given = shown[how["take"]] if "take" in how else shown
    which = {"id": how["id"]} if "id" in how else {}
    if name == "lifecycle-configuration":
        for rule in given["Rules"]:
            for move in rule.get("NoncurrentVersionTransitions", []):
                # S3 took zero once.
                move["NoncurrentDays"] = 1
    s3(f"put-bucket-{name}", bucket=bucket, **which, **{option: given})
    found = s3(f"get-bucket-{name}", bucket=bucket, **which)
    assert told(given) == told(found[how["take"]] if "take" in how else found)


def told(document: Any) -> Any:
    """A document without what S3 adds, and with times as times."""
    if isinstance(document, dict):
        kept = {key: told(value) for key, value in document.items()}
        for added in ("TransitionDefaultMinimumObjectSize", "BlockedEncryptionTypes"):
            kept.pop(added, None)
        if "ApplyServerSideEncryptionByDefault" in kept:
            kept.pop("BucketKeyEnabled", None)
        return kept
    if isinstance(document, list):
        return [told(value) for value in document]
    if isinstance(document, str) and document.endswith("T00:00:00.000Z"):
        return document.replace(".000Z", "+00:00")
    return document


def test_objects_and_versions_are_shown_as_s3_shows_them(
    s3: Cli, bucket: str, tmp_path: Path
) -> None:
    (tmp_path / "page").write_text("<html></html>")
    s3("put-bucket-versioning", bucket=bucket, versioning_configuration="Status=Enabled")
    put = s3(
        "put-object",
        bucket=bucket,
        key="index.html",
        body=str(tmp_path / "page"),
        content_type="text/html",
    )
    assert put["ETag"]
    s3("put-object", bucket=bucket, key="doc1.rtf", body=str(tmp_path / "page"))
    answers = {
        "head-object": s3("head-object", bucket=bucket, key="index.html"),
        "get-object-attributes": s3(
            "get-object-attributes", "--object-attributes", "StorageClass", "ETag", "ObjectSize",
            bucket=bucket, key="index.html",
        ),
        "copy-object": s3("copy-object", bucket=bucket, key="copy", copy_source=f"{bucket}/doc1.rtf"),
        "list-objects-v2": s3("list-objects-v2", bucket=bucket),
        "get-object-acl": s3("get-object-acl", bucket=bucket, key="doc1.rtf"),
        "get-bucket-acl": s3("get-bucket-acl", bucket=bucket),
        "delete-objects": s3(
            "delete-objects", bucket=bucket, delete={"Objects": [{"Key": "index.html"}]}
        ),
        "list-object-versions": s3("list-object-versions", bucket=bucket),
    }  # fmt: skip
    s3("put-object-tagging", bucket=bucket, key="doc1.rtf", tagging=example("get-object-tagging"))
    tags = s3("get-object-tagging", bucket=bucket, key="doc1.rtf")
    assert tags["TagSet"] == example("get-object-tagging")["TagSet"]
    problems = {name: missing(example(name), found, GONE) for name, found in answers.items()}
    assert not any(problems.values()), problems
    times = [one["LastModified"] for one in answers["list-objects-v2"]["Contents"]]
    assert all(time.endswith((".000Z", "+00:00")) for time in times), times


def test_uploads_and_parts_are_shown_as_s3_shows_them(s3: Cli, bucket: str, tmp_path: Path) -> None:
    (tmp_path / "part").write_bytes(b"x" * 5 * MIB)
    s3("put-object", bucket=bucket, key="source", body=str(tmp_path / "part"))
    key = "multipart/01"
    begun = s3("create-multipart-upload", bucket=bucket, key=key)
    upload = {"bucket": bucket, "key": key, "upload_id": begun["UploadId"]}
    part = s3("upload-part", part_number="1", body=str(tmp_path / "part"), **upload)
    copied = s3("upload-part-copy", part_number="2", copy_source=f"{bucket}/source", **upload)
    answers = {
        "create-multipart-upload": begun,
        "upload-part": part,
        "upload-part-copy": copied,
        "list-multipart-uploads": s3("list-multipart-uploads", bucket=bucket),
        "list-parts": s3("list-parts", **upload),
        "complete-multipart-upload": s3(
            "complete-multipart-upload", **upload,
            multipart_upload={"Parts": [
                {"PartNumber": 1, "ETag": part["ETag"]},
                {"PartNumber": 2, "ETag": copied["CopyPartResult"]["ETag"]},
            ]},
        ),
    }  # fmt: skip
    problems = {name: missing(example(name), found, GONE) for name, found in answers.items()}
    assert not any(problems.values()), problems


def test_policies_and_blocks_are_shown_as_s3_shows_them(s3: Cli, bucket: str) -> None:
    shown = example("get-public-access-block")
    s3(
        "put-public-access-block", bucket=bucket,
        public_access_block_configuration={
            **shown["PublicAccessBlockConfiguration"], "BlockPublicPolicy": False,
        },
    )  # fmt: skip
    found = s3("get-public-access-block", bucket=bucket)
    assert missing(shown, found, GONE) == []
    policy = example("get-bucket-policy")["Policy"].replace("amzn-s3-demo-bucket", bucket)
    s3("put-bucket-policy", bucket=bucket, policy=policy)
    assert s3("get-bucket-policy", bucket=bucket) == {"Policy": policy}
    assert s3("get-bucket-policy-status", bucket=bucket) == {"PolicyStatus": {"IsPublic": True}}


def test_locks_are_shown_as_s3_shows_them(s3: Cli, tmp_path: Path) -> None:
    (tmp_path / "page").write_text("deed")
    bucket = made(s3, "--object-lock-enabled-for-bucket")
    shown = example("get-object-lock-configuration")
    s3(
        "put-object-lock-configuration", bucket=bucket,
        object_lock_configuration=shown["ObjectLockConfiguration"],
    )  # fmt: skip
    assert s3("get-object-lock-configuration", bucket=bucket) == shown
    s3("put-object", bucket=bucket, key="doc1.rtf", body=str(tmp_path / "page"))
    s3("put-object-legal-hold", bucket=bucket, key="doc1.rtf", legal_hold="Status=ON")
    held = s3("get-object-legal-hold", bucket=bucket, key="doc1.rtf")
    assert held == example("get-object-legal-hold")
    found = s3("get-object-retention", bucket=bucket, key="doc1.rtf")
    assert missing(example("get-object-retention"), found, GONE) == []


def test_logging_notifications_and_replication_are_shown_as_s3_shows_them(
    s3: Cli, bucket: str, account: Account
) -> None:
    logs = made(s3)
    shown = json.loads(
        json.dumps(example("get-bucket-logging")).replace("amzn-s3-demo-bucket-logs", logs)
    )
    s3("put-bucket-logging", bucket=bucket, bucket_logging_status=shown)
    assert s3("get-bucket-logging", bucket=bucket) == shown
    topic = account.client("sns").create_topic(Name="news")["TopicArn"]
    account.client("sns").set_topic_attributes(
        TopicArn=topic, AttributeName="Policy",
        AttributeValue=json.dumps({"Version": "2012-10-17", "Statement": [{
            "Effect": "Allow", "Principal": {"Service": "s3.amazonaws.com"},
            "Action": "sns:Publish", "Resource": topic}]}),
    )  # fmt: skip
    shown = example("get-bucket-notification-configuration")
    shown["TopicConfigurations"][0]["TopicArn"] = topic
    s3("put-bucket-notification-configuration", bucket=bucket, notification_configuration=shown)
    assert s3("get-bucket-notification-configuration", bucket=bucket) == shown
    for name in (bucket, logs):
        s3("put-bucket-versioning", bucket=name, versioning_configuration="Status=Enabled")
    shown = example("get-bucket-replication")
    given = shown["ReplicationConfiguration"]
    given["Role"] = f"arn:aws:iam::{account.number}:role/replicas"
    given["Rules"][0]["Destination"]["Bucket"] = f"arn:aws:s3:::{logs}"
    s3("put-bucket-replication", bucket=bucket, replication_configuration=given)
    assert s3("get-bucket-replication", bucket=bucket) == shown
    where = s3("get-bucket-location", bucket=bucket)
    assert where == {"LocationConstraint": None}
    (listed,) = [one for one in s3("list-buckets")["Buckets"] if one["Name"] == bucket]
    assert listed["CreationDate"].endswith((".000Z", "+00:00"))


@pytest.mark.parametrize("kind", ["analytics", "intelligent-tiering", "inventory", "metrics"])
def test_lists_of_settings_are_shown_as_s3_shows_them(s3: Cli, bucket: str, kind: str) -> None:
    shown = example(f"list-bucket-{kind}-configurations")
    member = f"{kind.title().replace('-', '')}ConfigurationList"
    given = json.loads(json.dumps(shown[member]).replace("amzn-s3-demo-bucket", bucket))
    for one in given:
        s3(
            f"put-bucket-{kind}-configuration", bucket=bucket, id=one["Id"],
            **{f"{kind.replace('-', '_')}_configuration": one},
        )  # fmt: skip
    found = s3(f"list-bucket-{kind}-configurations", bucket=bucket)
    assert found[member] == given
    assert missing(shown, found, GONE) == []
