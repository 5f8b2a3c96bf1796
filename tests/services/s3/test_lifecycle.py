"""Lifecycle rules, carried out on the cloud's clock, and archives that take their time."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from doppio.services.s3.limits import PART_BYTES_MIN
from tests.services.world import World, refusal, refused, told

LARGE = b"x" * (128 * 1024)


async def rules(world: World, *given: dict[str, Any], bucket: str = "bucket") -> None:
    """Set the bucket's rules; each is on, and about everything, unless it says otherwise."""
    listed = [{"Status": "Enabled", "Filter": {"Prefix": ""}, **rule} for rule in given]
    await world.call(
        "s3",
        "put_bucket_lifecycle_configuration",
        Bucket=bucket,
        LifecycleConfiguration={"Rules": listed},
    )


async def bucket(world: World, *, versioned: bool = False) -> None:
    """Make the bucket."""
    await world.call("s3", "create_bucket", Bucket="bucket")
    if versioned:
        await world.call(
            "s3",
            "put_bucket_versioning",
            Bucket="bucket",
            VersioningConfiguration={"Status": "Enabled"},
        )


async def put(world: World, key: str, body: bytes = b"x", **req: Any) -> dict[str, Any]:
    """PutObject."""
    answer: dict[str, Any] = await world.call(
        "s3", "put_object", Bucket="bucket", Key=key, Body=body, **req
    )
    return answer


async def keys(world: World) -> list[str]:
    """The keys that stand for something."""
    found = await world.call("s3", "list_objects_v2", Bucket="bucket")
    return [one["Key"] for one in found["Contents"]]


async def head(world: World, key: str, **req: Any) -> dict[str, Any]:
    """HeadObject."""
    answer: dict[str, Any] = await world.call("s3", "head_object", Bucket="bucket", Key=key, **req)
    return answer


@told
async def test_objects_end_after_their_days(world: World) -> None:
    await bucket(world)
    await rules(world, {"ID": "old", "Filter": {"Prefix": "log/"}, "Expiration": {"Days": 3}})
    answer = await put(world, "log/a")
    assert answer["Expiration"] == ('expiry-date="Fri, 04 Jan 2030 00:00:00 GMT", rule-id="old"')
    await put(world, "kept")
    await world.advance(days=2, hours=23)
    assert await keys(world) == ["kept", "log/a"]
    await world.advance(hours=2)
    assert await keys(world) == ["kept"]


@told
async def test_a_clock_that_jumps_finds_all_of_it_done(world: World) -> None:
    await bucket(world)
    await rules(
        world,
        {
            "Transitions": [
                {"Days": 30, "StorageClass": "STANDARD_IA"},
                {"Days": 90, "StorageClass": "GLACIER"},
            ],
            "Expiration": {"Days": 365},
        },
    )
    await put(world, "k", LARGE)
    await put(world, "small")
    await world.advance(days=45)
    assert (await head(world, "k"))["StorageClass"] == "STANDARD_IA"
    assert "StorageClass" not in await head(world, "small")
    await world.advance(days=60)
    assert (await head(world, "k"))["StorageClass"] == "GLACIER"
    await world.advance(days=400)
    assert await keys(world) == []


@told
async def test_filters_choose_by_tag_and_size(world: World) -> None:
    await bucket(world)
    both = {
        "Prefix": "a",
        "Tags": [{"Key": "kind", "Value": "tmp"}],
        "ObjectSizeGreaterThan": 10,
    }
    await rules(world, {"Filter": {"And": both}, "Expiration": {"Days": 1}})
    await put(world, "a-hit", b"x" * 11, Tagging="kind=tmp")
    await put(world, "a-small", b"x" * 10, Tagging="kind=tmp")
    await put(world, "a-untagged", b"x" * 11)
    await put(world, "b", b"x" * 11, Tagging="kind=tmp")
    await world.advance(days=3)
    assert await keys(world) == ["a-small", "a-untagged", "b"]


@told
async def test_in_a_versioned_bucket_ending_hides_and_hidden_versions_end(world: World) -> None:
    await bucket(world, versioned=True)
    await rules(
        world,
        {
            "Expiration": {"Days": 1},
            "NoncurrentVersionExpiration": {"NoncurrentDays": 5, "NewerNoncurrentVersions": 1},
        },
    )
    for body in (b"1", b"2", b"3"):
        await put(world, "k", body)
        await world.advance(1)
    await world.advance(days=2)
    found = await world.call("s3", "list_object_versions", Bucket="bucket")
    assert (len(found["DeleteMarkers"]), len(found["Versions"])) == (1, 3)
    await world.advance(days=7)
    found = await world.call("s3", "list_object_versions", Bucket="bucket")
    # The newest hidden one is kept by its count.
    assert (len(found["DeleteMarkers"]), len(found["Versions"])) == (1, 1)
    await rules(
        world,
        {
            "Expiration": {"ExpiredObjectDeleteMarker": True},
            "NoncurrentVersionExpiration": {"NoncurrentDays": 1},
        },
    )
    await world.advance(days=2)
    await world.advance(days=2)
    found = await world.call("s3", "list_object_versions", Bucket="bucket")
    assert (found["DeleteMarkers"], found["Versions"]) == ([], [])


@told
async def test_uploads_that_are_never_completed_are_given_up(world: World) -> None:
    await bucket(world)
    await rules(world, {"AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 2}})
    same = {"Bucket": "bucket", "Key": "k"}
    same["UploadId"] = (await world.call("s3", "create_multipart_upload", **same))["UploadId"]
    await world.call("s3", "upload_part", **same, PartNumber=1, Body=b"x" * PART_BYTES_MIN)
    await world.advance(days=1)
    assert (await world.call("s3", "list_multipart_uploads", Bucket="bucket"))["Uploads"]
    await world.advance(days=2)
    assert not (await world.call("s3", "list_multipart_uploads", Bucket="bucket"))["Uploads"]


@told
async def test_rules_are_given_back_as_they_were_put(world: World) -> None:
    await bucket(world)
    none = world.call("s3", "get_bucket_lifecycle_configuration", Bucket="bucket")
    assert (await refusal(none))[0] == "NoSuchLifecycleConfiguration"
    date = datetime(2031, 1, 1, tzinfo=UTC)
    await rules(world, {"ID": "then", "Expiration": {"Date": date}})
    await put(world, "k")
    found = await world.call("s3", "get_bucket_lifecycle_configuration", Bucket="bucket")
    assert found["Rules"] == [
        {
            "ID": "then",
            "Status": "Enabled",
            "Filter": {"Prefix": ""},
            "Expiration": {"Date": date},
        }
    ]
    await world.call("s3", "delete_bucket_lifecycle", Bucket="bucket")
    await world.advance(days=500)
    assert await keys(world) == ["k"]


@told
async def test_rules_that_cannot_be_are_refused(world: World) -> None:
    await bucket(world)

    async def says(*given: dict[str, Any]) -> tuple[str, str]:
        return await refusal(rules(world, *given))

    end = {"Expiration": {"Days": 1}}
    assert (await says())[0] == "MalformedXML"
    assert (await says({}))[1] == "At least one action needs to be specified in a rule."
    assert (await says({"ID": "a", **end}, {"ID": "a", **end}))[1] == (
        "Rule ID must be unique. Found same ID for more than one rule"
    )
    assert (await says({"Expiration": {"Days": 0}}))[1] == (
        "'Days' for Expiration action must be a positive integer"
    )
    assert (await says({"Expiration": {"Days": 1, "ExpiredObjectDeleteMarker": True}}))[0] == (
        "MalformedXML"
    )
    early = {"Transitions": [{"Days": 29, "StorageClass": "STANDARD_IA"}]}
    assert (await says(early))[1] == (
        "'Days' in Transition action must be greater than or equal to 30 for storageClass "
        "'STANDARD_IA'"
    )
    noon = datetime(2031, 1, 1, 12, tzinfo=UTC)
    assert (await says({"Expiration": {"Date": noon}}))[1] == "'Date' must be at midnight GMT"
    assert (await says({"ID": "x" * 256, **end}))[1] == (
        "ID length should not exceed allowed limit of 255"
    )


@told
async def test_an_archived_object_is_read_only_while_it_is_restored(world: World) -> None:
    await bucket(world)
    await put(world, "k", b"old", StorageClass="GLACIER")
    where = {"Bucket": "bucket", "Key": "k"}
    error = await refused(world.call("s3", "get_object", **where))
    assert (error.code, error.status) == ("InvalidObjectState", 403)
    assert error.fields["StorageClass"] == "GLACIER"
    copy = world.call("s3", "copy_object", Bucket="bucket", Key="c", CopySource="bucket/k")
    assert (await refusal(copy))[0] == "InvalidObjectState"
    asked = {"Days": 2, "GlacierJobParameters": {"Tier": "Expedited"}}
    answer = await world.call("s3", "restore_object", **where, RestoreRequest=asked)
    assert answer["@status"] == 202
    again = world.call("s3", "restore_object", **where, RestoreRequest=asked)
    assert (await refusal(again))[0] == "RestoreAlreadyInProgress"
    assert (await head(world, "k"))["Restore"] == 'ongoing-request="true"'
    await world.advance(minutes=6)
    assert (await head(world, "k"))["Restore"] == (
        'ongoing-request="false", expiry-date="Fri, 04 Jan 2030 00:00:00 GMT"'
    )
    assert (await world.call("s3", "get_object", **where))["Body"] == b"old"
    longer = await world.call("s3", "restore_object", **where, RestoreRequest={"Days": 4})
    assert longer["@status"] == 200
    await world.advance(days=4)
    assert (await world.call("s3", "get_object", **where))["Body"] == b"old"
    await world.advance(days=2)
    assert "Restore" not in await head(world, "k")
    assert (await refusal(world.call("s3", "get_object", **where)))[0] == "InvalidObjectState"


@told
async def test_only_the_archives_are_restored_and_each_in_its_time(world: World) -> None:
    await bucket(world)
    await put(world, "now")
    await put(world, "deep", StorageClass="DEEP_ARCHIVE")

    def restore(key: str, tier: str) -> Any:
        asked = {"Days": 1, "GlacierJobParameters": {"Tier": tier}}
        return world.call("s3", "restore_object", Bucket="bucket", Key=key, RestoreRequest=asked)

    assert await refusal(restore("now", "Standard")) == (
        "InvalidObjectState",
        "Restore is not allowed for the object's current storage class",
    )
    assert (await refusal(restore("deep", "Expedited")))[0] == "InvalidArgument"
    await restore("deep", "Bulk")
    await world.advance(hours=47)
    assert (await head(world, "deep"))["Restore"] == 'ongoing-request="true"'
    await world.advance(hours=2)
    assert (await head(world, "deep"))["Restore"].startswith('ongoing-request="false"')


@told
async def test_a_crash_in_the_middle_of_a_day_goes_on_after_it(world: World) -> None:
    await bucket(world)
    await rules(world, {"Expiration": {"Days": 1}})
    for at in range(40):
        await put(world, f"k{at:02d}")
    await world.advance(days=3)
    after = world.again()
    await after.start()
    await after.advance(1)
    assert await keys(after) == []
    await after.close()
