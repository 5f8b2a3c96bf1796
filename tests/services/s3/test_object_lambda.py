"""S3 Object Lambda: requests that functions answer, through a real client and real functions."""

from __future__ import annotations

import io
import itertools
import json
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest

from doppio.testing import Account, Cloud

from ..lambda_.base import TRUST, zipped
from .roasting import CODE


@pytest.fixture(scope="module")
def cloud() -> Iterator[Cloud]:
    with Cloud() as running:
        running.endpoint_url = running.endpoint_url.replace("127.0.0.1", "localhost")
        yield running


@pytest.fixture(autouse=True)
def furnished(cloud: Cloud, here: None) -> None:
    """What all tests find: made by the first, since clients ask for names that `here` resolves."""
    if not cloud.client("s3").list_buckets()["Buckets"]:
        _furnish(cloud)


def _furnish(cloud: Account) -> None:
    """A bucket with an object, its access point, and a function that may answer."""
    s3, control, iam = cloud.client("s3"), cloud.client("s3control"), cloud.client("iam")
    for bucket in ("shop", "seen"):
        s3.create_bucket(Bucket=bucket)
    s3.put_object(Bucket="shop", Key="menu/coffee", Body=b"black", ContentType="text/plain")
    control.create_access_point(AccountId=cloud.account_id, Name="counter", Bucket="shop")
    role = iam.create_role(RoleName="roaster", AssumeRolePolicyDocument=TRUST)["Role"]["Arn"]
    allowed = [
        {"Action": "s3-object-lambda:WriteGetObjectResponse", "Resource": "*"},
        {"Action": "s3:PutObject", "Resource": "arn:aws:s3:::seen/*"},
    ]
    _allow(iam.put_role_policy, allowed, RoleName="roaster")
    functions = cloud.client("lambda")
    functions.create_function(
        FunctionName="roast", Runtime="python3.11", Handler="app.handler", Role=role, Timeout=30,
        MemorySize=512, Code={"ZipFile": zipped(CODE)},
    )  # fmt: skip
    functions.get_waiter("function_active_v2").wait(FunctionName="roast", WaiterConfig={"Delay": 1})


def _allow(put: Any, statements: list[dict[str, Any]], **whose: Any) -> None:
    document = {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", **s} for s in statements],
    }
    put(PolicyName="may", PolicyDocument=json.dumps(document), **whose)


_numbers = itertools.count(1)
_ACTIONS = ("GetObject", "HeadObject", "ListObjects", "ListObjectsV2")


def point(cloud: Account, does: str, *actions: str, features: tuple[str, ...] = ()) -> str:
    """An Object Lambda access point on which the function does this: its ARN."""
    me = cloud.account_id
    name = f"{does.replace('_', '-')}-{next(_numbers)}"
    control = cloud.client("s3control")
    function = f"arn:aws:lambda:us-east-1:{me}:function:roast"
    content = {"AwsLambda": {"FunctionArn": function, "FunctionPayload": does}}
    transformation = {"Actions": list(actions or _ACTIONS), "ContentTransformation": content}
    configuration = {
        "SupportingAccessPoint": f"arn:aws:s3:us-east-1:{me}:accesspoint/counter",
        "TransformationConfigurations": [transformation],
        "AllowedFeatures": list(features),
    }
    made = control.create_access_point_for_object_lambda(
        AccountId=me, Name=name, Configuration=configuration
    )
    return str(made["ObjectLambdaAccessPointArn"])


def alias_of(cloud: Account, arn: str) -> str:
    control, name = cloud.client("s3control"), arn.rpartition("/")[2]
    found = control.get_access_point_for_object_lambda(AccountId=cloud.account_id, Name=name)
    return str(found["Alias"]["Value"])


def code_of(call: Any) -> tuple[str, int]:
    from botocore.exceptions import ClientError

    with pytest.raises(ClientError) as refused:
        call()
    response = refused.value.response
    return response["Error"]["Code"], response["ResponseMetadata"]["HTTPStatusCode"]


def test_a_get_is_answered_by_the_function(cloud: Cloud, here: None) -> None:
    s3, arn = cloud.client("s3"), point(cloud, "shout")
    for name in (arn, alias_of(cloud, arn)):
        got = s3.get_object(Bucket=name, Key="menu/coffee")
        assert got["Body"].read() == b"BLACK"
        assert (got["ContentType"], got["ETag"], got["CacheControl"]) == (
            "text/shout", '"loud"', "no-store",
        )  # fmt: skip
        assert (got["Metadata"], got["ContentLength"]) == ({"by": "roaster"}, 5)
    assert s3.get_object(Bucket="shop", Key="menu/coffee")["Body"].read() == b"black"


def test_the_function_is_told_who_asks_for_what(cloud: Cloud, here: None) -> None:
    s3, arn = cloud.client("s3"), point(cloud, "tell")
    name = arn.rpartition("/")[2]
    got = s3.get_object(Bucket=arn, Key="a b/ü", VersionId="null", IfNoneMatch='"x"')
    told = json.loads(got["Body"].read())
    me = cloud.account_id
    assert told["protocolVersion"] == "1.00"
    assert told["xAmzRequestId"] == got["ResponseMetadata"]["RequestId"]
    assert told["configuration"] == {
        "accessPointArn": arn,
        "supportingAccessPointArn": f"arn:aws:s3:us-east-1:{me}:accesspoint/counter",
        "payload": "tell",
    }
    url = f"https://{name}-{me}.s3-object-lambda.us-east-1.amazonaws.com/a b/ü?versionId=null"
    assert told["userRequest"]["url"] == url
    headers = told["userRequest"]["headers"]
    assert headers["If-None-Match"] == '"x"'
    assert headers["Host"].startswith(f"{name}-{me}.localhost")
    assert "Authorization" not in headers
    assert told["userIdentity"] == {
        "type": "Root", "principalId": me, "arn": f"arn:aws:iam::{me}:root", "accountId": me,
        "accessKeyId": cloud.access_key_id,
    }  # fmt: skip
    context = told["getObjectContext"]
    assert set(context) == {"inputS3Url", "outputRoute", "outputToken"}
    assert "-s3alias/a%20b/%C3%BC?" in context["inputS3Url"]
    assert "X-Amz-Expires=61&" in context["inputS3Url"]
    assert "versionId=null" in context["inputS3Url"]


def test_what_the_function_says_of_an_error_is_what_the_caller_hears(
    cloud: Cloud, here: None
) -> None:
    from botocore.exceptions import ClientError

    s3 = cloud.client("s3")
    arn = point(cloud, "refuse")
    with pytest.raises(ClientError) as refused:
        s3.get_object(Bucket=arn, Key="menu/coffee")
    answer = refused.value.response
    assert (answer["Error"]["Code"], answer["Error"]["Message"]) == ("NoBeans", "No beans today")
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 404
    unmodified = point(cloud, "unmodified")
    assert code_of(lambda: s3.get_object(Bucket=unmodified, Key="menu/coffee")) == ("304", 304)


def test_a_function_that_does_not_answer_is_told_of(cloud: Cloud, here: None) -> None:
    s3 = cloud.client("s3")
    silent, crash = point(cloud, "silent"), point(cloud, "crash")
    found = code_of(lambda: s3.get_object(Bucket=silent, Key="menu/coffee"))
    assert found == ("LambdaResponseNotReceived", 400)
    found = code_of(lambda: s3.get_object(Bucket=crash, Key="menu/coffee"))
    assert found == ("LambdaRuntimeError", 400)
    found = code_of(lambda: s3.list_objects_v2(Bucket=crash))
    assert found == ("LambdaRuntimeError", 400)


def test_ranges_are_for_functions_that_know_of_them(cloud: Cloud, here: None) -> None:
    s3 = cloud.client("s3")
    arn = point(cloud, "cut")
    for asked in ({"Range": "bytes=0-1"}, {"PartNumber": 1}):
        found = code_of(lambda asked=asked: s3.get_object(Bucket=arn, Key="menu/coffee", **asked))
        assert found[0] == "NotImplemented"
    able = point(cloud, "cut", features=("GetObject-Range",))
    got = s3.get_object(Bucket=able, Key="menu/coffee", Range="bytes=0-1")
    assert got["ResponseMetadata"]["HTTPStatusCode"] == 206
    assert (got["Body"].read(), got["ContentRange"]) == (b"bl", "bytes 0-1/5")
    assert code_of(lambda: s3.get_object(Bucket=able, Key="menu/coffee", PartNumber=1))[1] == 501


def test_a_large_answer_goes_through_as_it_comes(cloud: Cloud, here: None) -> None:
    s3, arn = cloud.client("s3"), point(cloud, "large")
    got = s3.get_object(Bucket=arn, Key="menu/coffee")
    assert got["ContentLength"] == 20_000_000
    assert got["Body"].read() == b"bean" * 5_000_000
    # Who goes away in the middle leaves nobody waiting.
    gone = s3.get_object(Bucket=arn, Key="menu/coffee")
    gone["Body"].read(10)
    gone["Body"].close()
    assert s3.get_object(Bucket=arn, Key="menu/coffee")["Body"].read() == b"bean" * 5_000_000


def seen(cloud: Account, request: str) -> Any:
    """What the function has noted down in the course of a request."""
    s3 = cloud.client("s3")
    for _ in range(100):
        found = s3.list_objects_v2(Bucket="seen", Prefix=request)
        if found["KeyCount"]:
            return json.loads(s3.get_object(Bucket="seen", Key=request)["Body"].read())
        time.sleep(0.05)
    raise AssertionError("the function has noted nothing")


def test_a_token_counts_once_and_an_answer_must_make_sense(cloud: Cloud, here: None) -> None:
    s3 = cloud.client("s3")
    got = s3.get_object(Bucket=point(cloud, "twice"), Key="menu/coffee")
    assert got["Body"].read() == b"once"
    text = "The request token is invalid, was used already or has expired."
    noted = seen(cloud, got["ResponseMetadata"]["RequestId"])
    assert noted == [["ValidationError", text]]
    got = s3.get_object(Bucket=point(cloud, "wrong"), Key="menu/coffee")
    assert json.loads(got["Body"].read()) == [
        ["ValidationError", "The status code 418 is not supported."],
        [
            "ValidationError",
            "ErrorCode and ErrorMessage cannot be used with a successful StatusCode.",
        ],
        ["ValidationError", "ErrorCode must satisfy the regular expression ^[A-Z][a-zA-Z]+$."],
        ["ValidationError", text],
    ]


def test_heads_and_listings_are_what_the_function_returns(cloud: Cloud, here: None) -> None:
    s3 = cloud.client("s3")
    arn = point(cloud, "head", "HeadObject")
    found = s3.head_object(Bucket=arn, Key="menu/coffee")
    assert (found["ContentLength"], found["ContentType"]) == (5, "text/plain")
    assert found["Metadata"] == {"by": "roaster"}
    # What has no transformation goes to the bucket.
    assert s3.get_object(Bucket=arn, Key="menu/coffee")["Body"].read() == b"black"
    arn = point(cloud, "listing")
    found = s3.list_objects_v2(Bucket=arn, Prefix="menu/", MaxKeys=7)
    assert [one["Key"] for one in found["Contents"]] == ["card/coffee"]
    assert (found["Prefix"], found["MaxKeys"], found["KeyCount"]) == ("card/", 7, 1)
    found = s3.list_objects(Bucket=alias_of(cloud, arn), Prefix="menu/")
    assert [one["Key"] for one in found["Contents"]] == ["card/coffee"]
    found = s3.list_objects_v2(Bucket=point(cloud, "listing_json"))
    assert found["Contents"][0]["Key"] == "card/tea"
    assert found["Contents"][0]["Size"] == 7
    assert (found["IsTruncated"], found["NextContinuationToken"]) == (True, "on")
    assert found["CommonPrefixes"] == [{"Prefix": "a/"}]
    arn = point(cloud, "missing")
    assert code_of(lambda: s3.list_objects_v2(Bucket=arn)) == ("NoBeans", 404)
    assert code_of(lambda: s3.head_object(Bucket=arn, Key="k")) == ("404", 404)
    arn = point(cloud, "nonsense")
    for call in (s3.list_objects, s3.list_objects_v2):
        assert code_of(lambda call=call: call(Bucket=arn)) == ("LambdaInvalidResponse", 400)
    assert code_of(lambda: s3.head_object(Bucket=arn, Key="k"))[1] == 400


def test_what_is_not_transformed_goes_on_and_what_is_not_there_is_refused(
    cloud: Cloud, here: None
) -> None:
    s3, arn = cloud.client("s3"), point(cloud, "shout", "GetObject")
    s3.put_object(Bucket=arn, Key="menu/tea", Body=b"green")
    assert s3.get_object(Bucket="shop", Key="menu/tea")["Body"].read() == b"green"
    assert s3.head_object(Bucket=arn, Key="menu/tea")["ContentLength"] == 5
    keys = [one["Key"] for one in s3.list_objects_v2(Bucket=arn)["Contents"]]
    assert keys == ["menu/coffee", "menu/tea"]
    s3.delete_object(Bucket=arn, Key="menu/tea")
    assert s3.list_objects_v2(Bucket="shop")["KeyCount"] == 1
    assert code_of(lambda: s3.head_bucket(Bucket=arn))[1] == 405
    found = code_of(lambda: s3.get_object(Bucket=f"{arn}s", Key="menu/coffee"))
    assert found == ("NoSuchAccessPoint", 404)
    unsigned = urllib.request.Request(f"{cloud.endpoint_url}/{alias_of(cloud, arn)}/menu/coffee")
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(unsigned)
    assert refused.value.code == 403


def customer(cloud: Account) -> tuple[Any, Any]:
    """A user of the account who may do nothing, and the call that lets him do something."""
    iam = cloud.client("iam")
    name = f"u{time.monotonic_ns()}"
    iam.create_user(UserName=name)
    key = iam.create_access_key(UserName=name)["AccessKey"]
    s3 = cloud.client(
        "s3", aws_access_key_id=key["AccessKeyId"], aws_secret_access_key=key["SecretAccessKey"]
    )

    def allow(*statements: dict[str, Any]) -> None:
        _allow(iam.put_user_policy, list(statements), UserName=name)

    return s3, allow


def test_a_caller_needs_the_point_the_function_and_the_object(cloud: Cloud, here: None) -> None:
    """And the object only where the function fetches it, for him."""
    from botocore.exceptions import ClientError

    arn = point(cloud, "failing", "GetObject")
    me = cloud.account_id
    mine, allow = customer(cloud)

    def get() -> Any:
        return mine.get_object(Bucket=arn, Key="menu/coffee")

    with pytest.raises(ClientError) as refused:
        get()
    error = refused.value.response["Error"]
    assert error["Code"] == "AccessDenied"
    assert f"s3-object-lambda:GetObject on resource: {arn} because" in error["Message"]
    front = {"Action": "s3-object-lambda:GetObject", "Resource": arn}
    allow(front)
    assert code_of(get) == ("LambdaPermissionError", 403)
    run = {
        "Action": "lambda:InvokeFunction",
        "Resource": f"arn:aws:lambda:us-east-1:{me}:function:roast",
        "Condition": {
            "ForAnyValue:StringEquals": {"aws:CalledVia": ["s3-object-lambda.amazonaws.com"]}
        },
    }
    allow(front, run)
    assert code_of(get) == ("AccessDenied", 403)
    read = {
        "Action": "s3:GetObject",
        "Resource": [
            f"arn:aws:s3:us-east-1:{me}:accesspoint/counter/object/*", "arn:aws:s3:::shop/*",
        ],
        "Condition": run["Condition"],
    }  # fmt: skip
    allow(front, run, read)
    assert get()["Body"].read() == b"black"
    # For himself he may not, since nobody speaks for him there.
    found = code_of(lambda: mine.get_object(Bucket="shop", Key="menu/coffee"))
    assert found == ("AccessDenied", 403)
    # Behind the access point somebody does, and what is not transformed is judged there.
    assert mine.head_object(Bucket=arn, Key="menu/coffee")["ContentLength"] == 5
    found = code_of(lambda: mine.list_objects_v2(Bucket=arn))
    assert found == ("AccessDenied", 403)


def test_another_account_comes_by_the_policies_of_all_that_it_passes(
    cloud: Cloud, here: None
) -> None:
    arn = point(cloud, "failing", "GetObject")
    guest = cloud.account()
    theirs = guest.client("s3")
    me, control = cloud.account_id, cloud.client("s3control")
    door = f"arn:aws:s3:us-east-1:{me}:accesspoint/counter"

    def get() -> Any:
        return theirs.get_object(Bucket=arn, Key="menu/coffee")

    def policy(action: str, resource: str) -> str:
        statement = {
            "Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{guest.account_id}:root"},
            "Action": action, "Resource": resource,
        }  # fmt: skip
        return json.dumps({"Version": "2012-10-17", "Statement": [statement]})

    assert code_of(get) == ("AccessDenied", 403)
    control.put_access_point_policy_for_object_lambda(
        AccountId=me, Name=arn.rpartition("/")[2], Policy=policy("s3-object-lambda:GetObject", arn)
    )
    assert code_of(get) == ("LambdaPermissionError", 403)
    functions = cloud.client("lambda")
    functions.add_permission(
        FunctionName="roast", StatementId="guest", Action="lambda:InvokeFunction",
        Principal=guest.account_id,
    )  # fmt: skip
    assert code_of(get) == ("AccessDenied", 403)
    control.put_access_point_policy(
        AccountId=me, Name="counter", Policy=policy("s3:GetObject", f"{door}/object/*")
    )
    s3 = cloud.client("s3")
    s3.put_bucket_policy(Bucket="shop", Policy=policy("s3:GetObject", "arn:aws:s3:::shop/*"))
    try:
        assert get()["Body"].read() == b"black"
    finally:
        functions.remove_permission(FunctionName="roast", StatementId="guest")
        control.delete_access_point_policy(AccountId=me, Name="counter")
        s3.delete_bucket_policy(Bucket="shop")


def test_who_may_not_write_answers_is_refused_whatever_his_token(cloud: Cloud, here: None) -> None:
    mine, allow = customer(cloud)
    asked = {"RequestRoute": "io-cell001", "RequestToken": "none", "Body": b""}
    found = code_of(lambda: mine.write_get_object_response(**asked))
    assert found == ("AccessDenied", 403)
    allow({"Action": "s3-object-lambda:WriteGetObjectResponse", "Resource": "*"})
    found = code_of(lambda: mine.write_get_object_response(**asked))
    assert found == ("ValidationError", 400)


def test_aws_own_hosts_are_known(cloud: Cloud, here: None) -> None:
    """As a client sends it that knows of no endpoint but AWS's."""
    arn = point(cloud, "shout")
    sent: list[str] = []

    def redirect(request: Any, **more: Any) -> None:
        scheme, _, rest = request.url.partition("://")
        host = rest.partition("/")[0]
        sent.append(host)
        request.url = request.url.replace(f"{scheme}://{host}", cloud.endpoint_url)
        request.headers["Host"] = host

    aws = cloud.client("s3", endpoint_url=None)
    aws.meta.events.register("before-send.s3", redirect)
    assert aws.get_object(Bucket=arn, Key="menu/coffee")["Body"].read() == b"BLACK"
    asked = {"RequestRoute": "io-cell001", "RequestToken": "none", "Body": b""}
    assert code_of(lambda: aws.write_get_object_response(**asked)) == ("ValidationError", 400)
    name = arn.rpartition("/")[2]
    assert sent == [
        f"{name}-{cloud.account_id}.s3-object-lambda.us-east-1.amazonaws.com",
        "io-cell001.s3-object-lambda.us-east-1.amazonaws.com",
    ]


def test_links_count_when_the_clouds_clock_has_run_ahead(here: None) -> None:
    with Cloud() as cloud:
        cloud.endpoint_url = cloud.endpoint_url.replace("127.0.0.1", "localhost")
        cloud.advance("400d")
        _furnish(cloud)
        got = cloud.client("s3").get_object(Bucket=point(cloud, "shout"), Key="menu/coffee")
        assert got["Body"].read() == b"BLACK"


def test_a_wrong_checksum_is_no_answer_where_the_caller_wants_one(cloud: Cloud, here: None) -> None:
    s3 = cloud.client("s3")
    for does in ("spoilt", "spoilt_stream"):
        arn = point(cloud, does)
        with pytest.raises(Exception, match=r"LambdaResponseNotReceived|Connection broken|Incomp"):
            s3.get_object(Bucket=arn, Key="menu/coffee")["Body"].read()


def test_a_customers_key_is_signed_into_the_link(cloud: Cloud, here: None) -> None:
    s3 = cloud.client("s3")
    arn = point(cloud, "shout", "GetObject")
    key = {"SSECustomerAlgorithm": "AES256", "SSECustomerKey": b"k" * 32}
    s3.put_object(Bucket="shop", Key="sealed", Body=io.BytesIO(b"quiet"), **key)
    with_key = s3.get_object(Bucket=arn, Key="sealed", **key)
    assert with_key["Body"].read() == b"QUIET"
    s3.delete_object(Bucket="shop", Key="sealed")
