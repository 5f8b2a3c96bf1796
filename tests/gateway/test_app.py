"""The request path as a client meets it: every protocol's errors, and nothing but AWS's words."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from doppio.gateway import app
from doppio.wire.http import Request, Response, Whole
from tests.services.world import World

from .signed import Front, fronted

SQS, DYNAMODB = "AmazonSQS.", "DynamoDB_20120810."


@fronted
async def test_each_protocol_answers_in_its_own_form(front: Front) -> None:
    status, headers, content = await front.json("sqs", SQS + "CreateQueue", {"QueueName": "q"})
    assert (status, content) == (200, {"QueueUrl": "http://localhost:4566/000000000000/q"})
    assert headers["content-type"] == "application/x-amz-json-1.0"
    assert len(headers["x-amzn-requestid"]) == 36
    status, text = await front.query("sqs", "Action=GetQueueUrl&QueueName=q&Version=2012-11-05")
    assert status == 200
    assert "<QueueUrl>http://localhost:4566/000000000000/q</QueueUrl>" in text
    assert (await front.s3("PUT", "/bucket"))[0] == 200
    status, headers, body = await front.s3("GET", "/")
    assert (status, headers["content-type"]) == (200, "application/xml")
    assert b"<Name>bucket</Name>" in body


@fronted
async def test_an_operation_that_is_not_there_yet_is_said_to_be(front: Front) -> None:
    status, _, content = await front.json("codebuild", "CodeBuild_20161006.ListProjects", {}, "1.1")
    assert (status, content["__type"]) == (501, "NotImplemented")
    assert content["message"] == "codebuild:ListProjects exists in AWS and not yet in this cloud"
    status, text = await front.query("autoscaling", "Action=DescribeTags&Version=2011-01-01")
    assert status == 501
    assert "<Code>NotImplemented</Code>" in text
    assert "autoscaling:DescribeTags" in text
    answer = await front.ask(front.signed("cloudfront", "GET", "/2020-05-31/distribution"))
    assert isinstance(answer.body, bytes)
    assert (answer.status, b"<Code>NotImplemented</Code>" in answer.body) == (501, True)
    answer = await front.ask(front.signed("eks", "GET", "/clusters"))
    assert answer.status == 501
    headers = dict(answer.headers)
    assert headers["x-amzn-errortype"] == "NotImplemented"


@fronted
async def test_an_operation_that_aws_has_not_is_unknown(front: Front) -> None:
    status, _, content = await front.json("sqs", SQS + "Brew", {})
    assert status == 400
    assert content["__type"] == "com.amazon.coral.service#UnknownOperationException"
    status, text = await front.query("sqs", "Action=Brew&Version=2012-11-05")
    assert status == 400
    assert "<Code>InvalidAction</Code>" in text
    assert "Could not find operation Brew for version 2012-11-05" in text
    status, _, body = await front.s3("PATCH", "/bucket")
    assert status == 405
    assert b"<Code>MethodNotAllowed</Code>" in body


@fronted
async def test_broken_bodies_are_told_in_the_protocols_form(front: Front) -> None:
    status, _, content = await front.json("dynamodb", DYNAMODB + "ListTables", b'{"Limit": ')
    assert status == 400
    assert content["__type"] == "com.amazon.coral.service#SerializationException"
    status, _, content = await front.json("dynamodb", DYNAMODB + "ListTables", {"Limit": "many"})
    assert status == 400
    assert content["__type"] == "com.amazon.coral.service#SerializationException"
    await front.s3("PUT", "/bucket")
    status, _, body = await front.s3("PUT", "/bucket?versioning", b"<Versioning")
    assert status == 400
    assert b"<Code>MalformedXML</Code>" in body
    cbor = front.signed(
        "monitoring", path="/service/GraniteServiceVersion20100801/operation/PutMetricData",
        body=b"\xbf\xff\xff", headers={"smithy-protocol": "rpc-v2-cbor"},
    )  # fmt: skip
    answer = await front.ask(cbor)
    assert 400 <= answer.status < 502
    assert dict(answer.headers)["smithy-protocol"] == "rpc-v2-cbor"


@fronted
async def test_an_unknown_key_has_each_services_name(front: Front) -> None:
    keys = ("AKIAUNKNOWNUNKNOWN12", "secret")
    status, _, body = await front.s3("GET", "/", keys=keys)
    assert status == 403
    assert b"<Code>InvalidAccessKeyId</Code>" in body
    assert b"The AWS Access Key Id you provided does not exist in our records." in body
    status, _, content = await front.json("dynamodb", DYNAMODB + "ListTables", {}, keys=keys)
    assert (status, content["__type"]) == (
        400,
        "com.amazon.coral.service#UnrecognizedClientException",
    )
    assert content["message"] == "The security token included in the request is invalid."
    status, headers, content = await front.json("sqs", SQS + "ListQueues", {}, keys=keys)
    assert headers["x-amzn-query-error"] == "InvalidClientTokenId;Sender"
    status, text = await front.query("iam", "Action=ListUsers&Version=2010-05-08", keys=keys)
    assert status == 403
    assert "<Code>InvalidClientTokenId</Code>" in text


@fronted
async def test_a_forged_signature_has_each_services_name(front: Front) -> None:
    keys = ("test", "wrong")
    status, _, body = await front.s3("GET", "/", keys=keys)
    assert (status, b"<Code>SignatureDoesNotMatch</Code>" in body) == (403, True)
    status, _, content = await front.json("dynamodb", DYNAMODB + "ListTables", {}, keys=keys)
    assert (status, content["__type"]) == (
        400,
        "com.amazon.coral.service#InvalidSignatureException",
    )
    status, text = await front.query(
        "sts", "Action=GetCallerIdentity&Version=2011-06-15", keys=keys
    )
    assert (status, "<Code>SignatureDoesNotMatch</Code>" in text) == (403, True)


@fronted
async def test_whoever_does_not_sign_is_told_so(front: Front) -> None:
    status, _, content = await front.json("dynamodb", DYNAMODB + "ListTables", {}, keys=None)
    assert (status, content["__type"]) == (
        400,
        "com.amazon.coral.service#MissingAuthenticationTokenException",
    )
    assert content["message"] == "Request is missing Authentication Token"
    status, text = await front.query(
        "iam", "Action=ListUsers&Version=2010-05-08", keys=None
    )  # fmt: skip
    assert (status, "<Code>MissingAuthenticationToken</Code>" in text) == (403, True)
    await front.s3("PUT", "/bucket")
    status, _, body = await front.s3("GET", "/bucket", keys=None)
    assert (status, b"<Code>AccessDenied</Code>" in body) == (403, True)


@fronted
async def test_a_signature_counts_for_fifteen_minutes(front: Front) -> None:
    now = front.world.now
    early = now - timedelta(minutes=16)
    status, _, body = await front.s3("GET", "/", at=early)
    assert (status, b"<Code>RequestTimeTooSkewed</Code>" in body) == (403, True)
    status, _, content = await front.json("dynamodb", DYNAMODB + "ListTables", {}, at=early)
    assert status == 400
    assert content["message"].startswith("Signature expired: ")
    later = now + timedelta(minutes=16)
    status, _, content = await front.json("dynamodb", DYNAMODB + "ListTables", {}, at=later)
    assert content["message"].startswith("Signature not yet current: ")
    assert (await front.s3("GET", "/", at=now - timedelta(minutes=14)))[0] == 200


@fronted
async def test_a_presigned_url_ends_in_cloud_time(front: Front) -> None:
    await front.s3("PUT", "/bucket")
    await front.s3("PUT", "/bucket/key", b"coffee")
    asked = {"presigned": 60}
    assert (await front.s3("GET", "/bucket/key", **asked))[2] == b"coffee"
    request = front.signed("s3", "GET", "/bucket/key", **asked)  # type: ignore[arg-type]
    await front.world.advance(61)
    answer = await front.ask(request)
    assert isinstance(answer.body, bytes)
    assert (answer.status, b"Request has expired" in answer.body) == (403, True)


@fronted
async def test_a_session_that_is_at_hand_ends_in_cloud_time_all_the_same(front: Front) -> None:
    made = await front.world.call("sts", "get_session_token", DurationSeconds=900)
    found = made["Credentials"]
    more = {
        "keys": (found["AccessKeyId"], found["SecretAccessKey"]), "token": found["SessionToken"],
    }  # fmt: skip
    for _ in range(2):
        assert (await front.json("dynamodb", DYNAMODB + "ListTables", {}, **more))[0] == 200
    await front.world.advance(901)
    for _ in range(2):
        status, _, content = await front.json("dynamodb", DYNAMODB + "ListTables", {}, **more)
        assert (status, content["__type"].rpartition("#")[2]) == (400, "ExpiredTokenException")


@fronted
async def test_a_key_that_is_at_hand_counts_for_nothing_once_it_is_inactive(front: Front) -> None:
    await front.world.call("iam", "create_user", UserName="ann")
    made = await front.world.call("iam", "create_access_key", UserName="ann")
    key = made["AccessKey"]["AccessKeyId"]
    keys = key, made["AccessKey"]["SecretAccessKey"]
    asked = "Action=GetCallerIdentity&Version=2011-06-15"
    for _ in range(2):
        assert (await front.query("sts", asked, keys=keys))[0] == 200
    await front.world.call(
        "iam", "update_access_key", UserName="ann", AccessKeyId=key, Status="Inactive"
    )
    for _ in range(2):
        status, text = await front.query("sts", asked, keys=keys)
        assert (status, "<Code>InvalidClientTokenId</Code>" in text) == (403, True)


@fronted
async def test_a_body_beyond_what_any_operation_takes_is_refused(front: Front) -> None:
    class Endless:
        length = None
        whole = None

        async def __aiter__(self) -> AsyncIterator[bytes]:
            while True:
                yield bytes(1_000_000)

    request = front.signed(
        "dynamodb", body=b"{}", headers={"x-amz-target": DYNAMODB + "ListTables"}
    )  # fmt: skip
    request.body = Endless()  # type: ignore[assignment]
    answer = await front.ask(request)
    assert answer.status == 413
    assert isinstance(answer.body, bytes)
    assert b"RequestEntityTooLarge" in answer.body


@fronted
async def test_a_body_that_was_changed_on_the_way_is_refused(front: Front) -> None:
    await front.s3("PUT", "/bucket")
    body = b"<Delete><Object><Key>k</Key></Object></Delete>"
    md5 = base64.b64encode(hashlib.md5(b"other").digest()).decode()
    headers = {"Content-MD5": md5}
    status, _, answer = await front.s3("POST", "/bucket?delete", body, headers=headers)
    assert (status, b"<Code>BadDigest</Code>" in answer) == (400, True)


@fronted
async def test_part_of_an_object_is_partial_content(front: Front) -> None:
    await front.s3("PUT", "/bucket")
    await front.s3("PUT", "/bucket/key", b"0123456789")
    status, headers, body = await front.s3("GET", "/bucket/key", headers={"range": "bytes=2-4"})
    assert (status, body, headers["content-range"]) == (206, b"234", "bytes 2-4/10")
    assert (await front.s3("HEAD", "/bucket/key", headers={"range": "bytes=2-4"}))[0] == 206
    assert (await front.s3("GET", "/bucket/key"))[0] == 200


@fronted
async def test_errors_carry_their_headers(front: Front) -> None:
    await front.s3("PUT", "/bucket")
    await front.s3("PUT", "/bucket/key", b"x")
    status, headers, _ = await front.s3("HEAD", "/bucket", region="eu-west-1")
    assert headers["x-amz-bucket-region"] == "us-east-1"
    etag = (await front.s3("HEAD", "/bucket/key"))[1]["etag"]
    status, headers, _ = await front.s3("GET", "/bucket/key", headers={"if-none-match": etag})
    assert (status, headers["etag"]) == (304, etag)


@fronted
async def test_our_own_failure_is_a_500_that_tells_nothing(front: Front) -> None:
    async def broken(*given: Any) -> Any:
        raise KeyError("secret")

    front.world.cloud.enter = broken  # type: ignore[method-assign]
    app._log.disabled = True
    try:
        status, _, content = await front.json("sqs", SQS + "ListQueues", {})
    finally:
        app._log.disabled = False
    assert (status, content["__type"]) == (500, "com.amazon.coral.service#InternalFailure")
    assert "secret" not in json.dumps(content)


@fronted
async def test_bytes_that_are_no_request_have_an_answer(front: Front) -> None:
    response = front.gateway.bad_request(400, "BadRequest", "No.")
    assert isinstance(response.body, bytes)
    assert (response.status, b"<Code>BadRequest</Code>" in response.body) == (400, True)


@fronted
async def test_a_denial_is_told_in_awss_words_and_can_be_explained(front: Front) -> None:
    world = front.world
    await world.call("iam", "create_user", UserName="barista")
    keys = (await world.call("iam", "create_access_key", UserName="barista"))["AccessKey"]
    status, headers, content = await front.json(
        "sqs", SQS + "ListQueues", {}, keys=(keys["AccessKeyId"], keys["SecretAccessKey"])
    )
    assert status == 400
    assert content["message"] == (
        "User: arn:aws:iam::000000000000:user/barista is not authorized to perform: "
        "sqs:listqueues because no identity-based policy allows the sqs:listqueues action"
    )
    await front.world.settle()
    why = await front.ask(
        Request("GET", f"/_doppio/why/{headers['x-amzn-requestid']}", "", {}, Whole(b""))
    )
    assert isinstance(why.body, bytes)
    assert json.loads(why.body)["denied"]["action"] == "sqs:ListQueues"


PIECES = st.sampled_from(
    ["", "/", "bucket", "?", "&", "=", "%", "%zz", "..", "versionId", "é", "\0"]
)


@settings(max_examples=150, deadline=None)
@given(
    service=st.sampled_from(["s3", "sqs", "dynamodb", "iam", "sts", "unheard-of"]),
    method=st.sampled_from(["GET", "PUT", "POST", "DELETE", "HEAD", "OPTIONS", "BREW"]),
    pieces=st.lists(PIECES, max_size=5),
    headers=st.dictionaries(
        st.sampled_from(["x-amz-target", "content-type", "range", "smithy-protocol", "expect",
                         "x-amz-copy-source", "if-match", "content-md5", "authorization"]),
        st.sampled_from(["", "AmazonSQS.SendMessage", "DynamoDB_20120810.PutItem", "bytes=1-0",
                         "rpc-v2-cbor", "application/x-www-form-urlencoded", "text/xml", "é",
                         "AWS4-HMAC-SHA256 Credential=", "AWS a:b", "/bucket/key"]),
        max_size=4,
    ),
    body=st.one_of(st.binary(max_size=40), st.sampled_from([b"{}", b"<a/>", b"Action=ListQueues"])),
)  # fmt: skip
def test_no_request_is_a_500_or_hangs(
    service: str, method: str, pieces: list[str], headers: dict[str, str], body: bytes
) -> None:
    async def story() -> None:
        world = World()
        await world.start()
        try:
            front = Front(world)
            await front.s3("PUT", "/bucket")
            try:
                request = front.signed(service, method, "/", body, headers=dict(headers))
            except ValueError:
                return
            target = "/" + "".join(pieces)
            request.path, _, request.query = target.partition("?")
            answer: Response = await asyncio.wait_for(front.ask(request), 5)
            assert answer.status != 500, (answer.body, request)
        finally:
            await world.close()

    asyncio.run(story())


@fronted
async def test_a_link_may_hold_what_else_would_be_headers(front: Front) -> None:
    await front.s3("PUT", "/links")
    path = "/links/k?x-amz-meta-kind=drink&x-amz-tagging=team%3Dbar&x-amz-storage-class=STANDARD_IA"
    assert (await front.s3("PUT", path, presigned=60))[0] == 200
    _, headers, _ = await front.s3("HEAD", "/links/k")
    assert headers["x-amz-meta-kind"] == "drink"
    assert (headers["x-amz-storage-class"], headers["x-amz-tagging-count"]) == ("STANDARD_IA", "1")
    # Who signs by a header is not heard by the query.
    await front.s3("PUT", "/links/plain?x-amz-meta-kind=drink", b"tea")
    _, headers, _ = await front.s3("HEAD", "/links/plain")
    assert "x-amz-meta-kind" not in headers
