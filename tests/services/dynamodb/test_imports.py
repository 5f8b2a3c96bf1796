"""Imports: new tables of real files, with what is wrong in them told and counted."""

from __future__ import annotations

import gzip
import json
from typing import Any

import pytest
import zstandard

from tests.services.world import ACCOUNT, REGION, World, refusal, told

from .helpers import caller, described, index, item, key_of, put, scanned, types
from .test_exports import exported, ready
from .test_permissions import employed
from .test_upkeep import crashed_everywhere

SHAPE = {
    "TableName": "orders", "KeySchema": key_of("id"), "AttributeDefinitions": types(id="S"),
    "BillingMode": "PAY_PER_REQUEST",
}  # fmt: skip


async def bucket(world: World, **objects: bytes) -> None:
    """A bucket with objects."""
    await world.call("s3", "create_bucket", Bucket="exports")
    for key, body in objects.items():
        await world.call("s3", "put_object", Bucket="exports", Key=key, Body=body)


def request(**req: Any) -> dict[str, Any]:
    """ImportTable's request."""
    shape = {**SHAPE, **req.pop("shape", {})}
    source = {"S3Bucket": "exports", **req.pop("source", {})}
    return {"S3BucketSource": source, "InputFormat": "DYNAMODB_JSON",
            "TableCreationParameters": shape, **req}  # fmt: skip


async def imported(world: World, **req: Any) -> dict[str, Any]:
    """ImportTable, to its end."""
    call = caller(world)
    made = (await call("import_table", **request(**req)))["ImportTableDescription"]
    assert made["ImportStatus"] == "IN_PROGRESS"
    await world.advance(1)
    got = await call("describe_import", ImportArn=made["ImportArn"])
    found: dict[str, Any] = got["ImportTableDescription"]
    return found


def lines(*items: Any) -> bytes:
    """Lines of DynamoDB JSON."""
    return b"".join(json.dumps({"Item": one}).encode() + b"\n" for one in items)


@told
async def test_lines_of_json_become_a_table(world: World) -> None:
    first = {"id": {"S": "1"}, "b": {"B": "AP8="}, "n": {"N": "1.50"}, "bs": {"BS": ["eA=="]},
             "m": {"M": {"l": {"L": [{"B": "AA=="}, {"NULL": True}]}}}}  # fmt: skip
    second = {"id": {"S": "2"}, "w": {"S": "x"}}
    await bucket(world, **{"a/1": lines(first), "a/2": lines(second), "b": lines({"id": "bad"})})
    shape = {
        "AttributeDefinitions": types(id="S", w="S"),
        "GlobalSecondaryIndexes": [index("by-w", "w")],
    }
    found = await imported(world, source={"S3KeyPrefix": "a/"}, shape=shape)
    assert (found["ImportStatus"], found["ErrorCount"]) == ("COMPLETED", 0)
    assert (found["ProcessedItemCount"], found["ImportedItemCount"]) == (2, 2)
    assert found["ProcessedSizeBytes"] == len(lines(first, second))
    assert await scanned(world) == [
        {"id": {"S": "1"}, "b": {"B": b"\x00\xff"}, "n": {"N": "1.5"}, "bs": {"BS": [b"x"]},
         "m": {"M": {"l": {"L": [{"B": b"\x00"}, {"NULL": True}]}}}},
        second,
    ]  # fmt: skip
    assert await scanned(world, IndexName="by-w") == [second]
    table = await described(world)
    assert (table["TableStatus"], table["ItemCount"]) == ("ACTIVE", 2)
    assert table["TableArn"] == found["TableArn"]
    assert table["TableId"] == found["TableId"]


@pytest.mark.parametrize("kind", ["GZIP", "ZSTD"])
@pytest.mark.parametrize("frames", [1, 2])
def test_packed_objects_are_unpacked(kind: str, frames: int) -> None:
    pack = gzip.compress if kind == "GZIP" else zstandard.ZstdCompressor().compress

    @told
    async def story(world: World) -> None:
        rows = [item(id=f"{number:04}", blob="x" * 1000) for number in range(600)]
        part = len(rows) // frames
        body = b"".join(pack(lines(*rows[at : at + part])) for at in range(0, len(rows), part))
        await bucket(world, data=body)
        found = await imported(world, InputCompressionType=kind)
        assert (found["ImportStatus"], found["ImportedItemCount"]) == ("COMPLETED", 600)
        assert await scanned(world) == rows
        await caller(world)("delete_table", TableName="orders")
        await world.advance(1)
        await bucket_with(world, b"not packed")
        found = await imported(world, InputCompressionType=kind)
        assert found["ImportStatus"] == "FAILED"
        assert f"The object is not {kind}" in found["FailureMessage"]

    story()


async def bucket_with(world: World, body: bytes) -> None:
    """The bucket's only object is another one."""
    await world.call("s3", "put_object", Bucket="exports", Key="data", Body=body)


@told
async def test_csv_has_a_header_and_types_its_keys(world: World) -> None:
    text = 'n,raw,name,note\r\n1,AP8=,"a, ""b""\nc",\r\n2,eA==,é,note\n\n'
    await bucket(world, data=text.encode())
    shape = {
        "KeySchema": key_of("n"), "AttributeDefinitions": types(n="N", raw="B"),
        "GlobalSecondaryIndexes": [index("by-raw", "raw")],
    }  # fmt: skip
    found = await imported(world, InputFormat="CSV", shape=shape)
    assert (found["ErrorCount"], found["ImportedItemCount"]) == (0, 2)
    assert await scanned(world) == [
        item(n=1, raw=b"\x00\xff", name='a, "b"\nc'), item(n=2, raw=b"x", name="é", note="note"),
    ]  # fmt: skip
    await bucket_with(world, b'1;x;a\n2;y;b;c\n3;z;"c\n')
    shape |= {"TableName": "till"}
    options = {"Csv": {"Delimiter": ";", "HeaderList": ["n", "a", "b"]}}
    found = await imported(world, InputFormat="CSV", InputFormatOptions=options, shape=shape)
    assert found["ErrorCount"] == 2
    assert await scanned(world, "till") == [item(n=1, a="x", b="a")]


@told
async def test_what_was_exported_comes_back_the_same(world: World) -> None:
    await ready(world)
    everything = {"s": 'é"\n\\', "n": 1.5, "b": b"\x00\xff", "yes": True, "no": None,
                  "l": [1, "x"], "m": {"a 'b'": {"a"}}, "bs": {b"x"}, "ns": {1, 2},
                  "null": "x", "big": 10**20}  # fmt: skip
    for number in range(3):
        await put(world, id=f"{number}", **everything)
    for kind, name in (("DYNAMODB_JSON", "json"), ("ION", "ion")):
        export = await exported(world, ExportFormat=kind, S3Prefix=name)
        prefix = export["ExportManifest"].rpartition("/")[0] + "/data/"
        found = await imported(
            world, InputFormat=kind, InputCompressionType="GZIP", shape={"TableName": name},
            source={"S3KeyPrefix": prefix},
        )  # fmt: skip
        assert (found["ErrorCount"], found["ImportedItemCount"]) == (0, 3)
        assert await scanned(world, name) == await scanned(world)


@told
async def test_what_is_wrong_is_told_in_the_log_and_the_rest_is_kept(world: World) -> None:
    body = b"".join(
        [
            lines({"id": {"S": "1"}}),
            b"{\n",
            b'{"Thing": {}}\n',
            lines({"id": {"N": "1"}}, {"other": {"S": "x"}}, {"id": {"S": "2"}, "x": {"Q": 1}},
                  {"id": {"S": "2"}, "b": {"B": "?"}}, {"id": {"S": "3"}, "x": "text"}),
            lines({"id": {"S": "1"}, "n": {"N": "2"}}).strip(),
        ]
    )  # fmt: skip
    await bucket(world, data=body)
    found = await imported(world)
    assert (found["ImportStatus"], found["ErrorCount"]) == ("COMPLETED", 7)
    assert (found["ProcessedItemCount"], found["ImportedItemCount"]) == (9, 2)
    assert await scanned(world) == [item(id="1", n=2)]
    assert (await described(world))["ItemCount"] == 1
    assert found["CloudWatchLogGroupArn"] == (
        f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:/aws-dynamodb/imports:*"
    )
    stream = found["ImportArn"].rpartition("/")[2] + "-error"
    got = await world.call(
        "logs", "get_log_events", logGroupName="/aws-dynamodb/imports", logStreamName=stream,
        startFromHead=True,
    )  # fmt: skip
    messages = [json.loads(one["message"]) for one in got["events"]]
    assert [one["itemS3Pointer"]["itemIndex"] for one in messages] == [1, 2, 3, 4, 5, 6, 7]
    assert messages[2]["errorMessages"] == [
        "One or more parameter values were invalid: Type mismatch for key id expected: S actual: N"
    ]


@told
async def test_an_import_reads_as_who_asked_for_it(world: World) -> None:
    await bucket(world, data=lines({"id": {"S": "1"}}))
    barista = await employed(world, Action=["dynamodb:*", "logs:*"], Resource="*")
    found = await imported(world, caller=barista)
    assert (found["ImportStatus"], found["FailureCode"]) == ("FAILED", "AccessDenied")
    assert "s3:ListBucket" in found["FailureMessage"]
    call = caller(world)
    code, text = await refusal(call("import_table", **request()))
    assert (code, text) == ("ResourceInUseException", "Table already exists: orders")
    found = await imported(world, source={"S3Bucket": "nowhere"}, shape={"TableName": "till"})
    assert (found["ImportStatus"], found["FailureCode"]) == ("FAILED", "NoSuchBucket")


@told
async def test_imports_are_listed_by_page_and_a_token_imports_once(world: World) -> None:
    await bucket(world, data=lines({"id": {"S": "1"}}))
    call = caller(world)
    names = ["one", "two", "three"]
    for name in names:
        await imported(world, ClientToken=name, shape={"TableName": name})
    again = await call("import_table", **request(ClientToken="one", shape={"TableName": "one"}))
    assert again["ImportTableDescription"]["ImportStatus"] == "COMPLETED"
    code, _ = await refusal(call("import_table", **request(ClientToken="one")))
    assert code == "ImportConflictException"
    page = await call("list_imports", PageSize=2)
    rest = await call("list_imports", PageSize=2, NextToken=page["NextToken"])
    listed = page["ImportSummaryList"] + rest["ImportSummaryList"]
    assert [one["TableArn"].rpartition("/")[2] for one in listed] == sorted(names, reverse=True)
    [one] = (await call("list_imports", TableArn=listed[0]["TableArn"]))["ImportSummaryList"]
    assert one == listed[0]
    await world.advance(days=90, seconds=10)
    assert (await call("list_imports"))["ImportSummaryList"] == []
    code, _ = await refusal(call("describe_import", ImportArn=one["ImportArn"]))
    assert code == "ImportNotFoundException"


def test_an_import_is_whole_and_counted_once_whatever_crashes() -> None:
    async def before(world: World) -> None:
        text = "id,note\n" + "".join(f'{number},"a\nb"\n' for number in range(600))
        more = "id,note\nx,1\ny\nz,2\n"
        await bucket(world, a=text.encode(), b=more.encode())

    async def work(world: World) -> None:
        await caller(world)("import_table", **request(InputFormat="CSV", ClientToken="one"))

    async def check(world: World) -> None:
        [found] = (await caller(world)("list_imports"))["ImportSummaryList"]
        got = await caller(world)("describe_import", ImportArn=found["ImportArn"])
        shown = got["ImportTableDescription"]
        assert (shown["ImportStatus"], shown["ErrorCount"]) == ("COMPLETED", 1)
        assert (shown["ProcessedItemCount"], shown["ImportedItemCount"]) == (603, 602)
        assert (await described(world))["ItemCount"] == 602
        assert len(await scanned(world)) == 602

    assert crashed_everywhere(before, work, check) >= 6
