"""Directory buckets through a real client, which makes its own sessions with them."""

from __future__ import annotations

import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest

from doppio.testing import Cloud

REGION = "us-west-2"
ZONE = "usw2-az1"
FIVE = 5 * 1024 * 1024


@pytest.fixture(scope="module")
def cloud() -> Iterator[Cloud]:
    with Cloud() as running:
        yield running


@pytest.fixture
def s3(cloud: Cloud) -> Any:
    return client(cloud)


def client(cloud: Cloud, endpoint: str = "http://127.0.0.1", **more: Any) -> Any:
    """A client of one endpoint for everything, as it is set up for an emulator."""
    import boto3
    from botocore.config import Config

    keys = {"aws_access_key_id": "test", "aws_secret_access_key": "test", "region_name": REGION}
    for name in ("aws_access_key_id", "aws_secret_access_key", "aws_session_token"):
        if name in more:
            keys[name] = more.pop(name)
    config = Config(retries={"total_max_attempts": 1}, **more.pop("config", {}))
    url = f"{endpoint}:{port_of(cloud)}"
    return boto3.client(more.pop("service", "s3"), endpoint_url=url, config=config, **keys)


def port_of(cloud: Cloud) -> str:
    return cloud.endpoint_url.rpartition(":")[2]


def make(s3: Any, base: str) -> str:
    name = f"{base}--{ZONE}--x-s3"
    s3.create_bucket(
        Bucket=name,
        CreateBucketConfiguration={
            "Location": {"Type": "AvailabilityZone", "Name": ZONE},
            "Bucket": {"Type": "Directory", "DataRedundancy": "SingleAvailabilityZone"},
        },
    )
    return name


def code(call: Any, **req: Any) -> tuple[str, int]:
    from botocore.exceptions import ClientError

    with pytest.raises(ClientError) as refused:
        call(**req)
    answer = refused.value.response
    return answer["Error"]["Code"], answer["ResponseMetadata"]["HTTPStatusCode"]


def test_a_bucket_is_made_listed_used_and_deleted(s3: Any) -> None:
    bucket = make(s3, "shop")
    assert code(make, s3=s3, base="shop") == ("BucketAlreadyOwnedByYou", 409)
    s3.create_bucket(Bucket="general", CreateBucketConfiguration={"LocationConstraint": REGION})
    (listed,) = s3.list_directory_buckets()["Buckets"]
    assert listed["Name"] == bucket
    assert [one["Name"] for one in s3.list_buckets()["Buckets"]] == ["general"]
    head = s3.head_bucket(Bucket=bucket)
    assert (head["BucketLocationType"], head["BucketLocationName"]) == ("AvailabilityZone", ZONE)
    assert head["BucketArn"] == f"arn:aws:s3express:{REGION}:000000000000:bucket/{bucket}"
    put = s3.put_object(Bucket=bucket, Key="menu/latte", Body=b"milk", Metadata={"size": "l"})
    assert put["ETag"] != '"ce5cb66d0c2a6bb8b6f9bd3a45eac3ac"'
    got = s3.get_object(Bucket=bucket, Key="menu/latte")
    assert (got["Body"].read(), got["Metadata"]) == (b"milk", {"size": "l"})
    assert (got["StorageClass"], got["ETag"]) == ("EXPRESS_ONEZONE", put["ETag"])
    assert code(s3.delete_bucket, Bucket=bucket) == ("BucketNotEmpty", 409)
    s3.delete_object(Bucket=bucket, Key="menu/latte")
    assert code(s3.get_object, Bucket=bucket, Key="menu/latte") == ("NoSuchKey", 404)
    s3.delete_bucket(Bucket=bucket)
    assert s3.list_directory_buckets()["Buckets"] == []
    s3.delete_bucket(Bucket="general")


def test_large_files_copies_and_many_deletions(s3: Any) -> None:
    import io

    bucket = make(s3, "large")
    s3.create_bucket(Bucket="source", CreateBucketConfiguration={"LocationConstraint": REGION})
    body = bytes(range(256)) * 70_000
    s3.upload_fileobj(io.BytesIO(body), bucket, "big")
    got = io.BytesIO()
    s3.download_fileobj(bucket, "big", got)
    assert got.getvalue() == body
    s3.put_object(Bucket="source", Key="k", Body=b"beans", Tagging="a=b")
    s3.copy_object(
        Bucket=bucket,
        Key="copy",
        CopySource="source/k",
        TaggingDirective="REPLACE",
        AnnotationDirective="EXCLUDE",
    )
    s3.copy_object(Bucket="source", Key="back", CopySource=f"{bucket}/copy")
    back = s3.get_object(Bucket="source", Key="back")
    assert back["Body"].read() == b"beans"
    assert "StorageClass" not in back, "a copy into a general bucket is STANDARD again"
    keys = [{"Key": key} for key in ("big", "copy")]
    deleted = s3.delete_objects(Bucket=bucket, Delete={"Objects": keys})["Deleted"]
    assert {one["Key"] for one in deleted} == {"big", "copy"}
    assert s3.list_objects_v2(Bucket=bucket)["KeyCount"] == 0


def test_appends_and_renames(s3: Any) -> None:
    bucket = make(s3, "log")
    s3.put_object(Bucket=bucket, Key="today", Body=b"one ", WriteOffsetBytes=0)
    put = s3.put_object(Bucket=bucket, Key="today", Body=b"two", WriteOffsetBytes=4)
    assert put["Size"] == 7
    assert code(s3.put_object, Bucket=bucket, Key="today", Body=b"x", WriteOffsetBytes=4) == (
        "InvalidWriteOffset",
        400,
    )
    s3.rename_object(Bucket=bucket, Key="old/today", RenameSource="today")
    got = s3.get_object(Bucket=bucket, Key="old/today", ChecksumMode="ENABLED")
    assert (got["Body"].read(), got["ETag"]) == (b"one two", put["ETag"])
    assert code(s3.head_object, Bucket=bucket, Key="today") == ("404", 404)
    s3.put_object(Bucket=bucket, Key="new", Body=b"x")
    assert code(
        s3.rename_object,
        Bucket=bucket,
        Key="old/today",
        RenameSource=f"/{bucket}/new",
        DestinationIfNoneMatch="*",
    ) == ("PreconditionFailed", 412)


def test_presigned_addresses_bear_the_session(s3: Any) -> None:
    bucket = make(s3, "links")
    s3.put_object(Bucket=bucket, Key="k", Body=b"milk")
    url = s3.generate_presigned_url("get_object", Params={"Bucket": bucket, "Key": "k"})
    assert "X-Amz-S3session-Token=" in url
    assert urllib.request.urlopen(url).read() == b"milk"
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(url.replace("/k?", "/other?"))
    assert refused.value.code == 403


@pytest.mark.usefixtures("here")
def test_hosts_of_aws_and_names_below_localhost(cloud: Cloud, s3: Any) -> None:
    """As `bucket--zone--x-s3.s3express-zone.region.amazonaws.com`, and below a custom endpoint."""
    bucket = make(s3, "hosts")
    zonal = f"http://s3express-{ZONE}.{REGION}.amazonaws.com"
    for endpoint in ("http://localhost", zonal):
        there = client(cloud, endpoint)
        there.put_object(Bucket=bucket, Key="k", Body=endpoint.encode())
        assert there.get_object(Bucket=bucket, Key="k")["Body"].read() == endpoint.encode()
    control = client(cloud, f"http://s3express-control.{REGION}.amazonaws.com")
    assert bucket in [one["Name"] for one in control.list_directory_buckets()["Buckets"]]
    missing = {"Bucket": f"none--{ZONE}--x-s3"}
    assert code(client(cloud, zonal).create_session, **missing) == ("NoSuchBucket", 404)


def test_without_sessions_each_request_is_judged_by_itself(cloud: Cloud, s3: Any) -> None:
    bucket = make(s3, "plain")
    plain = client(cloud, config={"s3": {"disable_s3_express_session_auth": True}})
    plain.put_object(Bucket=bucket, Key="k", Body=b"milk")
    assert plain.get_object(Bucket=bucket, Key="k")["Body"].read() == b"milk"


def test_a_session_is_of_no_use_for_anything_else(cloud: Cloud, s3: Any) -> None:
    bucket = make(s3, "bound")
    s3.create_bucket(Bucket="secret", CreateBucketConfiguration={"LocationConstraint": REGION})
    given = s3.create_session(Bucket=bucket)["Credentials"]
    keys = {
        "aws_access_key_id": given["AccessKeyId"],
        "aws_secret_access_key": given["SecretAccessKey"],
        "aws_session_token": given["SessionToken"],
    }
    for service, method, req in (
        ("s3", "list_buckets", {}),
        ("s3", "list_objects_v2", {"Bucket": "secret"}),
        ("sqs", "list_queues", {}),
        ("sts", "get_caller_identity", {}),
    ):
        other = client(cloud, service=service, **keys)
        assert code(getattr(other, method), **req)[0] == "InvalidToken", service
