"""Who pays: the bucket's owner for all visitors, or the requesters where the bucket says so."""

from __future__ import annotations

from typing import Any

from doppio.kernel.identity import ANONYMOUS, Caller
from doppio.kernel.meter import usage
from doppio.services.s3 import payers
from doppio.services.s3.service import SERVICE
from doppio.wire import model

from .test_policies import OPEN, STRANGER, policy, put_policy, statement
from .world import ACCOUNT, OTHER, World, refused, told

EVERYTHING: Any = ["arn:aws:s3:::bucket", "arn:aws:s3:::bucket/*"]
ROLE = Caller(
    account=ACCOUNT,
    arn=f"arn:aws:sts::{ACCOUNT}:assumed-role/r/s",
    id="AROA:s",
    kind="assumed-role",
)


async def open_bucket(world: World, payer: str = "Requester") -> None:
    """A bucket that lets in everybody, with one object."""
    await world.bucket()
    await world.s3("put_public_access_block", Bucket="bucket", **OPEN)
    await put_policy(world, policy(statement("*", "s3:*", Resource=EVERYTHING)))
    await world.put("key", b"x")
    await pays(world, payer)


async def pays(world: World, payer: str) -> None:
    await world.s3(
        "put_bucket_request_payment", Bucket="bucket", RequestPaymentConfiguration={"Payer": payer}
    )


async def used(world: World, account: str, usage_type: str = "Requests-Tier2") -> float:
    await world.audit.flush()
    rows = await usage(world.store.view(), account, limit=100)
    return sum(row.amount for row in rows if row.usage_type == usage_type)


@told
async def test_the_owner_pays_until_the_bucket_says_otherwise(world: World) -> None:
    await world.bucket()
    ask = {"Bucket": "bucket"}
    assert await world.s3("get_bucket_request_payment", **ask) == {"Payer": "BucketOwner"}
    for payer in ("Requester", "BucketOwner"):
        await pays(world, payer)
        assert await world.s3("get_bucket_request_payment", **ask) == {"Payer": payer}
    error = await refused(pays(world, "Nobody"))
    assert (error.code, error.status) == ("MalformedXML", 400)


@told
async def test_who_does_not_offer_to_pay_gets_nothing(world: World) -> None:
    await open_bucket(world)
    error = await refused(world.get("key", caller=STRANGER))
    assert (error.code, error.status, error.message) == ("AccessDenied", 403, "Access Denied")
    for method, more in (
        ("put_object", {"Key": "new", "Body": b"x"}),
        ("delete_object", {"Key": "key"}),
        ("head_object", {"Key": "key"}),
        ("list_objects_v2", {}),
        ("create_multipart_upload", {"Key": "big"}),
    ):
        call = world.s3(method, Bucket="bucket", caller=STRANGER, **more)
        assert (await refused(call)).status == 403, method
        call = world.s3(method, Bucket="bucket", caller=STRANGER, RequestPayer="owner", **more)
        assert (await refused(call)).status == 403, method
    listed = await world.s3("list_objects_v2", Bucket="bucket")
    assert [one["Key"] for one in listed["Contents"]] == ["key"]


@told
async def test_who_offers_is_served_told_and_charged(world: World) -> None:
    await open_bucket(world)
    for number, (method, more) in enumerate(
        (
            ("get_object", {"Key": "key"}),
            ("head_object", {"Key": "key"}),
            ("get_object_attributes", {"Key": "key", "ObjectAttributes": ["ETag"]}),
        )
    ):
        answer = await world.s3(
            method, Bucket="bucket", caller=STRANGER, RequestPayer="requester", **more
        )
        assert answer["RequestCharged"] == "requester", method
        assert await used(world, OTHER) == number + 1
    req: dict[str, Any] = {"Bucket": "bucket", "caller": STRANGER, "RequestPayer": "requester"}
    assert (await world.s3("put_object", Key="new", Body=b"", **req))["RequestCharged"]
    assert (await world.s3("list_objects_v2", **req))["RequestCharged"] == "requester"
    assert (await world.s3("delete_object", Key="new", **req))["RequestCharged"] == "requester"
    assert await used(world, OTHER, "Requests-Tier1") == 2
    assert await used(world, ACCOUNT) == 0


@told
async def test_the_owners_account_needs_to_say_nothing(world: World) -> None:
    await open_bucket(world)
    for caller in (None, ROLE):
        answer = await world.s3("head_object", Bucket="bucket", Key="key", caller=caller)
        assert "RequestCharged" not in answer
    answer = await world.s3("head_object", Bucket="bucket", Key="key", RequestPayer="requester")
    assert "RequestCharged" not in answer
    assert await used(world, ACCOUNT) == 3


@told
async def test_nobody_comes_unsigned_even_with_an_offer(world: World) -> None:
    await open_bucket(world)
    for more in ({}, {"RequestPayer": "requester"}):
        error = await refused(world.get("key", caller=ANONYMOUS, **more))
        assert (error.code, error.status) == ("AccessDenied", 403)
    await pays(world, "BucketOwner")
    assert await world.get("key", caller=ANONYMOUS) == b"x"


@told
async def test_the_owner_pays_for_all_visitors_else(world: World) -> None:
    await open_bucket(world, "BucketOwner")
    for caller in (STRANGER, ANONYMOUS):
        assert await world.get("key", caller=caller) == b"x"
    answer = await world.s3(
        "head_object", Bucket="bucket", Key="key", caller=STRANGER, RequestPayer="requester"
    )
    assert "RequestCharged" not in answer
    assert await used(world, ACCOUNT) == 3
    assert await used(world, OTHER) == await used(world, ANONYMOUS.account) == 0


@told
async def test_a_copy_from_such_a_bucket_takes_the_offer_too(world: World) -> None:
    await open_bucket(world)
    await world.s3("create_bucket", Bucket="mine", caller=STRANGER)
    req: dict[str, Any] = {
        "Bucket": "mine",
        "Key": "copy",
        "CopySource": "bucket/key",
        "caller": STRANGER,
    }
    assert (await refused(world.s3("copy_object", **req))).status == 403
    answer = await world.s3("copy_object", RequestPayer="requester", **req)
    assert answer["RequestCharged"] == "requester"
    assert await world.get("copy", "mine", caller=STRANGER) == b"x"
    assert await used(world, OTHER, "Requests-Tier1") == 2


@told
async def test_such_a_bucket_takes_no_access_logs(world: World) -> None:
    await open_bucket(world)
    await world.bucket("logged")
    status = {"LoggingEnabled": {"TargetBucket": "bucket", "TargetPrefix": ""}}
    error = await refused(
        world.s3("put_bucket_logging", Bucket="logged", BucketLoggingStatus=status)
    )
    assert error.code == "InvalidTargetBucketForLogging"


def test_every_operation_that_has_the_header_in_the_model_heeds_it() -> None:
    operations = model.load("s3").operations
    heeding = {
        name
        for name, one in operations.items()
        if one.input is not None and "RequestPayer" in one.input.members
    }
    assert heeding == payers._PAYABLE
    telling = {
        one.method
        for one in operations.values()
        if one.output is not None and "RequestCharged" in one.output.members
    }
    assert telling & SERVICE.operations.keys() == payers.telling()
