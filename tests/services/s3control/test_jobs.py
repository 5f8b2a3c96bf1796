"""Batch Operations: what a job is told to do is done, object by object, as its role may."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from doppio.services.s3control.records import Outcome, Task, Token

from ..world import ACCOUNT, World, refusal, told
from .helpers import control, s3, text
from .jobs_world import (
    REPORT,
    ROLE,
    TAGS,
    allow,
    counts,
    create,
    ended,
    job_of,
    manifest,
    prepared,
    report,
    tags,
)

_NONE: dict[str, Any] = {"Enabled": False}


async def _rows_left(world: World) -> int:
    reader = world.cloud.root_context().read()
    return len(await reader.list(Task, limit=9)) + len(await reader.list(Outcome, limit=9))


@told
async def test_a_job_does_its_operation_to_every_object_of_its_manifest(world: World) -> None:
    await prepared(world, 4)
    job = await ended(world)
    assert await counts(world, job) == ("Complete", 3, 3, 0)
    assert [await tags(world, f"k{n}") for n in range(4)] == [{"roast": "dark"}] * 3 + [{}]
    found = await job_of(world, job)
    assert found["JobArn"] == f"arn:aws:s3:us-east-1:{ACCOUNT}:job/{job}"
    assert found["Operation"] == TAGS
    assert found["RoleArn"] == ROLE
    assert found["CreationTime"] == found["TerminationDate"] == world.now
    assert found["FailureReasons"] == []
    assert await _rows_left(world) == 0
    assert await world.used("BatchOperations-Jobs") == 1
    assert await world.used("BatchOperations-Objects") == 3


@told
async def test_the_report_says_what_came_of_each_task(world: World) -> None:
    await prepared(world)
    wanted = await manifest(world, ["k0", "gone", "k2"])
    job = await ended(world, Manifest=wanted)
    assert await counts(world, job) == ("Complete", 3, 2, 1)
    assert await report(world, job) == [
        ["beans", "k0", "", "succeeded", "200", "", "Successful"],
        ["beans", "k2", "", "succeeded", "200", "", "Successful"],
        ["beans", "gone", "", "failed", "404", "NoSuchKey", "The specified key does not exist."],
    ]
    folder = f"done/job-{job}/"
    body = await text(world, "reports", f"{folder}manifest.json")
    assert (await text(world, "reports", f"{folder}manifest.json.md5")).decode() == hashlib.md5(
        body
    ).hexdigest()
    for one in json.loads(body)["Results"]:
        assert (
            one["MD5Checksum"] == hashlib.md5(await text(world, "reports", one["Key"])).hexdigest()
        )


@told
async def test_a_report_may_be_of_failures_alone_or_not_at_all(world: World) -> None:
    await prepared(world)
    wanted = await manifest(world, ["k0", "gone"])
    some = await ended(world, Manifest=wanted, Report={**REPORT, "ReportScope": "FailedTasksOnly"})
    assert [row[1] for row in await report(world, some)] == ["gone"]
    none = await ended(world, Manifest=wanted, Report=_NONE)
    assert await counts(world, none) == ("Complete", 2, 1, 1)
    listed = await s3(world, "list_objects_v2", Bucket="reports")
    assert not any(none in one["Key"] for one in listed["Contents"])


@told
async def test_what_the_role_may_not_is_not_done(world: World) -> None:
    await prepared(world, actions=("s3:GetObject", "s3:PutObject"))
    job = await ended(world)
    assert await counts(world, job) == ("Complete", 3, 0, 3)
    assert {row[5] for row in await report(world, job)} == {"AccessDenied"}
    assert await tags(world, "k0") == {}


@told
async def test_a_role_that_does_not_trust_the_service_fails_the_job(world: World) -> None:
    await prepared(world)
    trust = {
        "Effect": "Allow",
        "Principal": {"Service": "s3.amazonaws.com"},
        "Action": "sts:AssumeRole",
    }
    document = json.dumps({"Version": "2012-10-17", "Statement": [trust]})
    await world.call("iam", "update_assume_role_policy", RoleName="batch", PolicyDocument=document)
    job = await ended(world)
    found = await job_of(world, job)
    assert found["Status"] == "Failed"
    assert [one["FailureCode"] for one in found["FailureReasons"]] == ["AssumeRoleFailed"]


@told
async def test_a_manifest_that_cannot_be_read_fails_the_job(world: World) -> None:
    await prepared(world, actions=("s3:PutObjectTagging",))
    unread = await ended(world)
    await allow(world, "s3:*")
    wanted = await manifest(world, ["k0"])
    wanted["Location"]["ETag"] = "0" * 32
    other = await ended(world, Manifest=wanted)
    short = await manifest(world, ["k0"])
    short["Spec"]["Fields"] = ["Bucket", "Key", "VersionId"]
    wrong = await ended(world, Manifest=short)
    empty = await ended(world, Manifest=await manifest(world, []))
    reasons = [
        (await job_of(world, job))["FailureReasons"][0] for job in (unread, other, wrong, empty)
    ]
    assert [one["FailureCode"] for one in reasons] == ["ManifestReadFailed"] + [
        "InvalidManifest"
    ] * 3
    assert "ETag" in reasons[1]["FailureReason"]
    assert (
        reasons[2]["FailureReason"] == "The manifest has a line of 2 fields where 3 are specified."
    )
    assert await _rows_left(world) == 0


@told
async def test_versions_and_odd_keys_in_manifests_are_met(world: World) -> None:
    await prepared(world, 0)
    await s3(
        world,
        "put_bucket_versioning",
        Bucket="beans",
        VersioningConfiguration={"Status": "Enabled"},
    )
    name = 'a b/ü+%,"x\n.txt'
    old = (await s3(world, "put_object", Bucket="beans", Key=name, Body=b"1"))["VersionId"]
    await s3(world, "put_object", Bucket="beans", Key=name, Body=b"2")
    job = await ended(world, Manifest=await manifest(world, [(name, old)]))
    assert await counts(world, job) == ("Complete", 1, 1, 0)
    assert await tags(world, name) == {}
    assert await tags(world, name, VersionId=old) == {"roast": "dark"}
    assert (await report(world, job))[0][2] == old


@told
async def test_one_that_is_to_be_confirmed_waits(world: World) -> None:
    await prepared(world)
    job = await ended(world, ConfirmationRequired=True)
    found = await job_of(world, job)
    assert (found["Status"], found["ConfirmationRequired"]) == ("Suspended", True)
    assert found["SuspendedDate"] == world.now
    assert found["ProgressSummary"]["TotalNumberOfTasks"] == 3
    # It goes on as it was prepared, whatever becomes of the manifest.
    await s3(world, "delete_object", Bucket="lists", Key="list.csv")
    await world.advance(days=29)
    assert await tags(world, "k0") == {}
    answer = await control(world, "update_job_status", JobId=job, RequestedJobStatus="Ready")
    assert answer == {"JobId": job, "Status": "Ready"}
    await world.settle()
    assert await counts(world, job) == ("Complete", 3, 3, 0)
    assert await tags(world, "k0") == {"roast": "dark"}
    await world.advance(days=2)
    assert (await job_of(world, job))["Status"] == "Complete"


@told
async def test_one_that_nobody_confirms_within_thirty_days_fails(world: World) -> None:
    await prepared(world)
    job = await ended(world, ConfirmationRequired=True)
    await world.advance(days=30)
    assert await counts(world, job) == ("Failed", 3, 0, 0)
    assert await _rows_left(world) == 0
    code = await refusal(control(world, "update_job_status", JobId=job, RequestedJobStatus="Ready"))
    assert code == (
        "JobStatusException", "The job cannot be Ready since its status is Failed.",
    )  # fmt: skip


@told
async def test_one_that_waits_is_cancelled_at_once(world: World) -> None:
    await prepared(world)
    job = await ended(world, ConfirmationRequired=True)
    answer = await control(
        world, "update_job_status", JobId=job, RequestedJobStatus="Cancelled",
        StatusUpdateReason="not today",
    )  # fmt: skip
    assert answer == {"JobId": job, "Status": "Cancelled", "StatusUpdateReason": "not today"}
    await world.settle()
    assert (await job_of(world, job))["StatusUpdateReason"] == "not today"
    assert await tags(world, "k0") == {}
    assert await _rows_left(world) == 0
    again = control(world, "update_job_status", JobId=job, RequestedJobStatus="Cancelled")
    assert (await refusal(again))[0] == "JobStatusException"


@told
async def test_the_same_token_makes_one_job_and_another_request_is_refused(world: World) -> None:
    await prepared(world)
    wanted = await manifest(world, ["k0"])
    first = await create(world, ClientRequestToken="t", Manifest=wanted)
    assert await create(world, ClientRequestToken="t", Manifest=wanted) == first
    assert (await refusal(create(world, ClientRequestToken="t", Manifest=wanted, Priority=3)))[
        0
    ] == "IdempotencyException"
    assert len((await control(world, "list_jobs"))["Jobs"]) == 1


@told
async def test_jobs_are_listed_newest_first_by_status_and_in_pages(world: World) -> None:
    await prepared(world)
    made = []
    for waits in (False, True, False, True):
        made.append(await ended(world, ConfirmationRequired=waits, Description="beans"))
        await world.advance(seconds=1)
    listed = (await control(world, "list_jobs"))["Jobs"]
    assert [one["JobId"] for one in listed] == made[::-1]
    assert listed[0]["Operation"] == "S3PutObjectTagging"
    assert listed[0]["Description"] == "beans"
    waiting = (await control(world, "list_jobs", JobStatuses=["Suspended"]))["Jobs"]
    assert [one["JobId"] for one in waiting] == [made[3], made[1]]
    first = await control(world, "list_jobs", MaxResults=3)
    rest = await control(world, "list_jobs", MaxResults=3, NextToken=first["NextToken"])
    assert [one["JobId"] for one in first["Jobs"] + rest["Jobs"]] == made[::-1]
    assert "NextToken" not in rest
    assert (await refusal(control(world, "list_jobs", NextToken="nonsense")))[0] == (
        "InvalidNextTokenException"
    )
    assert (await control(world, "list_jobs", region="eu-west-1"))["Jobs"] == []


@told
async def test_jobs_and_their_tokens_are_forgotten_after_ninety_days(world: World) -> None:
    await prepared(world)
    job = await ended(world)
    await world.advance(days=89)
    assert (await job_of(world, job))["Status"] == "Complete"
    await world.advance(days=1)
    assert await refusal(control(world, "describe_job", JobId=job)) == (
        "NotFoundException", "The specified job does not exist.",
    )  # fmt: skip
    assert await world.cloud.root_context().read().list(Token, limit=1) == []


@told
async def test_jobs_have_tags(world: World) -> None:
    await prepared(world)
    first = [{"Key": "team", "Value": "roastery"}]
    job = await ended(world, Tags=first)
    assert (await control(world, "get_job_tagging", JobId=job))["Tags"] == first
    second = [{"Key": "a", "Value": "b"}, {"Key": "c", "Value": ""}]
    await control(world, "put_job_tagging", JobId=job, Tags=second)
    assert (await control(world, "get_job_tagging", JobId=job))["Tags"] == second
    many = [{"Key": f"k{n}", "Value": ""} for n in range(51)]
    assert (await refusal(control(world, "put_job_tagging", JobId=job, Tags=many)))[0] == (
        "TooManyTagsException"
    )
    await control(world, "put_job_tagging", JobId=job, Tags=many[:50])
    await control(world, "delete_job_tagging", JobId=job)
    assert (await control(world, "get_job_tagging", JobId=job))["Tags"] == []


@told
async def test_what_cannot_be_a_job_is_refused(world: World) -> None:
    await prepared(world)
    good = await manifest(world, ["k0"])
    twice = {**TAGS, "S3DeleteObjectTagging": {}}
    bad: list[tuple[str, dict[str, Any]]] = [
        ("BadRequestException", {"operation": twice}),
        ("BadRequestException", {"Report": {"Enabled": True}}),
        ("BadRequestException", {"Manifest": {**good, "Location": {"ObjectArn": "arn:aws:s3:::x", "ETag": "e"}}}),
        ("BadRequestException", {"Manifest": {**good, "Spec": {**good["Spec"], "Fields": ["Bucket"]}}}),
        ("BadRequestException", {"operation": {"LambdaInvoke": {}}}),
        ("BadRequestException", {"operation": {"LambdaInvoke": {"FunctionArn": "f", "UserArguments": {"a": "b"}}}}),
        ("BadRequestException", {"operation": {"LambdaInvoke": {"FunctionArn": "f", "InvocationSchemaVersion": "3.0"}}}),
        ("BadRequestException", {"operation": {"S3UpdateObjectEncryption": {}}}),
    ]  # fmt: skip
    for code, req in bad:
        assert (await refusal(create(world, **req)))[0] == code, req
    assert (await control(world, "list_jobs"))["Jobs"] == []
    nobody = control(world, "describe_job", JobId="no-such-job")
    assert (await refusal(nobody))[0] == "NotFoundException"
