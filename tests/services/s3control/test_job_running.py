"""How jobs go on: in the order of their priorities, past failures, through crashes."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

import pytest

from doppio.kernel.regions import zone_for
from doppio.kernel.store import StoreClosed
from doppio.services.s3control import generated, planning, reports, running
from doppio.services.s3control.records import Outcome, Task
from doppio.wire.errors import ServiceUnavailable
from tests.services.s3.test_inventories import crashing
from tests.services.s3.test_zones import mark

from ..world import World, refusal, told
from .helpers import control, s3
from .jobs_world import counts, create, ended, job_of, manifest, prepared, report, tags


async def paused_before(world: World, priority: int) -> str:
    """A job that is ready and cannot go on: its objects lie in a zone that is down."""
    body: dict[str, Any] = {"Bucket": "beans", "Key": "far", "Body": b"x"}
    await s3(world, "put_object", **body, StorageClass="ONEZONE_IA")
    await mark(world, zone_for("us-east-1", "beans"), "down")
    return await ended(world, Manifest=await manifest(world, ["far"]), Priority=priority)


@told
async def test_what_s3_cannot_do_for_the_moment_is_tried_again(world: World) -> None:
    await prepared(world)
    job = await paused_before(world, 5)
    assert await counts(world, job) == ("Active", 1, 0, 0)
    await world.advance(seconds=2)
    assert await counts(world, job) == ("Active", 1, 0, 0)
    await mark(world, zone_for("us-east-1", "beans"), "up")
    await world.advance(seconds=4)
    assert await counts(world, job) == ("Complete", 1, 1, 0)
    assert (await job_of(world, job))["ProgressSummary"]["Timers"] == {
        "ElapsedTimeInActiveSeconds": 0
    }


@told
async def test_what_s3_cannot_do_for_long_has_failed(world: World) -> None:
    await prepared(world)
    job = await paused_before(world, 5)
    for _ in range(6):
        await world.advance(minutes=1)
    assert await counts(world, job) == ("Complete", 1, 0, 1)
    assert (await report(world, job))[0][4:6] == ["503", "ServiceUnavailable"]


@told
async def test_jobs_of_a_higher_priority_go_first(world: World) -> None:
    await prepared(world)
    high = await paused_before(world, 9)
    low = await ended(world, Priority=8)
    same = await ended(world, Priority=9)
    assert (await job_of(world, low))["Status"] == "Paused"
    assert (await job_of(world, same))["Status"] == "Complete"
    assert await tags(world, "k0") == {"roast": "dark"}
    lower = await ended(world, {"S3DeleteObjectTagging": {}}, Priority=0)
    assert (await job_of(world, lower))["Status"] == "Paused"
    await mark(world, zone_for("us-east-1", "beans"), "up")
    await world.advance(minutes=1)
    for job in (high, low, lower):
        assert (await job_of(world, job))["Status"] == "Complete"
    # The last of them was the last to be done.
    assert await tags(world, "k0") == {}


@told
async def test_a_job_that_is_raised_above_the_others_goes_on(world: World) -> None:
    await prepared(world)
    await paused_before(world, 9)
    low = await ended(world, Priority=1)
    assert await tags(world, "k0") == {}
    answer = await control(world, "update_job_priority", JobId=low, Priority=10)
    assert answer == {"JobId": low, "Priority": 10}
    await world.settle()
    assert await counts(world, low) == ("Complete", 3, 3, 0)
    late = control(world, "update_job_priority", JobId=low, Priority=10)
    assert (await refusal(late))[0] == "BadRequestException"


@told
async def test_an_active_job_is_cancelled_and_reports_what_was_done(world: World) -> None:
    await prepared(world)
    await s3(world, "put_object", Bucket="beans", Key="far", Body=b"x", StorageClass="ONEZONE_IA")
    await mark(world, zone_for("us-east-1", "beans"), "down")
    job = await ended(world, Manifest=await manifest(world, ["k0", "far"]))
    assert await counts(world, job) == ("Active", 2, 1, 0)
    answer = await control(world, "update_job_status", JobId=job, RequestedJobStatus="Cancelled")
    assert answer == {"JobId": job, "Status": "Cancelling"}
    await world.settle()
    assert await counts(world, job) == ("Cancelled", 2, 1, 0)
    assert [row[1] for row in await report(world, job)] == ["k0"]
    await world.advance(minutes=10)
    assert await world.cloud.root_context().read().list(Task, limit=1) == []
    assert await counts(world, job) == ("Cancelled", 2, 1, 0)


@told
async def test_the_end_of_a_job_by_cancellation_lets_others_go_on(world: World) -> None:
    await prepared(world)
    high = await paused_before(world, 9)
    low = await ended(world, Priority=1)
    await control(world, "update_job_status", JobId=high, RequestedJobStatus="Cancelled")
    await world.settle()
    assert await counts(world, low) == ("Complete", 3, 3, 0)


def test_a_job_fails_when_more_than_half_of_its_tasks_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(running, "TASKS_BEFORE_FAILING", 4)
    monkeypatch.setattr(running, "TASKS_A_STEP", 2)

    @told
    async def story(world: World) -> None:
        await prepared(world)
        half = await manifest(world, ["k0", "no0", "k1", "no1", "k2"])
        assert (await counts(world, await ended(world, Manifest=half)))[0] == "Complete"
        most = await manifest(world, ["k0", "no0", "no1", "no2", "k1", "k2"])
        job = await ended(world, Manifest=most)
        assert await counts(world, job) == ("Failed", 6, 1, 3)
        reasons = (await job_of(world, job))["FailureReasons"]
        assert [one["FailureCode"] for one in reasons] == ["JobFailureThresholdExceeded"]
        assert [row[1] for row in await report(world, job)] == ["k0", "no0", "no1", "no2"]

    story()


@told
async def test_a_report_that_cannot_be_written_fails_the_job(world: World) -> None:
    await prepared(world)
    where = {"Bucket": "arn:aws:s3:::nowhere", "Format": "Report_CSV_20180820", "Enabled": True,
             "ReportScope": "AllTasks"}  # fmt: skip
    job = await ended(world, Report=where)
    assert await counts(world, job) == ("Failed", 3, 3, 0)
    reasons = (await job_of(world, job))["FailureReasons"]
    assert [one["FailureCode"] for one in reasons] == ["JobReportFailed"]


def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything in steps of two."""
    monkeypatch.setattr(running, "TASKS_A_STEP", 2)
    monkeypatch.setattr(planning, "TASKS_PLANNED_A_STEP", 2)
    for module in (reports, generated, running):
        monkeypatch.setattr(module, "ROWS_A_STEP", 2)
    for module in (reports, generated):
        monkeypatch.setattr(module, "REPORT_FILE_BYTES", 1)


@pytest.mark.parametrize("generates", [False, True])
def test_a_crash_at_any_commit_ends_in_the_same_objects_and_report(
    generates: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    _small(monkeypatch)

    async def story(crash_at: int) -> bool:
        world = World()
        await world.start()
        await prepared(world, 3)
        await s3(world, "put_object", Bucket="beans", Key="out", Body=b"bean")
        keys = ["k0", "k1", "missing", "k2"]
        more: dict[str, Any] = {"Manifest": await manifest(world, keys)}
        if generates:
            keys.remove("missing")
            place = {
                "Bucket": "arn:aws:s3:::lists",
                "ManifestFormat": "S3InventoryReport_CSV_20211130",
            }
            made = {
                "SourceBucket": "arn:aws:s3:::beans",
                "EnableManifestOutput": True,
                "ManifestOutputLocation": place,
                "Filter": {"KeyNameConstraint": {"MatchAnyPrefix": ["k"]}},
            }
            more = {"ManifestGenerator": {"S3JobManifestGenerator": made}}
        crashing(world.memory, crash_at)
        begun = world.memory.groups
        with contextlib.suppress(StoreClosed, ServiceUnavailable):
            await create(world, ClientRequestToken="t", Priority=1, **more)
            await world.settle()
        crashed = world.memory.groups - begun >= crash_at
        again = world.again()
        await world.close()
        await again.start()
        try:
            # Who got no answer asks again, and finds what was made, if anything was.
            job = await create(again, ClientRequestToken="t", Priority=1, **more)
            await again.advance(minutes=5)
            bad = len(keys) - 3
            assert await counts(again, job) == ("Complete", len(keys), 3, bad), crash_at
            assert sorted(row[1] for row in await report(again, job)) == sorted(keys)
            assert [await tags(again, f"k{n}") for n in range(3)] == [{"roast": "dark"}] * 3
            assert await tags(again, "out") == {}
            listed = (await s3(again, "list_objects_v2", Bucket="reports"))["Contents"]
            assert (
                len([one for one in listed if "/results/" in one["Key"]])
                == len({one["Key"] for one in listed}) - 2
            )
            reader = again.cloud.root_context().read()
            assert await reader.list(Task, limit=1) == []
            assert await reader.list(Outcome, limit=1) == []
        finally:
            await again.close()
        return crashed

    async def all_of_them() -> None:
        commits = 1
        while await story(commits):
            commits += 1
        assert commits > 12

    asyncio.run(all_of_them())


@told
async def test_operations_of_jobs_know_their_own_region_and_account_alone(world: World) -> None:
    await prepared(world)
    job = await ended(world)
    for more in ({"region": "eu-west-1"}, {"account": "111111111111"}):
        found = control(world, "describe_job", JobId=job, **more)
        assert (await refusal(found))[0] == "NotFoundException"
