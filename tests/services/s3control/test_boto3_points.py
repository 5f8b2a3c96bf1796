"""Access points through a real client, by ARN, alias and the hosts that AWS gives them."""

from __future__ import annotations

import json
import time
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest

from doppio.testing import Cloud

from .test_boto3 import at_localhost


@pytest.fixture(scope="module")
def cloud() -> Iterator[Cloud]:
    with Cloud() as running:
        yield running


def test_requests_come_through_access_points(cloud: Cloud, here: None) -> None:
    from botocore.exceptions import ClientError

    account = cloud.account()
    s3, control = at_localhost(account, "s3"), at_localhost(account, "s3control")
    me = account.account_id
    s3.create_bucket(Bucket="shop")
    # A bucket that is called like an access point is what a host names first.
    s3.create_bucket(Bucket=f"other-{me}")
    made = control.create_access_point(AccountId=me, Name="counter", Bucket="shop")
    control.create_access_point(AccountId=me, Name="other", Bucket="shop")
    found = control.get_access_point(AccountId=me, Name="counter")
    assert (found["Bucket"], found["Alias"]) == ("shop", made["Alias"])
    listed = control.list_access_points(AccountId=me, Bucket="shop")["AccessPointList"]
    assert [one["Name"] for one in listed] == ["counter", "other"]
    arn = made["AccessPointArn"]
    s3.put_object(Bucket=arn, Key="a b/ü", Body=b"coffee")
    for name in (arn, made["Alias"], "shop"):
        assert s3.get_object(Bucket=name, Key="a b/ü")["Body"].read() == b"coffee"
        assert s3.list_objects_v2(Bucket=name)["KeyCount"] == 1
    with pytest.raises(ClientError) as refused:
        s3.get_object(Bucket=arn.replace("counter", "other"), Key="a b/ü")
    assert refused.value.response["Error"]["Code"] == "NoSuchKey"
    s3.copy_object(Bucket=arn, Key="copy", CopySource={"Bucket": arn, "Key": "a b/ü"})
    assert s3.get_object(Bucket="shop", Key="copy")["Body"].read() == b"coffee"
    rule = {"Effect": "Deny", "Principal": "*", "Action": "s3:GetObject"}
    policy = json.dumps(
        {"Version": "2012-10-17", "Statement": {**rule, "Resource": f"{arn}/object/*"}}
    )
    control.put_access_point_policy(AccountId=me, Name="counter", Policy=policy)
    assert control.get_access_point_policy(AccountId=me, Name="counter")["Policy"] == policy
    status = control.get_access_point_policy_status(AccountId=me, Name="counter")
    assert status["PolicyStatus"] == {"IsPublic": False}
    with pytest.raises(ClientError) as refused:
        s3.get_object(Bucket=made["Alias"], Key="copy")
    error = refused.value.response["Error"]
    assert error["Code"] == "AccessDenied"
    assert "with an explicit deny in a resource-based policy" in error["Message"]
    control.delete_access_point_policy(AccountId=me, Name="counter")
    control.tag_resource(AccountId=me, ResourceArn=arn, Tags=[{"Key": "a/b", "Value": "ü"}])
    tags = control.list_tags_for_resource(AccountId=me, ResourceArn=arn)["Tags"]
    assert tags == [{"Key": "a/b", "Value": "ü"}]
    control.untag_resource(AccountId=me, ResourceArn=arn, TagKeys=["a/b"])
    bucket = "arn:aws:s3:::shop"
    control.tag_resource(AccountId=me, ResourceArn=bucket, Tags=[{"Key": "a", "Value": "b"}])
    assert s3.get_bucket_tagging(Bucket="shop")["TagSet"] == [{"Key": "a", "Value": "b"}]
    control.delete_access_point(AccountId=me, Name="counter")
    with pytest.raises(ClientError) as refused:
        control.get_access_point(AccountId=me, Name="counter")
    assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] == 404


def test_aws_own_hosts_of_access_points_are_known(cloud: Cloud, here: None) -> None:
    """As a client sends it that knows of no endpoint but AWS's."""
    account = cloud.account()
    s3, control = at_localhost(account, "s3"), at_localhost(account, "s3control")
    s3.create_bucket(Bucket="hosts")
    made = control.create_access_point(
        AccountId=account.account_id, Name="door", Bucket="hosts", Tags=[{"Key": "k", "Value": "v"}]
    )
    s3.put_bucket_cors(
        Bucket="hosts",
        CORSConfiguration={"CORSRules": [{"AllowedMethods": ["GET"], "AllowedOrigins": ["*"]}]},
    )
    host = f"door-{account.account_id}.s3-accesspoint.us-east-1.amazonaws.com"
    sent: list[str] = []

    def redirect(request: Any, **more: Any) -> None:
        assert request.url.startswith(f"https://{host}/")
        sent.append(request.url)
        request.url = request.url.replace(f"https://{host}", cloud.endpoint_url)
        request.headers["Host"] = host

    aws = account.client("s3", endpoint_url=None)
    aws.meta.events.register("before-send.s3", redirect)
    aws.put_object(Bucket=made["AccessPointArn"], Key="x/y", Body=b"1")
    assert aws.get_object(Bucket=made["AccessPointArn"], Key="x/y")["Body"].read() == b"1"
    assert len(sent) == 2
    preflight = urllib.request.Request(
        f"{cloud.endpoint_url}/x/y",
        method="OPTIONS",
        headers={
            "Host": host,
            "Origin": "http://page.example",
            "Access-Control-Request-Method": "GET",
        },
    )
    with urllib.request.urlopen(preflight) as answer:
        assert answer.headers["access-control-allow-origin"] == "*"


def test_a_multi_region_access_point_answers_by_its_own_host_and_signature(
    cloud: Cloud, here: None
) -> None:
    """As AWS's SDKs send it, signed with SigV4A."""
    pytest.importorskip("awscrt")
    account = cloud.account()
    me = account.account_id
    control = at_localhost(account, "s3control")
    for region in ("us-east-1", "eu-west-1"):
        more: Any = {"CreateBucketConfiguration": {"LocationConstraint": region}}
        regional = account.client("s3", region_name=region)
        regional.create_bucket(Bucket=f"chain-{region}", **({} if region[:2] == "us" else more))
        regional.put_object(Bucket=f"chain-{region}", Key="k/ü", Body=region.encode())
    asked = control.create_multi_region_access_point(
        AccountId=me,
        ClientToken="one",
        Details={
            "Name": "chain",
            "Regions": [{"Bucket": "chain-us-east-1"}, {"Bucket": "chain-eu-west-1"}],
        },
    )["RequestTokenARN"]
    until = time.monotonic() + 10
    while True:
        found = control.describe_multi_region_access_point_operation(
            AccountId=me, RequestTokenARN=asked
        )["AsyncOperation"]
        if found["RequestStatus"] == "SUCCEEDED":
            break
        assert time.monotonic() < until, found
        time.sleep(0.02)
    point = control.get_multi_region_access_point(AccountId=me, Name="chain")["AccessPoint"]
    assert point["Status"] == "READY"
    arn = f"arn:aws:s3::{me}:accesspoint/{point['Alias']}"
    host = f"{point['Alias']}.accesspoint.s3-global.amazonaws.com"

    def redirect(request: Any, **more: Any) -> None:
        assert request.url.startswith(f"https://{host}/")
        request.url = request.url.replace(f"https://{host}", cloud.endpoint_url)
        request.headers["Host"] = host

    wide = account.client("s3")
    wide.meta.events.register("before-send.s3", redirect)
    assert wide.get_object(Bucket=arn, Key="k/ü")["Body"].read() == b"us-east-1"
    control.submit_multi_region_access_point_routes(
        AccountId=me,
        Mrap=arn.replace("/", ":"),
        RouteUpdates=[{"Region": "us-east-1", "TrafficDialPercentage": 0}],
    )
    routes = control.get_multi_region_access_point_routes(AccountId=me, Mrap=arn.replace("/", ":"))
    assert [one["TrafficDialPercentage"] for one in routes["Routes"]] == [0, 100]
    assert wide.get_object(Bucket=arn, Key="k/ü")["Body"].read() == b"eu-west-1"
    wide.put_object(Bucket=arn, Key="new", Body=b"x")
    assert account.client("s3", region_name="eu-west-1").head_object(
        Bucket="chain-eu-west-1", Key="new"
    )
    listed = control.list_multi_region_access_points(AccountId=me)["AccessPoints"]
    assert [one["Name"] for one in listed] == ["chain"]
