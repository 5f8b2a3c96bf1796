"""Every way in which a request can say which service it means."""

from __future__ import annotations

import pytest

from doppio.gateway.route import Scope, Target, route, scope_of, services
from doppio.wire.errors import AwsError
from doppio.wire.http import Request, Whole

FORM = "application/x-www-form-urlencoded; charset=utf-8"


def request(method: str = "GET", target: str = "/", body: bytes = b"", **headers: str) -> Request:
    path, _, query = target.partition("?")
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Request(method, path, query, {"host": "localhost:4566", **named}, Whole(body))


def signed(service: str, region: str = "eu-west-1") -> str:
    return (
        f"AWS4-HMAC-SHA256 Credential=AKID/20300101/{region}/{service}/aws4_request, "
        "SignedHeaders=host, Signature=00"
    )


def found(asked: Request) -> tuple[str, str, str, str]:
    target = route(asked, asked.body.whole)
    return target.service, target.protocol, target.operation.name, target.region


def test_the_target_header_names_service_and_operation() -> None:
    asked = request(
        "POST", x_amz_target="DynamoDB_20120810.GetItem", authorization=signed("dynamodb")
    )
    assert found(asked) == ("dynamodb", "json", "GetItem", "eu-west-1")
    asked = request("POST", x_amz_target="AmazonSQS.SendMessage")
    assert found(asked) == ("sqs", "json", "SendMessage", "us-east-1")


def test_the_cbor_path_names_both() -> None:
    asked = request(
        "POST", "/service/GraniteServiceVersion20100801/operation/PutMetricData",
        smithy_protocol="rpc-v2-cbor", authorization=signed("monitoring"),
    )  # fmt: skip
    assert found(asked) == ("cloudwatch", "smithy-rpc-v2-cbor", "PutMetricData", "eu-west-1")


def test_the_action_of_a_form_goes_to_the_service_of_the_scope() -> None:
    body = b"Version=2010-05-08&Action=CreateUser&UserName=x"
    asked = request("POST", body=body, content_type=FORM, authorization=signed("iam", "us-east-1"))
    assert found(asked) == ("iam", "query", "CreateUser", "us-east-1")


def test_an_action_in_the_query_is_as_good() -> None:
    asked = request("GET", "/?Action=ListQueues&Version=2012-11-05", authorization=signed("sqs"))
    assert found(asked)[:3] == ("sqs", "query", "ListQueues")


def test_of_services_that_share_a_signing_name_the_version_chooses() -> None:
    for version, service in (("2015-12-01", "elbv2"), ("2012-06-01", "elb")):
        body = f"Action=DescribeLoadBalancers&Version={version}".encode()
        asked = request(
            "POST", body=body, content_type=FORM, authorization=signed("elasticloadbalancing")
        )
        assert found(asked)[:3] == (service, "query", "DescribeLoadBalancers")


def test_an_unsigned_form_is_known_by_version_and_action() -> None:
    body = b"Action=AssumeRoleWithWebIdentity&Version=2011-06-15"
    assert found(request("POST", body=body, content_type=FORM))[:3] == (
        "sts", "query", "AssumeRoleWithWebIdentity",
    )  # fmt: skip


def test_ec2_speaks_its_own_query() -> None:
    body = b"Action=DescribeVpcs&Version=2016-11-15"
    asked = request("POST", body=body, content_type=FORM, authorization=signed("ec2"))
    assert found(asked)[:3] == ("ec2", "ec2", "DescribeVpcs")


def test_rest_services_are_known_by_scope_and_path() -> None:
    asked = request("GET", "/2015-03-31/functions/brew", authorization=signed("lambda"))
    assert found(asked)[:3] == ("lambda", "rest-json", "GetFunction")
    assert route(asked, b"").uri == {"FunctionName": "brew"}


def test_a_host_of_aws_names_service_and_region() -> None:
    asked = request("GET", "/2015-03-31/functions/brew", host="lambda.eu-central-1.amazonaws.com")
    assert found(asked) == ("lambda", "rest-json", "GetFunction", "eu-central-1")


@pytest.mark.parametrize(
    ("host", "target", "bucket", "key"),
    [
        ("localhost:4566", "/b/k/e/y", "b", "k/e/y"),
        ("127.0.0.1:4566", "/b/k", "b", "k"),
        ("b.localhost:4566", "/k", "b", "k"),
        ("b.s3.localhost:4566", "/k", "b", "k"),
        ("b.with.dots.s3.localhost:4566", "/k", "b.with.dots", "k"),
        ("b.s3.localhost.localstack.cloud:4566", "/k", "b", "k"),
        ("b.s3.amazonaws.com", "/k", "b", "k"),
        ("b.s3.eu-west-1.amazonaws.com", "/k", "b", "k"),
        ("b.s3-eu-west-1.amazonaws.com", "/k", "b", "k"),
        ("b.s3.dualstack.eu-west-1.amazonaws.com", "/k", "b", "k"),
        ("s3.eu-west-1.amazonaws.com", "/b/k", "b", "k"),
        ("s3.localhost:4566", "/b/k", "b", "k"),
    ],
)
def test_a_bucket_stands_in_the_path_or_in_the_host(
    host: str, target: str, bucket: str, key: str
) -> None:
    found = route(request("GET", target, host=host), b"")
    assert (found.service, found.operation.name) == ("s3", "GetObject")
    assert found.uri == {"Bucket": bucket, "Key": key}


def test_a_bucket_in_the_host_can_be_listed() -> None:
    found = route(request("GET", "/?list-type=2", host="b.s3.localhost:4566"), b"")
    assert (found.operation.name, found.uri) == ("ListObjectsV2", {"Bucket": "b"})


@pytest.mark.parametrize(
    "asked",
    [
        request("POST", x_amz_target="Nobody.Knows"),
        request("POST", x_amz_target="AmazonSQS.Brew"),
        request("POST", x_amz_target=""),
        request("POST", body=b"Action=Brew", content_type=FORM, authorization=signed("iam")),
        request("POST", body=b"", content_type=FORM, authorization=signed("iam")),
        request("GET", "/no/such/path", authorization=signed("lambda")),
        request("POST", "/service/X/operation/Y", smithy_protocol="rpc-v2-cbor"),
    ],
)
def test_what_names_nothing_is_refused(asked: Request) -> None:
    with pytest.raises(AwsError) as caught:
        route(asked, asked.body.whole)
    assert 400 <= caught.value.status < 500


def test_the_scope_is_read_from_header_and_query() -> None:
    assert scope_of(request(authorization=signed("s3"))) == Scope("eu-west-1", "s3")
    target = "/b?X-Amz-Credential=AKID%2F20300101%2Feu-west-1%2Fs3%2Faws4_request&X=1"
    assert scope_of(request("GET", target)) == Scope("eu-west-1", "s3")
    assert scope_of(request(authorization="Bearer x")) == Scope("", "")


def test_every_service_that_botocore_knows_has_a_way_in() -> None:
    known = services()
    assert len(known) > 300
    assert all(named.signing and named.protocols for named in known.values())


def test_s3_control_is_told_from_objects_of_such_a_path() -> None:
    path = "/v20180820/configuration/publicAccessBlock"
    scope = signed("s3", "eu-west-1")
    asked = request("GET", path, authorization=scope, x_amz_account_id="000000000000")
    assert found(asked) == ("s3control", "rest-xml", "GetPublicAccessBlock", "eu-west-1")
    host = "000000000000.s3-control.eu-west-1.amazonaws.com"
    assert found(request("GET", path, host=host)) == (
        "s3control", "rest-xml", "GetPublicAccessBlock", "eu-west-1",
    )  # fmt: skip
    assert found(request("GET", path, authorization=scope))[:3] == ("s3", "rest-xml", "GetObject")


def test_hosts_name_access_points() -> None:
    def target(host: str) -> Target:
        return route(request("GET", "/a/b", host=host, authorization=signed("s3")), b"")

    def bucket(host: str) -> str:
        return target(host).uri["Bucket"]

    aws = "my-ap-000000000000.s3-accesspoint"
    arn = "arn:aws:s3:eu-west-1:000000000000:accesspoint:my-ap"
    assert bucket(f"{aws}.eu-west-1.amazonaws.com") == arn
    assert bucket(f"{aws}-fips.dualstack.eu-west-1.amazonaws.com") == arn
    china = bucket(f"{aws}.cn-north-1.amazonaws.com.cn")
    assert china == "arn:aws-cn:s3:cn-north-1:000000000000:accesspoint:my-ap"
    for host in (
        "my-ap-000000000000.localhost:4566",
        "my-ap-000000000000.localhost.localstack.cloud",
    ):
        # A bucket may be called so, too: S3 says what it is.
        assert bucket(host) == "my-ap-000000000000"
        assert target(host).special
    assert not target("photos.localhost:4566").special
    assert target("photos.s3-accelerate.amazonaws.com").special


def test_hosts_of_object_lambda_lead_to_its_access_points_and_where_answers_go() -> None:
    arn = "arn:aws:s3-object-lambda:eu-west-1:000000000000:accesspoint:roaster"
    for host in (
        "roaster-000000000000.s3-object-lambda.eu-west-1.amazonaws.com",
        "roaster-000000000000.localhost:4566",
    ):
        asked = request("GET", "/a/b", host=host, authorization=signed("s3-object-lambda"))
        target = route(asked, b"")
        assert (target.operation.name, target.region) == ("GetObject", "eu-west-1")
        assert dict(target.uri) == {"Bucket": arn, "Key": "a/b"}
    for host in (
        "io-cell001.s3-object-lambda.eu-west-1.amazonaws.com", "io-cell001.localhost:4566",
        "localhost:4566",
    ):  # fmt: skip
        asked = request(
            "POST", "/WriteGetObjectResponse", host=host, authorization=signed("s3-object-lambda")
        )
        assert found(asked) == ("s3", "rest-xml", "WriteGetObjectResponse", "eu-west-1")
    # Signed for S3, the same name may be a bucket's.
    asked = request(
        "GET", "/a/b", host="roaster-000000000000.localhost", authorization=signed("s3")
    )
    assert dict(route(asked, b"").uri) == {"Bucket": "roaster-000000000000", "Key": "a/b"}
