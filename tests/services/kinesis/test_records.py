"""Records: put in order, got from anywhere, gone when their time is over."""

from __future__ import annotations

import json
from datetime import timedelta

from doppio.services.kinesis.records import Kept
from tests.services.crashes import Told, crash_everywhere
from tests.services.world import OTHER, World, refusal, refused, told

from .small import ORDERS, described, iterator, put, stream, texts


@told
async def test_records_come_in_the_order_in_which_they_were_put(world: World) -> None:
    await stream(world)
    numbers = [await put(world, f"order {number}") for number in range(5)]
    assert numbers == sorted(numbers)
    assert len(set(numbers)) == 5
    begin = await iterator(world)
    page = await world.call("kinesis", "get_records", ShardIterator=begin, Limit=3)
    assert [one["Data"] for one in page["Records"]] == [b"order 0", b"order 1", b"order 2"]
    assert [one["SequenceNumber"] for one in page["Records"]] == numbers[:3]
    assert page["Records"][0]["ApproximateArrivalTimestamp"] == world.now
    page = await world.call("kinesis", "get_records", ShardIterator=page["NextShardIterator"])
    assert [one["Data"] for one in page["Records"]] == [b"order 3", b"order 4"]
    assert page["MillisBehindLatest"] == 0
    page = await world.call("kinesis", "get_records", ShardIterator=page["NextShardIterator"])
    assert page["Records"] == []
    await put(world, "one more")
    page = await world.call("kinesis", "get_records", ShardIterator=page["NextShardIterator"])
    assert [one["Data"] for one in page["Records"]] == [b"one more"]


@told
async def test_reading_begins_where_it_is_asked_to(world: World) -> None:
    await stream(world)
    first = await put(world, "a")
    await world.advance(10)
    second = await put(world, "b")
    moment = world.now
    await world.advance(10)
    await put(world, "c")
    assert await texts(world, "AT_SEQUENCE_NUMBER", StartingSequenceNumber=second) == ["b", "c"]
    assert await texts(world, "AFTER_SEQUENCE_NUMBER", StartingSequenceNumber=second) == ["c"]
    assert await texts(world, "AFTER_SEQUENCE_NUMBER", StartingSequenceNumber=first) == ["b", "c"]
    assert await texts(world, "AT_TIMESTAMP", Timestamp=moment) == ["b", "c"]
    late = moment + timedelta(seconds=1)
    assert await texts(world, "AT_TIMESTAMP", Timestamp=late) == ["c"]
    assert await texts(world, "LATEST") == []


@told
async def test_a_page_says_how_far_it_is_behind(world: World) -> None:
    await stream(world)
    await put(world, "a")
    await put(world, "b")
    await world.advance(60)
    page = await world.call("kinesis", "get_records", ShardIterator=await iterator(world), Limit=1)
    assert page["MillisBehindLatest"] == 60_000


@told
async def test_keys_share_the_shards_and_each_stays_in_its_own(world: World) -> None:
    await stream(world, shards=4)
    seen: dict[str, set[str]] = {}
    for number in range(40):
        key = f"k{number % 10}"
        found = await world.call(
            "kinesis", "put_record", StreamARN=ORDERS, PartitionKey=key, Data=b"x"
        )
        seen.setdefault(key, set()).add(found["ShardId"])
    assert all(len(shards) == 1 for shards in seen.values())
    assert len({shard for shards in seen.values() for shard in shards}) > 1
    found = await world.call(
        "kinesis",
        "put_record",
        StreamName="orders",
        PartitionKey="k",
        ExplicitHashKey="0",
        Data=b"x",
    )
    assert found["ShardId"] == "shardId-000000000000"


@told
async def test_many_records_are_put_in_one_commit(world: World) -> None:
    await stream(world, shards=2)
    records = [{"PartitionKey": f"k{number}", "Data": b"%d" % number} for number in range(20)]
    found = await world.call("kinesis", "put_records", StreamName="orders", Records=records)
    assert found["FailedRecordCount"] == 0
    assert len({one["SequenceNumber"] for one in found["Records"]}) == 20
    got = await texts(world, shard=0) + await texts(world, shard=1)
    assert sorted(got, key=int) == [str(number) for number in range(20)]


@told
async def test_what_is_too_large_is_refused(world: World) -> None:
    await stream(world)
    code, text = await refusal(put(world, "x" * 1_048_576))
    assert code == "InvalidArgumentException"
    assert "1024 KiB" in text
    await put(world, "x" * 1_048_575)
    assert len((await texts(world))[0]) == 1_048_575


@told
async def test_records_are_kept_for_a_day_or_as_long_as_it_is_said(world: World) -> None:
    await stream(world)
    await put(world, "old")
    made, begin = world.now, await iterator(world)
    await world.advance(hours=23, minutes=58)
    await put(world, "new")
    assert await texts(world) == ["old", "new"]
    await world.advance(minutes=3)
    # Whether it has been swept away or not.
    assert await texts(world) == ["new"]
    await world.advance(hours=2)
    rows = await world.cloud.context_for("", "").read().list(Kept, (), limit=9)
    assert [row.data for row in rows] == [b"new"]
    code, text = await refusal(world.call("kinesis", "get_records", ShardIterator=begin))
    assert code == "ExpiredIteratorException"
    then, now = (one.strftime("%a %b %d %H:%M:%S UTC %Y") for one in (made, world.now))
    assert text == (
        f"Iterator expired. The iterator was created at time {then} while right now it is {now} "
        "which is further in the future than the tolerated delay of 300000 milliseconds."
    )
    await world.call(
        "kinesis", "increase_stream_retention_period", StreamName="orders", RetentionPeriodHours=48
    )
    await world.advance(hours=23)
    assert await texts(world) == ["new"]
    await world.advance(hours=24)
    assert await texts(world) == []


@told
async def test_a_dry_run_does_nothing(world: World) -> None:
    await stream(world)
    assert (await refused(put(world, "x", DryRun=True))).code == "DryRunOperationException"
    assert await texts(world) == []


def test_what_was_acknowledged_is_there_after_a_crash_at_any_commit() -> None:
    async def prepare(world: World, told: Told) -> None:
        await stream(world, shards=2)
        told["kept"] = {}

    async def work(world: World, told: Told) -> None:
        for number in range(4):
            text = f"order {number}"
            told["kept"][await put(world, text, ExplicitHashKey="0")] = text
        await world.call(
            "kinesis", "split_shard", StreamName="orders", ShardToSplit="shardId-000000000000",
            NewStartingHashKey="5",
        )  # fmt: skip
        await world.settle()
        told["kept"][await put(world, "after", ExplicitHashKey="0")] = "after"
        told["whole"] = True

    async def check(world: World, told: Told) -> None:
        shown = await described(world)
        assert shown["StreamStatus"] == "ACTIVE"
        got: dict[str, str] = {}
        for shard in shown["Shards"]:
            begin = await iterator(world, shard=int(shard["ShardId"][-3:]))
            page = await world.call("kinesis", "get_records", ShardIterator=begin)
            got |= {one["SequenceNumber"]: one["Data"].decode() for one in page["Records"]}
        assert told["kept"].items() <= got.items()
        assert len(got) <= len(told["kept"]) + 1
        if told.get("whole"):
            assert len(shown["Shards"]) == 4
        await put(world, "and on")

    assert crash_everywhere(prepare, work, check) >= 6


@told
async def test_sequence_numbers_of_others_are_refused(world: World) -> None:
    await stream(world, shards=2)
    number = await put(world, "x", ExplicitHashKey="0")
    for given in ("17", "4" * 56, number[:-1] + "9"):
        code, _ = await refusal(iterator(world, "AT_SEQUENCE_NUMBER", StartingSequenceNumber=given))
        assert code == "InvalidArgumentException"
    code, _ = await refusal(iterator(world, "AT_SEQUENCE_NUMBER", 1, StartingSequenceNumber=number))
    assert code == "InvalidArgumentException"


@told
async def test_nobody_reads_a_stream_of_others_unless_its_policy_lets_them(world: World) -> None:
    await stream(world)
    await put(world, "secret")
    ask = {
        "StreamARN": ORDERS,
        "ShardId": "shardId-000000000000",
        "ShardIteratorType": "TRIM_HORIZON",
    }
    error = await refused(world.call("kinesis", "get_shard_iterator", account=OTHER, **ask))
    assert error.code == "AccessDeniedException"
    statement = {
        "Effect": "Allow", "Principal": {"AWS": OTHER}, "Resource": ORDERS,
        "Action": ["kinesis:GetShardIterator", "kinesis:GetRecords"],
    }  # fmt: skip
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    await world.call("kinesis", "put_resource_policy", ResourceARN=ORDERS, Policy=policy)
    found = await world.call("kinesis", "get_shard_iterator", account=OTHER, **ask)
    page = await world.call(
        "kinesis", "get_records", account=OTHER, ShardIterator=found["ShardIterator"]
    )
    assert [one["Data"] for one in page["Records"]] == [b"secret"]
    await world.call("kinesis", "delete_resource_policy", ResourceARN=ORDERS)
    error = await refused(world.call("kinesis", "get_shard_iterator", account=OTHER, **ask))
    assert error.code == "AccessDeniedException"


@told
async def test_an_encrypted_stream_lies_on_disk_as_ciphertext(world: World) -> None:
    await stream(world)
    await put(world, "in clear")
    key = (await world.call("kms", "create_key"))["KeyMetadata"]["Arn"]
    await world.call(
        "kinesis", "start_stream_encryption", StreamName="orders", EncryptionType="KMS", KeyId=key
    )
    assert (await described(world))["KeyId"] == key
    await put(world, "a recipe")
    rows = await world.cloud.context_for("", "").read().list(Kept, (), limit=9)
    assert rows[0].data == b"in clear"
    assert b"recipe" not in rows[1].data
    assert await texts(world) == ["in clear", "a recipe"]
    await world.call("kms", "disable_key", KeyId=key)
    # The data key may be used again for five minutes.
    await world.advance(minutes=6)
    assert (await refused(put(world, "x"))).code == "KMSDisabledException"
    assert (await refused(texts(world))).code == "KMSDisabledException"
    await world.call("kms", "enable_key", KeyId=key)
    await world.call(
        "kinesis", "stop_stream_encryption", StreamName="orders", EncryptionType="KMS", KeyId=key
    )
    await world.settle()
    await put(world, "in clear again")
    assert await texts(world) == ["in clear", "a recipe", "in clear again"]


@told
async def test_puts_are_metered_by_units_of_25_kib(world: World) -> None:
    await stream(world)
    await put(world, "x" * 25_000)
    await put(world, "x" * 30_000)
    assert await world.used("PutRequestPayloadUnits") == 3
    await world.advance(hours=1)
    assert await world.used("Storage-ShardHour") == 1
