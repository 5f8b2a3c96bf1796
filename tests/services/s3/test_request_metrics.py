"""Request metrics: what is asked of a bucket arrives in CloudWatch, for those who asked for it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from doppio.kernel.witness import Exchange
from doppio.services.s3 import request_metrics_rules as rules
from doppio.testing import Cloud
from doppio.wire.http import Request, Response, Whole

from .world import World, refused, told


async def put(world: World, name: str, **filters: Any) -> Any:
    """PutBucketMetricsConfiguration."""
    document = {"Id": name, **({"Filter": filters} if filters else {})}
    return await world.s3(
        "put_bucket_metrics_configuration", Bucket="bucket", Id=name, MetricsConfiguration=document
    )


@told
async def test_configurations_are_put_got_listed_and_deleted(world: World) -> None:
    await world.bucket()
    where = {"Bucket": "bucket", "Id": "all"}
    missing = await refused(world.s3("get_bucket_metrics_configuration", **where))
    assert (missing.code, missing.status) == ("NoSuchConfiguration", 404)
    await put(world, "all")
    both = {"Prefix": "log/", "Tags": [{"Key": "team", "Value": "bar"}]}
    await put(world, "some", And=both)
    got = await world.s3("get_bucket_metrics_configuration", Bucket="bucket", Id="some")
    assert got["MetricsConfiguration"] == {"Id": "some", "Filter": {"And": both}}
    listed = await world.s3("list_bucket_metrics_configurations", Bucket="bucket")
    assert [one["Id"] for one in listed["MetricsConfigurationList"]] == ["all", "some"]
    await world.s3("delete_bucket_metrics_configuration", **where)
    missing = await refused(world.s3("delete_bucket_metrics_configuration", **where))
    assert missing.code == "NoSuchConfiguration"


@pytest.mark.parametrize(
    ("given", "code"),
    [
        ({"Prefix": "a", "Tag": {"Key": "k", "Value": "v"}}, "MalformedXML"),
        ({"And": {"Prefix": "a"}}, "MalformedXML"),
        ({"And": {"Tags": [{"Key": "k", "Value": "v"}] * 2}}, "MalformedXML"),
    ],
)
def test_a_filter_that_means_nothing_is_refused(given: dict[str, Any], code: str) -> None:
    @told
    async def story(world: World) -> None:
        await world.bucket()
        assert (await refused(put(world, "x", **given))).code == code
        listed = await world.s3("list_bucket_metrics_configurations", Bucket="bucket")
        assert "MetricsConfigurationList" not in listed

    story()


def exchange(method: str, operation: str, key: str = "", status: int = 200) -> Exchange:
    labels = {"Bucket": "bucket", **({"Key": key} if key else {})}
    request = Request(method, "/", "", {"content-length": "7"}, Whole(b""))
    return Exchange(request, Response(status, [], b"12345"), labels, operation, "", "", 0.25)


@pytest.mark.parametrize(
    ("method", "operation", "key", "kind"),
    [
        ("GET", "GetObject", "k", "GetRequests"),
        ("GET", "GetObjectTagging", "k", "GetRequests"),
        ("GET", "ListObjectsV2", "", "ListRequests"),
        ("GET", "ListParts", "k", "ListRequests"),
        ("GET", "GetBucketPolicy", "", None),
        ("PUT", "PutObject", "k", "PutRequests"),
        ("PUT", "CopyObject", "k", "PutRequests"),
        ("PUT", "PutBucketPolicy", "", None),
        ("DELETE", "DeleteObject", "k", "DeleteRequests"),
        ("POST", "DeleteObjects", "", "DeleteRequests"),
        ("POST", "CreateMultipartUpload", "k", "PostRequests"),
        ("POST", "SelectObjectContent", "k", "SelectRequests"),
        ("HEAD", "HeadBucket", "", "HeadRequests"),
    ],
)
def test_each_request_is_of_one_kind(
    method: str, operation: str, key: str, kind: str | None
) -> None:
    found = {
        measure.name: amount for measure, amount in rules.measured(exchange(method, operation, key))
    }
    kinds = {name for name in found if name.endswith("Requests")} - {"AllRequests"}
    assert kinds == ({kind} if kind else set())
    assert (found["AllRequests"], found["FirstByteLatency"]) == (1, 250)
    assert found["BytesUploaded"] == 7
    assert found.get("BytesDownloaded") == (None if method == "HEAD" else 5)


def test_errors_are_noughts_and_ones_so_that_their_average_is_a_rate() -> None:
    for status, both in ((200, (0, 0)), (404, (1, 0)), (503, (0, 1))):
        measures = rules.measured(exchange("GET", "GetObject", "k", status))
        found = {measure.name: amount for measure, amount in measures}
        assert (found["4xxErrors"], found["5xxErrors"]) == both


@pytest.fixture(scope="module")
def cloud() -> Iterator[Cloud]:
    with Cloud() as running:
        yield running


def sums(cloudwatch: Any, bucket: str, name: str, statistic: str = "Sum") -> dict[str, float]:
    """A bucket's metric by filter, over the last day."""
    found = {}
    for metric in cloudwatch.list_metrics(
        Namespace="AWS/S3",
        MetricName=name,
        Dimensions=[{"Name": "BucketName", "Value": bucket}],
    )["Metrics"]:
        now = datetime.now(UTC)
        points = cloudwatch.get_metric_statistics(
            Namespace="AWS/S3",
            MetricName=name,
            Dimensions=metric["Dimensions"],
            StartTime=now - timedelta(hours=12),
            EndTime=now + timedelta(hours=12),
            Period=86400,
            Statistics=[statistic],
        )["Datapoints"]
        named = {one["Name"]: one["Value"] for one in metric["Dimensions"]}
        found[named["FilterId"]] = sum(one[statistic] for one in points)
    return found


def test_requests_arrive_in_cloudwatch_by_filter(cloud: Cloud) -> None:
    from botocore.config import Config

    config = Config(s3={"addressing_style": "path"}, retries={"total_max_attempts": 1})
    s3, cloudwatch = cloud.client("s3", config=config), cloud.client("cloudwatch")
    for bucket in ("counted", "uncounted"):
        s3.create_bucket(Bucket=bucket)
    for name, given in (
        ("all", None),
        ("logs", {"Prefix": "log/"}),
        ("bar", {"Tag": {"Key": "team", "Value": "bar"}}),
    ):
        document = {"Id": name, **({"Filter": given} if given else {})}
        s3.put_bucket_metrics_configuration(
            Bucket="counted", Id=name, MetricsConfiguration=document
        )
    for bucket in ("counted", "uncounted"):
        s3.put_object(Bucket=bucket, Key="log/1", Body=b"x" * 100)
        s3.put_object(Bucket=bucket, Key="menu", Body=b"y" * 11, Tagging="team=bar")
        assert s3.get_object(Bucket=bucket, Key="menu")["Body"].read() == b"y" * 11
        s3.list_objects_v2(Bucket=bucket)
        with pytest.raises(s3.exceptions.ClientError):
            s3.get_object(Bucket=bucket, Key="log/none")
        s3.delete_object(Bucket=bucket, Key="log/1")
    until = time.monotonic() + 20
    while not sums(cloudwatch, "counted", "DeleteRequests") and time.monotonic() < until:
        time.sleep(0.5)
    # The three puts of configurations are before they counted, but for those after the first.
    assert sums(cloudwatch, "counted", "PutRequests") == {"all": 2, "logs": 1, "bar": 1}
    assert sums(cloudwatch, "counted", "GetRequests") == {"all": 2, "logs": 1, "bar": 1}
    assert sums(cloudwatch, "counted", "ListRequests") == {"all": 1}
    assert sums(cloudwatch, "counted", "DeleteRequests") == {"all": 1, "logs": 1}
    assert sums(cloudwatch, "counted", "BytesUploaded")["bar"] == 11
    assert sums(cloudwatch, "counted", "BytesDownloaded")["bar"] == 11
    assert sums(cloudwatch, "counted", "4xxErrors") == {"all": 1, "logs": 1, "bar": 0}
    assert sums(cloudwatch, "counted", "4xxErrors", "Average")["logs"] == pytest.approx(1 / 3)
    assert sums(cloudwatch, "uncounted", "AllRequests") == {}


def test_a_filter_may_name_an_access_point(cloud: Cloud, here: None) -> None:
    account = cloud.account()
    s3, cloudwatch = account.client("s3"), account.client("cloudwatch")
    s3.create_bucket(Bucket="reached")
    control = account.client("s3control")
    made = control.create_access_point(
        AccountId=account.account_id, Name="counter", Bucket="reached"
    )
    for name, given in (
        ("through", {"AccessPointArn": made["AccessPointArn"]}),
        ("logs", {"And": {"AccessPointArn": made["AccessPointArn"], "Prefix": "log/"}}),
    ):
        document = {"Id": name, "Filter": given}
        s3.put_bucket_metrics_configuration(
            Bucket="reached", Id=name, MetricsConfiguration=document
        )
    for bucket in ("reached", made["Alias"]):
        s3.put_object(Bucket=bucket, Key="log/1", Body=b"x")
        s3.put_object(Bucket=bucket, Key="menu", Body=b"x")
    s3.delete_object(Bucket=made["Alias"], Key="menu")
    until = time.monotonic() + 20
    while not sums(cloudwatch, "reached", "DeleteRequests") and time.monotonic() < until:
        time.sleep(0.5)
    assert sums(cloudwatch, "reached", "PutRequests") == {"through": 2, "logs": 1}
    assert sums(cloudwatch, "reached", "DeleteRequests") == {"through": 1}
