"""What operations need: IAM's names for them, on which resource, under which conditions."""

from __future__ import annotations

import asyncio
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from doppio.kernel.identity import root_of
from doppio.services.s3 import permissions
from doppio.services.s3.permissions import DATA_EVENTS, needs
from doppio.services.s3.service import SERVICE
from doppio.wire import model

from .world import ACCOUNT, World

BUCKET = {"Bucket": "b"}
OBJECT = {"Bucket": "b", "Key": "k/1"}
B, K = "arn:aws:s3:::b", "arn:aws:s3:::b/k/1"


def needed(operation: str, req: dict[str, Any]) -> list[tuple[str, str, dict[str, Any]]]:
    async def ask() -> list[tuple[str, str, dict[str, Any]]]:
        with tempfile.TemporaryDirectory() as folder:
            context = World(Path(folder)).context(root_of(ACCOUNT))
            found = needs(context, operation, req)
            return [(need.action, need.resource, dict(need.context)) for need in found]

    return asyncio.run(ask())


@pytest.mark.parametrize(
    ("operation", "req", "expected"),
    [
        ("ListBuckets", {}, [("s3:ListAllMyBuckets", "*")]),
        ("HeadBucket", BUCKET, [("s3:ListBucket", B)]),
        ("DeleteBucket", BUCKET, [("s3:DeleteBucket", B)]),
        ("GetBucketCors", BUCKET, [("s3:GetBucketCORS", B)]),
        ("PutObject", OBJECT, [("s3:PutObject", K)]),
        (
            "PutObject",
            {**OBJECT, "Tagging": "a=1", "ACL": "private"},
            [("s3:PutObject", K), ("s3:PutObjectTagging", K), ("s3:PutObjectAcl", K)],
        ),
        ("HeadObject", OBJECT, [("s3:GetObject", K)]),
        ("GetObject", {**OBJECT, "VersionId": "v"}, [("s3:GetObjectVersion", K)]),
        ("DeleteObject", {**OBJECT, "VersionId": "v"}, [("s3:DeleteObjectVersion", K)]),
        ("UploadPart", OBJECT, [("s3:PutObject", K)]),
        ("ListParts", OBJECT, [("s3:ListMultipartUploadParts", K)]),
        ("ListMultipartUploads", BUCKET, [("s3:ListBucketMultipartUploads", B)]),
        (
            "CopyObject",
            {**OBJECT, "CopySource": "a/x%20y"},
            [("s3:GetObject", "arn:aws:s3:::a/x y"), ("s3:PutObject", K)],
        ),
        (
            "UploadPartCopy",
            {**OBJECT, "CopySource": "a/x?versionId=v"},
            [("s3:GetObjectVersion", "arn:aws:s3:::a/x"), ("s3:PutObject", K)],
        ),
        (
            "DeleteObjects",
            {**BUCKET, "Delete": {"Objects": [{"Key": "x"}, {"Key": "y", "VersionId": "v"}]}},
            [],
        ),
        (
            "GetObjectAttributes",
            OBJECT,
            [("s3:GetObject", K), ("s3:GetObjectAttributes", K)],
        ),
        ("CreateBucket", BUCKET, [("s3:CreateBucket", B)]),
        (
            "ListDirectoryBuckets",
            {},
            [
                (
                    "s3express:ListAllMyDirectoryBuckets",
                    f"arn:aws:s3express:us-east-1:{ACCOUNT}:*",
                )
            ],
        ),
        ("PutObject", {**OBJECT, "Bucket": "b--use1-az1--x-s3"}, []),
        (
            "CopyObject",
            {**OBJECT, "Bucket": "b--use1-az1--x-s3", "CopySource": "a/x"},
            [("s3:GetObject", "arn:aws:s3:::a/x")],
        ),
    ],
)
def test_operations_need_iams_actions(
    operation: str, req: dict[str, Any], expected: list[tuple[str, str]]
) -> None:
    assert [(action, resource) for action, resource, _ in needed(operation, req)] == expected


def test_a_member_that_policies_know_is_never_taken_for_plain() -> None:
    """Of every operation on an object, each member of its request that is a condition key comes to be one."""
    methods = model.load("s3").by_method
    seen = set()
    for method in SERVICE.operations:
        operation = methods[method]
        if operation.name not in permissions._ON_OBJECT or operation.input is None:
            continue
        assert needed(operation.name, OBJECT)[0][:2] == (
            permissions._object_actions[operation.name],
            K,
        )
        for member in operation.input.members.keys() & permissions._CONDITIONS.keys():
            text = (
                "2030-01-01"
                if member != "ObjectLockRetainUntilDate"
                else datetime(2030, 1, 1, tzinfo=UTC)
            )
            context = needed(operation.name, {**OBJECT, member: text})[0][2]
            assert permissions._CONDITIONS[member] in context, (operation.name, member)
            seen.add(member)
    assert {"VersionId", "ACL", "StorageClass", "IfMatch", "ObjectLockRetainUntilDate"} <= seen


def test_listings_can_be_bounded_by_prefix() -> None:
    ((_, _, context),) = needed("ListObjectsV2", {**BUCKET, "Prefix": "p/", "MaxKeys": 5})
    assert context == {"s3:prefix": "p/", "s3:max-keys": "5"}
    ((_, _, context),) = needed("ListObjects", BUCKET)
    assert context == {"s3:prefix": ""}


def test_tags_that_are_asked_for_are_conditions() -> None:
    (_, _, context), _ = needed("PutObject", {**OBJECT, "Tagging": "Team=bar"})
    assert context["s3:requestobjecttag/team"] == "bar"
    assert context["s3:requestobjecttagkeys"] == ["Team"]


def test_every_operation_says_what_it_needs() -> None:
    """With the plainest request there is, each operation yields at least one need of its own.

    DeleteObjects asks key by key.
    """
    methods = model.load("s3").by_method
    for method in SERVICE.operations.keys() - {"delete_objects"}:
        operation = methods[method].name
        req: dict[str, Any] = {
            **OBJECT,
            "CopySource": "a/x",
            "Delete": {"Objects": [{"Key": "x"}]},
        }
        if operation in {"ListBuckets", "ListDirectoryBuckets"}:
            req = {}
        found = needed(operation, req)
        assert found, operation
        assert all(action.startswith(("s3:", "s3express:")) for action, _, _ in found)


def test_data_events_are_operations() -> None:
    names = {operation.name for operation in model.load("s3").by_method.values()}
    assert names >= DATA_EVENTS
