"""S3 Select: what a query finds, in which form, and what is refused."""

from __future__ import annotations

import base64
import bz2
import csv
import gzip
import hashlib
import io
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from doppio.testing import Cloud
from tests.services.s3.world import World, refused, run, told

FRUIT = b'id,name,price\n1,apple,1.5\n2,"pear, big",20\n# a note\n3,fig,\n'
USE = {"CSV": {"FileHeaderInfo": "USE"}}
NESTED = b'{"a":{"b":[1,2,{"c":"x"}]},"n":null,"s":"t"}\n{"a":{"b":[3]},"s":"u"}\n'
LINES = {"JSON": {"Type": "LINES"}}


async def events(world: World, expression: str, key: str = "fruit", **req: Any) -> list[Any]:
    asked = {"InputSerialization": USE, "OutputSerialization": {"CSV": {}}, **req}
    result = await world.s3(
        "select_object_content",
        Bucket="bucket",
        Key=key,
        Expression=expression,
        ExpressionType="SQL",
        **asked,
    )
    return [event async for event in result["Payload"]]


async def found(world: World, expression: str, key: str = "fruit", **req: Any) -> str:
    """The records of the answer; it must end as an answer does."""
    seen = await events(world, expression, key, **req)
    assert [*seen[-2], *seen[-1]] == ["Stats", "End"]
    records = b"".join(event["Records"]["Payload"] for event in seen if "Records" in event)
    assert seen[-2]["Stats"]["Details"]["BytesReturned"] == len(records)
    return records.decode()


async def with_fruit(world: World) -> None:
    await world.bucket()
    await world.put("fruit", FRUIT)


@told
async def test_columns_are_called_by_their_header_and_by_their_position(world: World) -> None:
    await with_fruit(world)
    assert await found(world, "SELECT * FROM S3Object") == '1,apple,1.5\n2,"pear, big",20\n3,fig,\n'
    assert await found(world, "SELECT s.NAME FROM s3object s WHERE s.price > 5") == '"pear, big"\n'
    assert await found(world, 'SELECT s."name", _1 FROM S3Object[*] AS s LIMIT 1') == "apple,1\n"
    ignored = {"CSV": {"FileHeaderInfo": "IGNORE"}}
    assert (
        await found(world, "SELECT _3 FROM S3Object", InputSerialization=ignored) == "1.5\n20\n\n"
    )
    assert (await refused(found(world, "SELECT s.nope FROM S3Object s"))).code == "MissingHeaders"
    assert (await refused(found(world, 'SELECT "NAME" FROM S3Object'))).code == "MissingHeaders"
    await world.put("ragged", b"1\n1,2\n1,2,3\n")
    plain: dict[str, Any] = {"CSV": {}}
    assert (
        await found(world, "SELECT * FROM S3Object", "ragged", InputSerialization=plain)
        == "1\n1,2\n1,2,3\n"
    )
    assert (
        await found(world, "SELECT _3 FROM S3Object", "ragged", InputSerialization=plain)
        == "\n\n3\n"
    )


@told
async def test_the_language_says_what_aws_documents(world: World) -> None:
    await with_fruit(world)
    for expression, expected in {
        "COUNT(*), SUM(CAST(id AS INT)), AVG(CAST(id AS INT)), MAX(CAST(id AS INT))": "3,6,2,3",
        "COUNT(*) FROM S3Object s WHERE s.name LIKE '%p%' AND id IN (1, 2)": "2",
        "COUNT(*) FROM S3Object WHERE id BETWEEN 2 AND 3 OR NOT (name = 'apple')": "2",
        "COUNT(*) FROM S3Object WHERE price IS NOT NULL AND price <> ''": "2",
        "name FROM S3Object WHERE name LIKE 'a!%%' ESCAPE '!'": "",
        "CASE WHEN id = '1' THEN 'one' ELSE 'more' END FROM S3Object LIMIT 1": "one",
        "CASE id WHEN 1 THEN 'one' END FROM S3Object LIMIT 1": "one",
        "SUBSTRING(name, 2, 3), SUBSTRING(name FROM 4) FROM S3Object LIMIT 1": "ppl,le",
        "SUBSTRING(name, 0, 3) FROM S3Object LIMIT 1": "ap",
        "UPPER(name) || LOWER('X'), CHAR_LENGTH(name) FROM S3Object LIMIT 1": "APPLEx,5",
        "TRIM('  b '), TRIM(LEADING 'ab' FROM 'abcb') FROM S3Object LIMIT 1": "b,cb",
        "COALESCE(NULLIF(id, 1), 'none') FROM S3Object LIMIT 1": "none",
        "CAST('5' AS INT) / 2, 5 % 3, -(2) * 1.5, CAST('2.50' AS DECIMAL) FROM S3Object LIMIT 1": (
            "2,2,-3.0,2.5"
        ),
        "TRUE, CAST('false' AS BOOL), NULL FROM S3Object LIMIT 1": "true,false,",
        "TO_STRING(TO_TIMESTAMP('2017-03-04T05:06:07+02:00'), 'y-MM-dd''T''H') "
        "FROM S3Object LIMIT 1": "2017-03-04T3",
        "EXTRACT(YEAR FROM `2010-01-01T`), DATE_ADD(month, 1, `2017-01-31T`), "
        "DATE_DIFF(day, `2017-01-01T`, `2017T`) FROM S3Object LIMIT 1": (
            "2010,2017-02-28T00:00:00Z,0"
        ),
        "'it''s {table}' FROM S3Object LIMIT 1": "it's {table}",
    }.items():
        tail = "" if " FROM S3Object" in expression else " FROM S3Object"
        answer = await found(world, f"SELECT {expression}{tail}")
        assert answer.strip("\n") == expected, expression
    # Time is the cloud's.
    now = await found(world, "SELECT UTCNOW() FROM S3Object LIMIT 1")
    assert now.startswith(world.clock.now().isoformat()[:16])


@told
async def test_json_is_walked_by_paths(world: World) -> None:
    await world.bucket()
    await world.put("j", NESTED)
    await world.put("d", json.dumps([{"k": [{"v": 1}, {"v": 20}]}], indent=2).encode() * 2)
    j: dict[str, Any] = {"InputSerialization": LINES, "OutputSerialization": {"JSON": {}}}
    assert await found(world, "SELECT * FROM S3Object", "j", **j) == NESTED.decode()
    assert (
        await found(world, "SELECT s.a.b[0], s.n, s.s AS t, s.zz FROM S3Object s", "j", **j)
        == '{"_1":1,"n":null,"t":"t"}\n{"_1":3,"t":"u"}\n'
    )
    assert (
        await found(world, "SELECT * FROM S3Object[*].a.b[*] s", "j", **j)
        == '{"_1":1}\n{"_1":2}\n{"c":"x"}\n{"_1":3}\n'
    )
    assert (
        await found(
            world, "SELECT s.c FROM S3Object[*].a.b[*] s WHERE s.c IS NOT MISSING", "j", **j
        )
        == '{"c":"x"}\n'
    )
    document = {"JSON": {"Type": "DOCUMENT"}}
    assert (
        await found(
            world, "SELECT s.v FROM S3Object[*][*].k[*] s WHERE s.v > 3", "d",
            InputSerialization=document,
        )
        == "20\n20\n"
    )  # fmt: skip
    assert (
        await refused(found(world, "SELECT * FROM S3Object", "fruit2", InputSerialization=LINES))
    ).code == "NoSuchKey"
    await world.put("bad", b'{"a":1}\n{oops\n')
    for form in (LINES, document):
        call = found(world, "SELECT * FROM S3Object", "bad", InputSerialization=form)
        assert (await refused(call)).code == "JSONParsingError"


@told
async def test_every_mark_of_a_csv_may_be_another(world: World) -> None:
    await world.bucket()
    await world.put("odd", b"*no\r\n'a|b'|c\\'d|2;*skip;'x;y'|'q\\'r'|3;")
    form = {
        "FieldDelimiter": "|",
        "RecordDelimiter": ";",
        "QuoteCharacter": "'",
        "QuoteEscapeCharacter": "\\",
        "Comments": "*",
        "AllowQuotedRecordDelimiter": True,
    }
    await world.put("odd", b"'a|b'|c|2;*skip;z|'q\\'r\nnew'|3;")
    assert (
        await found(
            world,
            "SELECT _2, _1 FROM S3Object",
            "odd",
            InputSerialization={"CSV": form},
            OutputSerialization={
                "CSV": {"QuoteFields": "ALWAYS", "FieldDelimiter": "~", "RecordDelimiter": "\r\n"}
            },
        )
        == '"c"~"a|b"\r\n"q\'r\nnew"~"z"\r\n'
    )
    await world.put("dos", b"a,b\r\n1,2\r\n")
    assert await found(world, "SELECT b FROM S3Object", "dos") == "2\n"
    await world.put("marked", b"\xef\xbb\xbfa,b\n1,2")
    assert await found(world, "SELECT a FROM S3Object", "marked") == "1\n"
    for wrong in ({"FieldDelimiter": "||"}, {"FileHeaderInfo": "MAYBE"}, {"QuoteCharacter": "é"}):
        call = found(world, "SELECT * FROM S3Object", "dos", InputSerialization={"CSV": wrong})
        assert (await refused(call)).code in {"InvalidRequestParameter", "MalformedXML"}


@told
async def test_compressed_and_sealed_objects_are_read_as_others(world: World) -> None:
    await with_fruit(world)
    body = b"".join(b"%d,%d\n" % (number, number % 7) for number in range(60_000))
    half = len(body) // 2
    squeezed = gzip.compress(body[:half]) + gzip.compress(body[half:])
    key = b"k" * 32
    md5 = base64.b64encode(hashlib.md5(key).digest()).decode()
    customer: dict[str, Any] = {
        "SSECustomerAlgorithm": "AES256",
        "SSECustomerKey": base64.b64encode(key).decode(),
        "SSECustomerKeyMD5": md5,
    }
    await world.put("gz", squeezed, **customer)
    await world.put("bz", bz2.compress(body), ServerSideEncryption="AES256")
    count = "SELECT COUNT(*), SUM(CAST(_1 AS INT)) FROM S3Object WHERE _2 = 3"
    wanted = f"{len(range(3, 60_000, 7))},{sum(range(3, 60_000, 7))}\n"
    gz, bz = ({"CSV": {}, "CompressionType": kind} for kind in ("GZIP", "BZIP2"))
    assert await found(world, count, "gz", InputSerialization=gz, **customer) == wanted
    assert await found(world, count, "bz", InputSerialization=bz) == wanted
    seen = await events(world, count, "bz", InputSerialization=bz)
    details = seen[-2]["Stats"]["Details"]
    assert details["BytesProcessed"] == len(body)
    assert details["BytesScanned"] < len(body)
    assert (
        await refused(found(world, count, "gz", InputSerialization=gz))
    ).code == "InvalidRequest"
    call = found(world, count, "bz", InputSerialization=gz)
    assert (await refused(call)).code == "TruncatedInput"
    await world.put("cut", gzip.compress(body)[:-9])
    assert (
        await refused(found(world, count, "cut", InputSerialization=gz))
    ).code == "TruncatedInput"
    # Nothing of a sealed object lies about in the clear.
    assert all(b"59999,2" not in world.blobs.path(name).read_bytes() for name in world.files())


@told
async def test_parquet_is_read_with_its_types(world: World) -> None:
    import duckdb

    await world.bucket()
    path = Path(world.blobs.path("none")).parent
    path.mkdir(parents=True, exist_ok=True)
    file = path.parent.parent / "t.parquet"
    duckdb.connect().execute(
        "COPY (SELECT i AS id, 'n' || i AS name, i > 1 AS big, {'x': i, 'y': [i]} AS deep, "
        f"TIMESTAMP '2020-01-01' AS at FROM range(3) t(i)) TO '{file}' (FORMAT parquet)"
    )
    await world.put("p", file.read_bytes(), ServerSideEncryption="AES256")
    form: dict[str, Any] = {"Parquet": {}}
    assert (
        await found(world, "SELECT * FROM S3Object s WHERE s.id = 2", "p", InputSerialization=form)
        == '2,n2,true,"{""x"":2,""y"":[2]}",2020-01-01T00:00:00Z\n'
    )
    assert (
        await found(
            world, "SELECT deep.y[0], big FROM S3Object WHERE s3object.deep.x = 1", "p",
            InputSerialization=form, OutputSerialization={"JSON": {}},
        )
        == '{"_1":1,"big":false}\n'
    )  # fmt: skip
    call = found(world, "SELECT nope FROM S3Object", "p", InputSerialization=form)
    assert (await refused(call)).code == "MissingHeaders"
    await world.put("no", b"nothing of the kind")
    call = found(world, "SELECT * FROM S3Object", "no", InputSerialization=form)
    assert (await refused(call)).code == "ParquetParsingError"


@told
async def test_scan_ranges_that_touch_give_each_record_once(world: World) -> None:
    await world.bucket()
    lines = [b"%d,%s\n" % (number, b"x" * (number % 17)) for number in range(200)]
    body = b"".join(lines)
    await world.put("s", body)
    form: dict[str, Any] = {"CSV": {}}
    for step in (1, 7, 64, 500):
        if step == 1:
            bounds = [(at, at) for at in range(40)] + [(40, len(body))]
        else:
            bounds = [(at, at + step - 1) for at in range(0, len(body), step)]
        parts = [
            await found(
                world, "SELECT * FROM S3Object", "s", InputSerialization=form,
                ScanRange={"Start": start, "End": end},
            )
            for start, end in bounds[:60]
        ]  # fmt: skip
        assert body.decode().startswith("".join(parts))
        assert len(bounds) > 60 or "".join(parts) == body.decode()
    last = await found(
        world, "SELECT * FROM S3Object", "s", InputSerialization=form, ScanRange={"End": 10}
    )
    assert last == lines[-1].decode()[-10:] or last == ""
    zipped = {"CSV": {}, "CompressionType": "GZIP"}
    call = found(
        world, "SELECT * FROM S3Object", "s", InputSerialization=zipped, ScanRange={"Start": 1}
    )
    assert (await refused(call)).code == "UnsupportedScanRangeInput"


@told
async def test_who_goes_away_leaves_nothing_running(world: World) -> None:
    await world.bucket()
    await world.put("big", b"some,row\n" * 400_000)
    open_before = len(list(Path("/dev/fd").iterdir()))
    for _ in range(6):
        result = await world.s3(
            "select_object_content",
            Bucket="bucket",
            Key="big",
            Expression="SELECT * FROM S3Object",
            ExpressionType="SQL",
            InputSerialization={"CSV": {}},
            OutputSerialization={"CSV": {}},
        )
        first = await anext(result["Payload"])
        assert first["Records"]["Payload"].startswith(b"some,row\n")
        await result["Payload"].aclose()
    assert len(list(Path("/dev/fd").iterdir())) == open_before
    assert await found(
        world, "SELECT COUNT(*) FROM S3Object", "big", InputSerialization={"CSV": {}}
    )


@told
async def test_a_query_is_metered_by_what_it_scans_and_returns(world: World) -> None:
    await with_fruit(world)
    answer = await found(world, "SELECT name FROM S3Object")
    assert await world.used("Select-Scanned-Bytes") == len(FRUIT)
    assert await world.used("Select-Returned-Bytes") == len(answer)


_field = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=6)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.lists(_field, min_size=1, max_size=4), min_size=1, max_size=20))
def test_what_a_csv_holds_comes_back_field_by_field(rows: list[list[str]]) -> None:
    rows = [["r", *row] for row in rows]
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)

    async def story(world: World) -> None:
        await world.bucket()
        await world.put("c", text.getvalue().encode())
        answer = await found(world, "SELECT * FROM S3Object", "c", InputSerialization={"CSV": {}})
        assert list(csv.reader(io.StringIO(answer, newline=""))) == rows

    run(story)


def test_boto3_reads_the_stream_and_its_errors() -> None:
    from botocore.exceptions import ClientError, EventStreamError

    with Cloud() as cloud:
        s3 = cloud.account().client("s3")
        s3.create_bucket(Bucket="box")
        s3.put_object(Bucket="box", Key="k", Body=FRUIT)
        asked: dict[str, Any] = {
            "Bucket": "box",
            "Key": "k",
            "ExpressionType": "SQL",
            "InputSerialization": USE,
            "OutputSerialization": {"JSON": {}},
            "RequestProgress": {"Enabled": True},
        }
        seen = list(
            s3.select_object_content(Expression="SELECT s.id FROM S3Object s", **asked)["Payload"]
        )
        assert [next(iter(event)) for event in seen] == ["Records", "Progress", "Stats", "End"]
        assert seen[0]["Records"]["Payload"] == b'{"id":"1"}\n{"id":"2"}\n{"id":"3"}\n'
        assert seen[2]["Stats"]["Details"]["BytesScanned"] == len(FRUIT)
        with pytest.raises(EventStreamError, match="CastFailed"):
            list(
                s3.select_object_content(
                    Expression="SELECT CAST(name AS INT) FROM S3Object", **asked
                )["Payload"]
            )
        with pytest.raises(ClientError, match="UnsupportedFunction"):
            s3.select_object_content(Expression="SELECT NOW() FROM S3Object", **asked)
