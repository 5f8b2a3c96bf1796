"""Function URLs: their configuration through the door, and what answers there by HTTP."""

from __future__ import annotations

import base64
import http.client
import json
from typing import Any
from urllib.parse import urlsplit

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from doppio.services.lambda_.url_events import answer_of
from doppio.testing import Cloud
from tests.services.lambda_.base import TRUST, make_function, zipped
from tests.services.world import World, refusal, told

ARN = "arn:aws:lambda:us-east-1:000000000000:function:f"
CODE = """
def handler(event, context):
    if event["rawPath"] == "/fail":
        raise ValueError("no")
    if event["rawPath"] == "/made":
        return {"statusCode": 201, "headers": {"x-a": "b"}, "cookies": ["c=d"], "body": "made"}
    return event
"""


@told
async def test_a_url_is_made_changed_listed_and_taken_away(world: World) -> None:
    await make_function(world, Publish=True)
    await world.call("lambda", "create_alias", FunctionName="f", Name="live", FunctionVersion="1")
    made = await world.call(
        "lambda", "create_function_url_config", FunctionName="f", Qualifier="live",
        AuthType="NONE", Cors={"AllowOrigins": ["*"]},
    )  # fmt: skip
    host = urlsplit(made["FunctionUrl"])
    assert host.hostname is not None
    assert host.hostname.endswith(".lambda-url.us-east-1.localhost")
    assert made["FunctionArn"] == f"{ARN}:live"
    again = world.call(
        "lambda", "create_function_url_config", FunctionName="f:live", AuthType="NONE"
    )
    assert await refusal(again) == (
        "ResourceConflictException",
        (
            f"Failed to create function url config for [functionArn = {ARN}:live]. Error message:  "
            "FunctionUrlConfig exists for this Lambda function"
        ),
    )
    changed = await world.call(
        "lambda", "update_function_url_config", FunctionName="f:live", AuthType="AWS_IAM"
    )
    assert (changed["AuthType"], changed["Cors"]) == ("AWS_IAM", {"AllowOrigins": ["*"]})
    listed = await world.call("lambda", "list_function_url_configs", FunctionName="f")
    assert [one["FunctionUrl"] for one in listed["FunctionUrlConfigs"]] == [made["FunctionUrl"]]
    await world.call("lambda", "delete_alias", FunctionName="f", Name="live")
    get = world.call("lambda", "get_function_url_config", FunctionName="f:live")
    assert await refusal(get) == (
        "ResourceNotFoundException", "The resource you requested does not exist.",
    )  # fmt: skip
    stream = world.call(
        "lambda", "create_function_url_config", FunctionName="f", AuthType="NONE",
        InvokeMode="RESPONSE_STREAM",
    )  # fmt: skip
    assert (await refusal(stream))[0] == "NotImplemented"


def _ask(
    url: str, method: str = "GET", path: str = "/", body: bytes = b"", **headers: str
) -> tuple[int, dict[str, str], bytes]:
    parts = urlsplit(url)
    assert parts.port is not None
    connection = http.client.HTTPConnection("127.0.0.1", parts.port)
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    connection.request(method, path, body, {"host": parts.netloc, **named})
    answer = connection.getresponse()
    told = {name.lower(): value for name, value in answer.getheaders()}
    return answer.status, told, answer.read()


def _let_in(client: Any, principal: str, auth: str) -> None:
    client.add_permission(
        FunctionName="f", StatementId="url", Action="lambda:InvokeFunctionUrl",
        Principal=principal, FunctionUrlAuthType=auth,
    )  # fmt: skip
    client.add_permission(
        FunctionName="f", StatementId="call", Action="lambda:InvokeFunction",
        Principal=principal, InvokedViaFunctionUrl=True,
    )  # fmt: skip


def test_a_function_answers_at_its_host_whom_its_policy_lets_in() -> None:
    with Cloud() as cloud:
        role = cloud.client("iam").create_role(RoleName="r", AssumeRolePolicyDocument=TRUST)
        client = cloud.client("lambda")
        client.create_function(
            FunctionName="f", Runtime="python3.11", Handler="app.handler", Timeout=20,
            Role=role["Role"]["Arn"], Code={"ZipFile": zipped(CODE)},
        )  # fmt: skip
        client.get_waiter("function_active_v2").wait(FunctionName="f")
        cors = {"AllowOrigins": ["http://menu"], "AllowMethods": ["POST"], "MaxAge": 60}
        url = client.create_function_url_config(FunctionName="f", AuthType="NONE", Cors=cors)[
            "FunctionUrl"
        ]
        status, _, content = _ask(url)
        assert (status, json.loads(content)) == (403, {"Message": "Forbidden"})
        _let_in(client, "*", "NONE")
        status, headers, content = _ask(
            url, "POST", "/a%20b?x=1&x=2&y=", b'{"a": 1}', content_type="application/json",
            cookie="k=v; l=w", origin="http://menu",
        )  # fmt: skip
        event = json.loads(content)
        assert status == 200
        assert headers["access-control-allow-origin"] == "http://menu"
        assert (event["version"], event["rawPath"]) == ("2.0", "/a b")
        assert event["rawQueryString"] == "x=1&x=2&y="
        assert event["queryStringParameters"] == {"x": "1,2", "y": ""}
        assert event["cookies"] == ["k=v", "l=w"]
        assert (event["body"], event["isBase64Encoded"]) == ('{"a": 1}', False)
        assert event["requestContext"]["http"]["method"] == "POST"
        assert event["requestContext"]["accountId"] == "anonymous"
        status, headers, content = _ask(url, path="/made")
        assert (status, headers["x-a"], headers["set-cookie"], content) == (
            201, "b", "c=d", b"made",
        )  # fmt: skip
        assert _ask(url, path="/fail")[0] == 502
        status, headers, _ = _ask(
            url, "OPTIONS", origin="http://menu", access_control_request_method="POST"
        )
        assert (status, headers["access-control-allow-methods"]) == (200, "POST")
        assert _ask(url.replace("http://", "http://x"))[0] == 404
        _signed(cloud, client, url)


def _signed(cloud: Cloud, client: Any, url: str) -> None:
    """With AWS_IAM, who does not sign is refused, and who signs is told of."""
    client.update_function_url_config(FunctionName="f", AuthType="AWS_IAM")
    assert _ask(url)[0] == 403
    account = cloud.account_id
    request = AWSRequest("GET", url, headers={"host": urlsplit(url).netloc})
    SigV4Auth(Credentials(account, "test"), "lambda", "us-east-1").add_auth(request)
    given = {name.replace("-", "_"): value for name, value in request.headers.items()}
    del given["host"]
    status, _, content = _ask(url, **given)
    assert status == 200
    by = json.loads(content)["requestContext"]["authorizer"]["iam"]
    assert by["userArn"] == f"arn:aws:iam::{account}:root"
    broken = {**given, "Authorization": given["Authorization"][:-4] + "0000"}
    assert _ask(url, **broken)[0] == 403


@pytest.mark.parametrize(
    ("payload", "status", "body"),
    [
        (b'"espresso"', 200, b"espresso"),
        (b'{"a": 1}', 200, b'{"a": 1}'),
        (b"null", 200, b"null"),
        (b'{"statusCode": 404, "body": "gone"}', 404, b"gone"),
        (
            json.dumps({
                "statusCode": 200, "isBase64Encoded": True,
                "body": base64.b64encode(b"\xff").decode(),
            }).encode(),
            200,
            b"\xff",
        ),
    ],
)  # fmt: skip
def test_what_a_function_says_becomes_an_answer(payload: bytes, status: int, body: bytes) -> None:
    told = answer_of(payload)
    assert (told.status, told.body) == (status, body)
    assert ("content-type", "application/json") in told.headers


@pytest.mark.parametrize(
    "payload", [b'{"statusCode": "no"}', b'{"statusCode": 200, "headers": {"a": "b\\r\\nc: d"}}']
)
def test_an_answer_that_means_nothing_is_none(payload: bytes) -> None:
    with pytest.raises(ValueError, match=r"no status|several lines"):
        answer_of(payload)
