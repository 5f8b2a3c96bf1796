"""What the stories of Batch Operations share: a role, buckets, a manifest, and a job."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from typing import Any
from urllib.parse import quote

from ..world import ACCOUNT, World
from .helpers import control, s3, text

ROLE = f"arn:aws:iam::{ACCOUNT}:role/batch"
TAGS = {"S3PutObjectTagging": {"TagSet": [{"Key": "roast", "Value": "dark"}]}}
REPORT = {
    "Bucket": "arn:aws:s3:::reports",
    "Format": "Report_CSV_20180820",
    "Enabled": True,
    "Prefix": "done",
    "ReportScope": "AllTasks",
}


async def prepared(world: World, count: int = 3, *, actions: Sequence[str] = ("s3:*",)) -> None:
    """The role, a bucket `beans` of objects, and the buckets for manifests and reports."""
    for bucket in ("beans", "lists", "reports"):
        await s3(world, "create_bucket", Bucket=bucket)
    trust = {
        "Effect": "Allow",
        "Principal": {"Service": "batchoperations.s3.amazonaws.com"},
        "Action": "sts:AssumeRole",
    }
    await world.call(
        "iam", "create_role", RoleName="batch", AssumeRolePolicyDocument=_policy(trust)
    )
    await allow(world, *actions)
    for number in range(count):
        await s3(world, "put_object", Bucket="beans", Key=f"k{number}", Body=b"bean")


async def allow(world: World, *actions: str) -> None:
    """What the role may."""
    may = {"Effect": "Allow", "Action": list(actions), "Resource": "*"}
    await world.call(
        "iam", "put_role_policy", RoleName="batch", PolicyName="own", PolicyDocument=_policy(may)
    )


def _policy(statement: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


async def manifest(
    world: World, keys: Sequence[str | tuple[str, str]], bucket: str = "beans"
) -> dict[str, Any]:
    """A manifest of these keys (with versions), as CreateJob names it."""
    fields = ["Bucket", "Key"]
    lines = []
    for key in keys:
        name, version = (key, None) if isinstance(key, str) else key
        lines.append(",".join([bucket, quote(name), *([] if version is None else [version])]))
        if version is not None:
            fields = ["Bucket", "Key", "VersionId"]
    body = "\n".join(lines).encode()
    found = await s3(world, "put_object", Bucket="lists", Key="list.csv", Body=body)
    return {
        "Spec": {"Format": "S3BatchOperations_CSV_20180820", "Fields": fields},
        "Location": {"ObjectArn": "arn:aws:s3:::lists/list.csv", "ETag": found["ETag"]},
    }


async def create(world: World, operation: dict[str, Any] | None = None, **more: Any) -> str:
    """Make a job; its id."""
    req: dict[str, Any] = {
        "Operation": operation or TAGS,
        "Report": REPORT,
        "Priority": 10,
        "RoleArn": ROLE,
        "ClientRequestToken": world.cloud.ids.uuid(),
        **more,
    }
    if "Manifest" not in req and "ManifestGenerator" not in req:
        req["Manifest"] = await manifest(world, ["k0", "k1", "k2"])
    return str((await control(world, "create_job", **req))["JobId"])


async def ended(world: World, operation: dict[str, Any] | None = None, **more: Any) -> str:
    """Make a job and let it go as far as it goes; its id."""
    job = await create(world, operation, **more)
    await world.settle()
    return job


async def job_of(world: World, job: str) -> dict[str, Any]:
    """What DescribeJob says."""
    found: dict[str, Any] = (await control(world, "describe_job", JobId=job))["Job"]
    return found


async def counts(world: World, job: str) -> tuple[str, int, int, int]:
    """A job's status, and how many tasks it has, that succeeded, and that failed."""
    found = await job_of(world, job)
    summary = found["ProgressSummary"]
    return (
        found["Status"],
        summary["TotalNumberOfTasks"],
        summary["NumberOfTasksSucceeded"],
        summary["NumberOfTasksFailed"],
    )


async def report(world: World, job: str, prefix: str = "done/") -> list[list[str]]:
    """The rows of a job's report, as its manifest names them."""
    told = json.loads(await text(world, "reports", f"{prefix}job-{job}/manifest.json"))
    assert told["Format"] == "Report_CSV_20180820"
    rows: list[list[str]] = []
    for one in told["Results"]:
        body = (await text(world, one["Bucket"], one["Key"])).decode()
        rows += csv.reader(io.StringIO(body))
    return rows


async def tags(world: World, key: str, bucket: str = "beans", **req: Any) -> dict[str, str]:
    """An object's tags."""
    found = await s3(world, "get_object_tagging", Bucket=bucket, Key=key, **req)
    return {one["Key"]: one["Value"] for one in found["TagSet"]}
