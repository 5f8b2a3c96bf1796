"""Access logs over real HTTP: each request's line arrives in the target, if that lets S3 in."""

from __future__ import annotations

import json
import shlex
import time
import urllib.request
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from doppio.kernel.identity import canonical_user
from doppio.kernel.witness import Exchange
from doppio.services.s3.access_log_lines import line
from doppio.services.s3.records import Bucket
from doppio.testing import Cloud
from doppio.wire.http import Request, Response, Whole

ACCOUNT = "000000000000"


@pytest.fixture(scope="module")
def cloud() -> Iterator[Cloud]:
    with Cloud() as running:
        yield running


@pytest.fixture
def s3(cloud: Cloud) -> Any:
    from botocore.config import Config

    config = Config(s3={"addressing_style": "path"}, retries={"total_max_attempts": 1})
    return cloud.client("s3", config=config)


def allow(s3: Any, target: str, source: str) -> None:
    statement = {
        "Effect": "Allow",
        "Principal": {"Service": "logging.s3.amazonaws.com"},
        "Action": "s3:PutObject",
        "Resource": f"arn:aws:s3:::{target}/*",
        "Condition": {
            "ArnLike": {"aws:SourceArn": f"arn:aws:s3:::{source}"},
            "StringEquals": {"aws:SourceAccount": ACCOUNT},
        },
    }
    text = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    s3.put_bucket_policy(Bucket=target, Policy=text)


def begin(s3: Any, name: str, **more: Any) -> tuple[str, str]:
    source, target = f"{name}-source", f"{name}-logs"
    s3.create_bucket(Bucket=source)
    s3.create_bucket(Bucket=target)
    told = {"TargetBucket": target, "TargetPrefix": "log/", **more}
    s3.put_bucket_logging(Bucket=source, BucketLoggingStatus={"LoggingEnabled": told})
    return source, target


def lines(cloud: Cloud, s3: Any, target: str) -> list[list[str]]:
    """The fields of all lines, once there are any."""
    cloud.advance("61s")
    until = time.monotonic() + 10
    while not (found := s3.list_objects_v2(Bucket=target).get("Contents", [])):
        assert time.monotonic() < until, "no log came"
        time.sleep(0.02)
    texts = [s3.get_object(Bucket=target, Key=one["Key"])["Body"].read().decode() for one in found]
    told = "".join(texts).replace("[", '"').replace("]", '"').splitlines()
    return [shlex.split(one) for one in told]


def test_each_request_has_its_line_also_one_that_is_refused(cloud: Cloud, s3: Any) -> None:
    source, target = begin(s3, "plain")
    allow(s3, target, source)
    s3.put_object(Bucket=source, Key="a b/ü", Body=b"12345")
    answer = s3.get_object(Bucket=source, Key="a b/ü", Range="bytes=0-1")
    answer["Body"].read()
    with pytest.raises(s3.exceptions.NoSuchKey):
        s3.get_object(Bucket=source, Key="none")
    s3.list_objects_v2(Bucket=source)
    url = f"{s3.meta.endpoint_url}/{source}/a"
    with pytest.raises(urllib.error.HTTPError):
        urllib.request.urlopen(urllib.request.Request(url, headers={"Referer": 'x"y'}))
    found = lines(cloud, s3, target)
    assert [len(one) for one in found] == [27] * 6
    owner = canonical_user(ACCOUNT)
    begun, put, get, missing, listing, denied = found
    assert begun[6] == "REST.PUT.LOGGING_STATUS"
    assert put[:2] == [owner, source]
    assert put[3:5] == ["127.0.0.1", owner]
    assert put[6:13] == [
        "REST.PUT.OBJECT", "a%2520b/%25C3%25BC", f"PUT /{source}/a%20b/%C3%BC HTTP/1.1", "200",
        "-", "-", "5",
    ]  # fmt: skip
    assert put[19] == "SigV4"
    assert put[21] == "AuthHeader"
    assert get[5] == answer["ResponseMetadata"]["RequestId"]
    assert get[18] == answer["ResponseMetadata"]["HostId"]
    assert get[9:13] == ["206", "-", "2", "5"]
    assert missing[6:8] == ["REST.GET.OBJECT", "none"]
    assert missing[9:11] == ["404", "NoSuchKey"]
    assert int(missing[11]) > 0
    assert listing[6:8] == ["REST.GET.BUCKET", "-"]
    assert denied[4] == "-"
    assert denied[9:11] == ["403", "AccessDenied"]
    assert denied[15] == "x%22y"
    assert denied[19] == "-"


def test_without_a_policy_nothing_is_delivered_and_nothing_fails(cloud: Cloud, s3: Any) -> None:
    source, target = begin(s3, "closed")
    s3.put_object(Bucket=source, Key="k", Body=b"")
    cloud.advance("61s")
    time.sleep(0.1)
    assert "Contents" not in s3.list_objects_v2(Bucket=target)
    # Let in, what comes from then on is delivered.
    allow(s3, target, source)
    s3.head_object(Bucket=source, Key="k")
    assert [one[6] for one in lines(cloud, s3, target)] == ["REST.HEAD.OBJECT"]


def test_keys_are_plain_or_partitioned(cloud: Cloud, s3: Any) -> None:
    source, target = begin(s3, "keys")
    allow(s3, target, source)
    s3.head_bucket(Bucket=source)
    lines(cloud, s3, target)
    [one] = s3.list_objects_v2(Bucket=target)["Contents"]
    assert len(one["Key"].removeprefix("log/").split("-")) == 7
    keys = {"PartitionedPrefix": {"PartitionDateSource": "EventTime"}}
    source, target = begin(s3, "parts", TargetObjectKeyFormat=keys)
    allow(s3, target, source)
    s3.head_bucket(Bucket=source)
    lines(cloud, s3, target)
    [one] = s3.list_objects_v2(Bucket=target)["Contents"]
    assert one["Key"].startswith(f"log/{ACCOUNT}/us-east-1/{source}/20")
    assert "-00-00-00-" in one["Key"]


def test_a_log_that_is_ended_gets_no_more_lines(cloud: Cloud, s3: Any) -> None:
    source, target = begin(s3, "ended")
    allow(s3, target, source)
    assert s3.get_bucket_logging(Bucket=source)["LoggingEnabled"] == {
        "TargetBucket": target, "TargetPrefix": "log/",
    }  # fmt: skip
    s3.put_bucket_logging(Bucket=source, BucketLoggingStatus={})
    assert "LoggingEnabled" not in s3.get_bucket_logging(Bucket=source)
    s3.put_object(Bucket=source, Key="k", Body=b"")
    cloud.advance("61s")
    time.sleep(0.1)
    assert "Contents" not in s3.list_objects_v2(Bucket=target)


def test_a_target_must_be_there_and_be_near(cloud: Cloud, s3: Any) -> None:
    s3.create_bucket(Bucket="lonely")
    far = cloud.client("s3", region_name="eu-west-1")
    constraint = {"LocationConstraint": "eu-west-1"}
    far.create_bucket(Bucket="far-away", CreateBucketConfiguration=constraint)

    def says(target: str) -> str:
        told = {"TargetBucket": target, "TargetPrefix": ""}
        with pytest.raises(s3.exceptions.ClientError) as refused:
            s3.put_bucket_logging(Bucket="lonely", BucketLoggingStatus={"LoggingEnabled": told})
        code: str = refused.value.response["Error"]["Code"]
        return code

    assert says("no-such-bucket-here") == "InvalidTargetBucketForLogging"
    assert says("far-away") == "CrossLocationLoggingProhibited"


def test_a_bucket_is_reached_by_its_accelerated_host_when_it_is_enabled(
    cloud: Cloud, s3: Any
) -> None:
    s3.create_bucket(Bucket="fast")
    s3.put_object(Bucket="fast", Key="k", Body=b"swift")
    assert "Status" not in s3.get_bucket_accelerate_configuration(Bucket="fast")

    def fetch() -> tuple[int, bytes]:
        host = "fast.s3-accelerate.amazonaws.com"
        request = urllib.request.Request(f"{s3.meta.endpoint_url}/k", headers={"Host": host})
        try:
            with urllib.request.urlopen(request) as answer:
                return answer.status, answer.read()
        except urllib.error.HTTPError as error:
            return error.code, error.read()

    policy = {"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject",
              "Resource": "arn:aws:s3:::fast/*"}  # fmt: skip
    s3.delete_public_access_block(Bucket="fast")
    s3.put_bucket_policy(Bucket="fast", Policy=json.dumps({"Statement": [policy]}))
    status, body = fetch()
    assert status == 400
    assert b"S3 Transfer Acceleration is not configured on this bucket" in body
    enabled = {"Status": "Enabled"}
    s3.put_bucket_accelerate_configuration(Bucket="fast", AccelerateConfiguration=enabled)
    assert s3.get_bucket_accelerate_configuration(Bucket="fast")["Status"] == "Enabled"
    assert fetch() == (200, b"swift")
    suspended = {"Status": "Suspended"}
    s3.put_bucket_accelerate_configuration(Bucket="fast", AccelerateConfiguration=suspended)
    status, body = fetch()
    assert b"S3 Transfer Acceleration is disabled on this bucket" in body


def test_a_bucket_with_dots_cannot_be_accelerated(s3: Any) -> None:
    s3.create_bucket(Bucket="with.dots")
    with pytest.raises(s3.exceptions.ClientError) as refused:
        s3.put_bucket_accelerate_configuration(
            Bucket="with.dots", AccelerateConfiguration={"Status": "Enabled"}
        )
    assert refused.value.response["Error"]["Code"] == "InvalidRequest"


def test_a_request_through_an_access_point_is_the_buckets_and_says_so(
    cloud: Cloud, s3: Any, here: None
) -> None:
    source, target = begin(s3, "points")
    allow(s3, target, source)
    control = cloud.client("s3control")
    made = control.create_access_point(AccountId=ACCOUNT, Name="counter", Bucket=source)
    s3.put_object(Bucket=made["Alias"], Key="k", Body=b"12345")
    *_, put = lines(cloud, s3, target)
    assert (put[1], put[6], put[24]) == (source, "REST.PUT.OBJECT", made["AccessPointArn"])


def test_each_key_of_a_batch_has_its_line_too(cloud: Cloud, s3: Any) -> None:
    source, target = begin(s3, "batch")
    allow(s3, target, source)
    s3.put_object(Bucket=source, Key="a b", Body=b"12345")
    keys: list[dict[str, str]] = [{"Key": "a b"}, {"Key": "none", "VersionId": "null"}]
    s3.delete_objects(Bucket=source, Delete={"Objects": keys, "Quiet": True})
    found = [line for line in lines(cloud, s3, target) if "DELETE" in line[6]]
    assert [line[6] for line in found] == [
        "REST.POST.MULTI_OBJECT_DELETE", "BATCH.DELETE.OBJECT", "BATCH.DELETE.OBJECT",
    ]  # fmt: skip
    _, first, second = found
    assert first[7:13] == ["a%2520b", "-", "204", "-", "-", "-"]
    assert (first[17], second[7], second[17]) == ("-", "none", "null")
    assert first[5] == found[0][5], "they are of one request"


def test_what_stays_of_a_batch_says_why(cloud: Cloud, s3: Any) -> None:
    source, target = begin(s3, "stays")
    allow(s3, target, source)
    s3.put_object(Bucket=source, Key="kept", Body=b"12345")
    deny = {"Effect": "Deny", "Principal": "*", "Action": "s3:DeleteObject",
            "Resource": f"arn:aws:s3:::{source}/kept"}  # fmt: skip
    text = json.dumps({"Version": "2012-10-17", "Statement": [deny]})
    s3.put_bucket_policy(Bucket=source, Policy=text)
    s3.delete_objects(Bucket=source, Delete={"Objects": [{"Key": "kept"}, {"Key": "gone"}]})
    found = [line for line in lines(cloud, s3, target) if line[6] == "BATCH.DELETE.OBJECT"]
    assert [(line[7], line[9], line[10]) for line in found] == [
        ("kept", "403", "AccessDenied"), ("gone", "204", "-"),
    ]  # fmt: skip


def test_the_source_of_a_copy_is_told_that_it_was_read(cloud: Cloud, s3: Any) -> None:
    source, target = begin(s3, "copied")
    allow(s3, target, source)
    s3.create_bucket(Bucket="copied-to")
    s3.put_object(Bucket=source, Key="menu", Body=b"12345")
    s3.copy_object(Bucket="copied-to", Key="new", CopySource={"Bucket": source, "Key": "menu"})
    upload = s3.create_multipart_upload(Bucket="copied-to", Key="parts")["UploadId"]
    part = {"Bucket": "copied-to", "Key": "parts", "UploadId": upload, "PartNumber": 1}
    s3.upload_part_copy(**part, CopySource={"Bucket": source, "Key": "menu"})
    with pytest.raises(s3.exceptions.ClientError):
        s3.copy_object(Bucket="copied-to", Key="x", CopySource={"Bucket": source, "Key": "none"})
    found = [line for line in lines(cloud, s3, target) if "COPY" in line[6]]
    assert [(line[1], line[6], line[7], line[9]) for line in found] == [
        (source, "REST.COPY.OBJECT_GET", "menu", "200"),
        (source, "REST.COPY.PART_GET", "menu", "200"),
    ]


def test_a_line_says_by_which_tls_a_request_came() -> None:
    at = datetime(2030, 1, 1, tzinfo=UTC)
    bucket = Bucket(
        id="b", name="b", partition="aws", account=ACCOUNT, region="us-east-1", created_at=at
    )
    request = Request("GET", "/b/k", "", {"host": "b.s3.localhost"}, Whole(b""))
    shown = []
    for request.cipher, request.secure in (("", ""), ("ECDHE-ECDSA-AES256-GCM-SHA384", "TLSv1.2")):
        exchange = Exchange(
            request, Response(200), {"Bucket": "b", "Key": "k"}, "GetObject", "", "", 0.1
        )
        fields = shlex.split(line(bucket, exchange, "ID", at).replace("[", '"').replace("]", '"'))
        shown.append((fields[20], fields[22], fields[23]))
    assert shown == [
        ("-", "b.s3.localhost", "-"),
        ("ECDHE-ECDSA-AES256-GCM-SHA384", "b.s3.localhost", "TLSv1.2"),
    ]
