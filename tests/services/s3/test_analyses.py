"""Storage class analyses: what is read of which age, written to a bucket each day."""

from __future__ import annotations

import contextlib
import csv
import io
import json
import time
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from doppio.kernel.store import StoreClosed
from doppio.services.s3 import analyses
from doppio.services.s3 import analysis_rules as rules
from doppio.services.s3.analysis_rules import MIB, Sums
from doppio.testing import Cloud
from tests.services.world import ACCOUNT, World, refusal, told

from .test_inventories import crashing

START = datetime(2030, 1, 1, tzinfo=UTC)


def configuration(**more: Any) -> dict[str, Any]:
    target = {"Bucket": "arn:aws:s3:::target", "Format": "CSV", "Prefix": "analyses"}
    target |= more.pop("target", {})
    export = {"OutputSchemaVersion": "V_1", "Destination": {"S3BucketDestination": target}}
    return {"Id": "all", "StorageClassAnalysis": {"DataExport": export}, **more}


async def analyse(world: World, **more: Any) -> None:
    document = configuration(**more)
    await world.call(
        "s3", "put_bucket_analytics_configuration", Bucket="source", Id=document["Id"],
        AnalyticsConfiguration=document,
    )  # fmt: skip


def policy(source: str, target: str) -> str:
    statement = {
        "Effect": "Allow",
        "Principal": {"Service": "s3.amazonaws.com"},
        "Action": "s3:PutObject",
        "Resource": f"arn:aws:s3:::{target}/*",
        "Condition": {
            "ArnLike": {"aws:SourceArn": f"arn:aws:s3:::{source}"},
            "StringEquals": {
                "aws:SourceAccount": ACCOUNT,
                "s3:x-amz-acl": "bucket-owner-full-control",
            },
        },
    }
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


async def buckets(world: World) -> None:
    await world.call("s3", "create_bucket", Bucket="source")
    await world.call("s3", "create_bucket", Bucket="target")
    await world.call("s3", "put_bucket_policy", Bucket="target", Policy=policy("source", "target"))


async def put(world: World, key: str, size: int, **more: Any) -> None:
    await world.call("s3", "put_object", Bucket="source", Key=key, Body=b"x" * size, **more)


async def lines(world: World) -> list[dict[str, str]]:
    key = "analyses/source/all/StorageClassAnalysis.csv"
    found = (await world.call("s3", "get_object", Bucket="target", Key=key))["Body"]
    raw = found if isinstance(found, bytes) else found.path.read_bytes()
    return list(csv.DictReader(io.StringIO(raw.decode())))


@told
async def test_each_day_tells_what_lies_there_by_class_and_age(world: World) -> None:
    await buckets(world)
    await put(world, "old", MIB)
    await put(world, "small", 10)
    await put(world, "other/not", MIB, StorageClass="STANDARD_IA")
    await put(world, "seldom", 2 * MIB, StorageClass="STANDARD_IA")
    await analyse(world)
    await world.advance(days=1, minutes=3)
    first = await lines(world)
    assert len(first) == 2 * 13
    assert {line["Date"] for line in first} == {"01-01-2030"}
    whole = [line for line in first if line["ObjectAge"] == "ALL"]
    assert [(line["StorageClass"], line["ObjectCount"], line["Storage_MB"]) for line in whole] == [
        ("STANDARD", "2", "1.000010"), ("STANDARD_IA", "2", "3.000000"),
    ]  # fmt: skip
    [young] = [line for line in first if (line["StorageClass"], line["ObjectAge"]) == (
        "STANDARD", "000-014")]  # fmt: skip
    assert (young["Storage_MB"], young["ObjectCount"]) == ("1.000000", "")
    await world.advance(days=31)
    await put(world, "new", MIB)
    await world.advance(days=1)
    last = [line for line in await lines(world) if line["Date"] == "02-02-2030"]
    ages = {line["ObjectAge"]: line["Storage_MB"] for line in last
            if line["StorageClass"] == "STANDARD"}  # fmt: skip
    assert (ages["000-014"], ages["030-044"]) == ("1.000000", "1.000000")
    [whole_day] = [line for line in last if line["StorageClass"] == "STANDARD"
                   and line["ObjectAge"] == "ALL"]  # fmt: skip
    assert whole_day["ObjectAgeForSIATransition_days"] == "30"
    assert whole_day["RecommendedObjectAgeForSIATransition"] == "30"


@told
async def test_only_what_the_filter_names_is_analysed(world: World) -> None:
    await buckets(world)
    await put(world, "a/1", MIB, Tagging="team=bar")
    await put(world, "a/2", MIB)
    await put(world, "b/1", MIB, Tagging="team=bar")
    both = {"Prefix": "a/", "Tags": [{"Key": "team", "Value": "bar"}]}
    await analyse(world, Filter={"And": both})
    await world.advance(days=1, minutes=3)
    found = await lines(world)
    assert {line["Filter"] for line in found} == {"prefix=a/;tag:team=bar"}
    assert [line["ObjectCount"] for line in found if line["ObjectAge"] == "ALL"] == ["1"]


@told
async def test_an_export_that_cannot_be_is_refused(world: World) -> None:
    await buckets(world)
    for target, code in (
        ({"Format": "ORC"}, "MalformedXML"),
        ({"Bucket": "target"}, "InvalidS3DestinationBucket"),
    ):
        assert (await refusal(analyse(world, target=target)))[0] == code
    assert (await refusal(analyse(world, Filter={})))[0] == "MalformedXML"


@told
async def test_a_destination_that_lets_nobody_in_gets_no_export_but_the_next_comes(
    world: World,
) -> None:
    await buckets(world)
    await world.call("s3", "delete_bucket_policy", Bucket="target")
    await analyse(world)
    await put(world, "k", MIB)
    await world.advance(days=1, minutes=3)
    assert (await world.call("s3", "list_objects_v2", Bucket="target"))["KeyCount"] == 0
    await world.call("s3", "put_bucket_policy", Bucket="target", Policy=policy("source", "target"))
    await world.advance(days=1)
    assert {line["Date"] for line in await lines(world)} == {"01-01-2030", "01-02-2030"}


@told
async def test_an_analysis_that_is_forgotten_leaves_nothing(world: World) -> None:
    await buckets(world)
    await put(world, "k", MIB)
    await analyse(world)
    await world.advance(days=1, minutes=3)
    ctx = world.cloud.context_for("", "")
    assert await ctx.read().list(analyses.Analysis, limit=9)
    await world.call("s3", "delete_bucket_analytics_configuration", Bucket="source", Id="all")
    ctx = world.cloud.context_for("", "")
    assert await ctx.read().list(analyses.Analysis, limit=9) == []
    assert await ctx.read().list(analyses.Analysed, limit=9) == []
    await analyse(world)
    await world.advance(days=1)
    await world.call("s3", "delete_object", Bucket="source", Key="k")
    await world.call("s3", "delete_bucket", Bucket="source")
    await world.advance(days=1)
    assert await world.cloud.context_for("", "").read().list(analyses.Analysis, limit=9) == []


@pytest.mark.parametrize("number", range(1, 4))
def test_a_crash_at_any_commit_leaves_one_line_for_each_age(number: int) -> None:
    @told
    async def story(world: World) -> None:
        await buckets(world)
        await put(world, "k", MIB)
        await analyse(world)
        await world.advance(days=1)
        crashing(world.memory, number)
        with contextlib.suppress(StoreClosed):
            await world.advance(minutes=2)
        after = world.again()
        await after.start()
        try:
            await after.advance(minutes=5)
            found = await lines(after)
            assert len(found) == 13
            whole = [line for line in found if line["ObjectAge"] == "ALL"]
            assert [line["ObjectCount"] for line in whole] == ["1"]
            await after.advance(days=1)
            assert len(await lines(after)) == 26
        finally:
            await after.close()

    story()


@pytest.mark.parametrize(
    ("days", "age"),
    [(0, "000-014"), (14, "000-014"), (15, "015-029"), (89, "075-089"), (90, "090-119"),
     (364, "180-364"), (365, "365-729"), (729, "365-729"), (730, "730+")],
)  # fmt: skip
def test_ages_are_in_twelve_groups(days: int, age: str) -> None:
    assert rules.age_of(START, START + timedelta(days=days), MIB) == age
    assert rules.age_of(START, START + timedelta(days=days), 128 * 1024 - 1) == ""


def test_what_is_read_more_than_once_a_month_is_not_recommended() -> None:
    there = Sums(1, MIB)
    read = Sums(retrieved=3 * MIB, gets=3)
    day: rules.Day = {"STANDARD": {"030-044": there.plus(read), "090-119": there}}
    quiet: rules.Day = {"STANDARD": {"030-044": there, "090-119": there}}
    begin = date(2030, 1, 1)
    days = [(begin + timedelta(days=n), day if n == 20 else quiet) for n in range(35)]
    found = list(csv.DictReader(io.StringIO(rules.table(configuration(), days).decode())))
    whole = [line for line in found if line["ObjectAge"] == "ALL"]
    observed = [line["ObjectAgeForSIATransition_days"] for line in whole]
    assert (observed[19], observed[20], observed[34]) == ("30", "45", "45")
    recommended = [line["RecommendedObjectAgeForSIATransition"] for line in whole]
    assert (recommended[28], recommended[29], recommended[34]) == ("", "45", "45")
    ratio = {line["ObjectAge"]: line["CumulativeAccessRatio"] for line in found
             if line["Date"] == "01-21-2030"}  # fmt: skip
    assert (ratio["090-119"], ratio["030-044"]) == ("0.000000", "1.500000")


@pytest.fixture(scope="module")
def cloud() -> Iterator[Cloud]:
    with Cloud() as running:
        yield running


def test_what_clients_read_and_put_is_told_the_next_day(cloud: Cloud) -> None:
    from botocore.config import Config

    config = Config(s3={"addressing_style": "path"}, retries={"total_max_attempts": 1})
    s3 = cloud.client("s3", config=config)
    for name in ("source", "target"):
        s3.create_bucket(Bucket=name)
    s3.put_bucket_policy(Bucket="target", Policy=policy("source", "target"))
    s3.put_bucket_analytics_configuration(
        Bucket="source", Id="all", AnalyticsConfiguration=configuration()
    )
    s3.put_object(Bucket="source", Key="k", Body=b"x" * MIB)
    assert len(s3.get_object(Bucket="source", Key="k")["Body"].read()) == MIB
    s3.get_object(Bucket="source", Key="k", Range="bytes=0-524287")["Body"].read()
    s3.head_object(Bucket="source", Key="k")
    with pytest.raises(s3.exceptions.ClientError):
        s3.get_object(Bucket="source", Key="none")
    cloud.advance("61s")
    time.sleep(0.2)
    cloud.advance("1d")
    key = "analyses/source/all/StorageClassAnalysis.csv"
    until = time.monotonic() + 20
    while time.monotonic() < until and not s3.list_objects_v2(Bucket="target")["KeyCount"]:
        time.sleep(0.1)
    raw = s3.get_object(Bucket="target", Key=key)["Body"].read().decode()
    found = list(csv.DictReader(io.StringIO(raw)))
    [young] = [line for line in found if line["ObjectAge"] == "000-014"]
    assert (young["DataRetrieved_MB"], young["GetRequestCount"]) == ("1.500000", "2")
    [whole] = [line for line in found if line["ObjectAge"] == "ALL"]
    assert (whole["DataUploaded_MB"], whole["Storage_MB"]) == ("1.000000", "1.000000")
