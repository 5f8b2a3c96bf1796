"""Exports: real files in a bucket, of any moment that a table remembers."""

from __future__ import annotations

import gzip
import hashlib
import json
from base64 import b64encode
from datetime import timedelta
from typing import Any

import pytest

from doppio.kernel.bodies import pieces
from tests.services.world import World, refusal, told

from .helpers import caller, item, make, put, wire
from .test_permissions import T, employed
from .test_recovery import switched
from .test_upkeep import ROWS, crashed_everywhere, filled


async def kept(world: World, key: str) -> bytes:
    """An object of the bucket."""
    got = await world.call("s3", "get_object", Bucket="exports", Key=key)
    return b"".join([part async for part in pieces(got["Body"])])


async def keys(world: World) -> list[str]:
    """The keys of the bucket."""
    got = await world.call("s3", "list_objects_v2", Bucket="exports")
    return [one["Key"] for one in got.get("Contents", [])]


async def exported(world: World, **req: Any) -> dict[str, Any]:
    """ExportTableToPointInTime, to its end."""
    call = caller(world)
    made = await call("export_table_to_point_in_time", TableArn=T, S3Bucket="exports", **req)
    assert made["ExportDescription"]["ExportStatus"] == "IN_PROGRESS"
    await world.advance(1)
    arn = made["ExportDescription"]["ExportArn"]
    found: dict[str, Any] = (await call("describe_export", ExportArn=arn))["ExportDescription"]
    return found


async def files(world: World, export: dict[str, Any]) -> list[str]:
    """The lines of an export's files, each checked against the manifests."""
    summary_key = export["ExportManifest"]
    text = await kept(world, summary_key)
    md5 = b64encode(hashlib.md5(text).digest())
    assert await kept(world, summary_key.replace(".json", ".md5")) == md5
    summary = json.loads(text)
    assert summary["itemCount"] == export["ItemCount"]
    assert summary["exportArn"] == export["ExportArn"]
    found: list[str] = []
    for line in (await kept(world, summary["manifestFilesS3Key"])).splitlines():
        told_of = json.loads(line)
        content = await kept(world, told_of["dataFileS3Key"])
        assert b64encode(hashlib.md5(content).digest()).decode() == told_of["md5Checksum"]
        lines = gzip.decompress(content).decode().splitlines()
        assert len(lines) == told_of["itemCount"]
        found += lines
    assert len(found) == summary["itemCount"]
    return found


async def ready(world: World) -> None:
    """A table that remembers, and a bucket."""
    await make(world)
    await switched(world)
    await world.call("s3", "create_bucket", Bucket="exports")


@told
async def test_a_full_export_is_the_table_at_its_moment(world: World) -> None:
    await ready(world)
    everything = {"s": "é\n", "n": 1.5, "b": b"\x00\xff", "yes": True, "no": None,
                  "l": [1, "x"], "m": {"k": {"a"}}, "bs": {b"x"}, "ns": {1, 2}}  # fmt: skip
    await put(world, id="1", **everything)
    await put(world, id="2")
    moment = world.now
    await world.advance(10)
    await put(world, id="1", changed=True)
    await put(world, id="3")
    export = await exported(world, ExportTime=moment, S3Prefix="2030/jan")
    assert export["ExportStatus"] == "COMPLETED"
    assert (export["ItemCount"], export["ExportType"]) == (2, "FULL_EXPORT")
    assert export["ExportManifest"].startswith("2030/jan/AWSDynamoDB/0")
    rows = [json.loads(line) for line in await files(world, export)]
    assert [row.keys() for row in rows] == [{"Item"}, {"Item"}]
    first = {row["Item"]["id"]["S"]: row["Item"] for row in rows}["1"]
    assert first["b"] == {"B": "AP8="}
    assert first["bs"] == {"BS": ["eA=="]}
    assert {name: value for name, value in first.items() if name not in ("b", "bs")} == {
        name: value for name, value in item(id="1", **everything).items() if name not in ("b", "bs")
    }
    home = export["ExportManifest"].rpartition("/")[0]
    assert f"{home}/_started" in await keys(world)
    assert export["BilledSizeBytes"] > 0


@told
async def test_an_export_in_ion(world: World) -> None:
    await ready(world)
    await put(world, id='q"\n', n=-0.5, l=[1, True, None], m={"a b": "x"}, s={"a"}, b=b"\xff")
    export = await exported(world, ExportFormat="ION")
    [line] = await files(world, export)
    assert line == (
        '$ion_1_0 {Item:{id:"q\\"\\n",n:-0.5,l:[1.,true,null],m:{\'a b\':"x"},'
        's:$dynamodb_SS::["a"],b:{{/w==}}}}'
    )


@told
async def test_an_incremental_export_tells_what_became_of_items(world: World) -> None:
    await ready(world)
    for key in ("same", "changed", "gone"):
        await put(world, id=key, n=1)
    await world.advance(60)
    start = world.now
    await put(world, id="changed", n=2)
    await world.advance(60)
    await put(world, id="changed", n=3)
    await put(world, id="new", n=1)
    await caller(world)("delete_item", TableName="orders", Key=item(id="gone"))
    last = world.now
    await world.advance(minutes=20)
    end = world.now
    await put(world, id="changed", n=4)
    await put(world, id="late", n=4)
    await world.advance(1)
    spec = {"ExportFromTime": start, "ExportToTime": end}
    export = await exported(
        world, ExportType="INCREMENTAL_EXPORT", IncrementalExportSpecification=spec
    )
    micros = str(int(last.timestamp() * 1_000_000))
    rows = {}
    for line in await files(world, export):
        row = json.loads(line)
        assert row.pop("Metadata") == {"WriteTimestampMicros": micros}
        rows[row.pop("Keys")["id"]["S"]] = row
    assert rows == {
        "changed": {"OldImage": item(id="changed", n=1), "NewImage": item(id="changed", n=3)},
        "new": {"NewImage": item(id="new", n=1)},
        "gone": {"OldImage": item(id="gone", n=1)},
    }
    spec["ExportViewType"] = "NEW_IMAGE"  # type: ignore[assignment]
    export = await exported(
        world, ExportType="INCREMENTAL_EXPORT", IncrementalExportSpecification=spec
    )
    lines = [json.loads(line) for line in await files(world, export)]
    assert not [line for line in lines if "OldImage" in line]
    short = {"ExportFromTime": start, "ExportToTime": start + timedelta(minutes=14)}
    code, _ = await refusal(
        caller(world)(
            "export_table_to_point_in_time", TableArn=T, S3Bucket="exports",
            ExportType="INCREMENTAL_EXPORT", IncrementalExportSpecification=short,
        )
    )  # fmt: skip
    assert code == "ValidationException"


@told
async def test_an_export_is_written_as_who_asked_for_it(world: World) -> None:
    await ready(world)
    await put(world, id="1")
    barista = await employed(world, Action="dynamodb:*", Resource="*")
    export = await exported(world, caller=barista)
    assert export["ExportStatus"] == "FAILED"
    assert export["FailureCode"] == "S3AccessDenied"
    assert "s3:PutObject" in export["FailureMessage"]
    assert await keys(world) == []
    document = {
        "Version": "2012-10-17",
        "Statement": [
            {"Effect": "Allow", "Action": "s3:PutObject", "Resource": "arn:aws:s3:::exports/*",
             "Condition": {"Bool": {"aws:ViaAWSService": "true"}}}
        ],
    }  # fmt: skip
    await world.call(
        "iam", "put_user_policy", UserName="barista", PolicyName="s3",
        PolicyDocument=json.dumps(document),
    )  # fmt: skip
    made = await world.call("iam", "create_access_key", UserName="barista")
    barista = await world.who({"AccessKeyId": made["AccessKey"]["AccessKeyId"]})
    export = await exported(world, caller=barista)
    assert export["ExportStatus"] == "COMPLETED"
    failed = await caller(world)("export_table_to_point_in_time", TableArn=T, S3Bucket="nowhere")
    await world.advance(1)
    arn = failed["ExportDescription"]["ExportArn"]
    shown = (await caller(world)("describe_export", ExportArn=arn))["ExportDescription"]
    assert (shown["ExportStatus"], shown["FailureCode"]) == ("FAILED", "S3NoSuchBucket")


@told
async def test_exports_are_listed_and_forgotten_after_90_days(world: World) -> None:
    await ready(world)
    made = [(await exported(world))["ExportArn"] for _ in range(3)]
    call = caller(world)
    page = await call("list_exports", MaxResults=2)
    assert [one["ExportArn"] for one in page["ExportSummaries"]] == [made[2], made[1]]
    rest = await call("list_exports", NextToken=page["NextToken"])
    assert [one["ExportArn"] for one in rest["ExportSummaries"]] == [made[0]]
    assert len((await call("list_exports", TableArn=T))["ExportSummaries"]) == 3
    await world.advance(days=90, seconds=1)
    assert (await call("list_exports"))["ExportSummaries"] == []
    code, text = await refusal(call("describe_export", ExportArn=made[0]))
    assert (code, text) == ("ExportNotFoundException", f"Export not found: {made[0]}")


@told
async def test_a_client_token_exports_once(world: World) -> None:
    await ready(world)
    call = caller(world)
    req = {"TableArn": T, "S3Bucket": "exports", "ClientToken": "one"}
    first = await call("export_table_to_point_in_time", **req)
    again = await call("export_table_to_point_in_time", **req)
    assert again["ExportDescription"]["ExportArn"] == first["ExportDescription"]["ExportArn"]
    code, _ = await refusal(call("export_table_to_point_in_time", **req, S3Prefix="other"))
    assert code == "ExportConflictException"
    await world.advance(hours=8, seconds=1)
    later = await call("export_table_to_point_in_time", **req)
    assert later["ExportDescription"]["ExportArn"] != first["ExportDescription"]["ExportArn"]


@told
async def test_what_cannot_be_exported_is_refused(world: World) -> None:
    await make(world)
    await world.call("s3", "create_bucket", Bucket="exports")
    call = caller(world)
    req = {"TableArn": T, "S3Bucket": "exports"}
    code, _ = await refusal(call("export_table_to_point_in_time", **req))
    assert code == "PointInTimeRecoveryUnavailableException"
    await switched(world)
    for moment in (world.now - timedelta(1), world.now + timedelta(1)):
        code, _ = await refusal(call("export_table_to_point_in_time", **req, ExportTime=moment))
        assert code == "InvalidExportTimeException"
    code, _ = await refusal(call("export_table_to_point_in_time", **req, FilterSpecification={}))
    assert code == "NotImplemented"


def test_an_export_is_whole_whatever_crashes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("doppio.services.dynamodb.limits.EXPORT_FILE_BYTES", 1)

    async def before(world: World) -> None:
        await filled(world)
        await switched(world)
        await world.call("s3", "create_bucket", Bucket="exports")

    async def work(world: World) -> None:
        call = caller(world)
        await call("export_table_to_point_in_time", TableArn=T, S3Bucket="exports",
                   ClientToken="one")  # fmt: skip
        entry = {"PutRequest": {"Item": {"id": wire("000"), "n": wire(1)}}}
        await call("batch_write_item", RequestItems={"orders": [entry]})

    async def check(world: World) -> None:
        call = caller(world)
        [found] = (await call("list_exports"))["ExportSummaries"]
        export = (await call("describe_export", ExportArn=found["ExportArn"]))["ExportDescription"]
        assert (export["ExportStatus"], export["ItemCount"]) == ("COMPLETED", ROWS)
        lines = await files(world, export)
        assert len({json.loads(line)["Item"]["id"]["S"] for line in lines}) == ROWS
        assert not [line for line in lines if '"n"' in line]
        listed = [key for key in await keys(world) if "/data/" in key]
        manifest = export["ExportManifest"].replace("summary", "files")
        assert len(listed) == len((await kept(world, manifest)).splitlines()) > 3

    assert crashed_everywhere(before, work, check) >= 8
