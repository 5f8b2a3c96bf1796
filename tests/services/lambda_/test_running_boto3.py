"""Functions that run, through boto3 over HTTP: what they may reach, and what outlives a kill -9."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from doppio.testing import Account, Cloud
from tests.crash.servers import Server
from tests.machine.guests import alive, needs_linux, needs_sandbox
from tests.services.lambda_.base import TRUST, zipped

CODE = """
import json, os, time
def handler(event, context):
    if "sleep" in event:
        time.sleep(event["sleep"])
    if "read" in event:
        with open(event["read"]) as file:
            return file.read()
    if "list" in event:
        return sorted(os.listdir(event["list"]))
    if "put" in event or "get" in event:
        import boto3
        s3 = boto3.client("s3")
        if "put" in event:
            return s3.put_object(Bucket="bucket", Key=event["put"], Body=b"1")["ETag"]
        return s3.get_object(Bucket="bucket", Key=event["get"])["ETag"]
    print("ran", context.aws_request_id)
    return {"id": context.aws_request_id, "stream": context.log_stream_name, "context": str(context.client_context)}
"""
VERSION = "python{}.{}".format(*sys.version_info[:2])


@pytest.fixture(scope="module")
def cloud() -> Iterator[Cloud]:
    with Cloud() as running:
        yield running


@pytest.fixture
def account(cloud: Cloud) -> Account:
    return cloud.account()


def allow(client: Callable[[str], Any], *actions: str) -> str:
    """A role for a function that may do this, and may log; its ARN."""
    iam = client("iam")
    role = iam.create_role(RoleName="runner", AssumeRolePolicyDocument=TRUST)["Role"]["Arn"]
    document = {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Action": ["logs:*", *actions], "Resource": "*"}],
    }
    iam.put_role_policy(RoleName="runner", PolicyName="may", PolicyDocument=json.dumps(document))
    return str(role)


def make(client: Callable[[str], Any], *actions: str, **more: Any) -> Any:
    """A client of Lambda, where there is a function `f` whose role may do this."""
    awslambda = client("lambda")
    awslambda.create_function(
        FunctionName="f", Runtime=VERSION, Handler="app.handler", Role=allow(client, *actions),
        Code={"ZipFile": zipped(CODE)}, **{"Timeout": 30, **more},
    )  # fmt: skip
    awslambda.get_waiter("function_active_v2").wait(FunctionName="f", WaiterConfig={"Delay": 1})
    return awslambda


def call(awslambda: Any, **event: Any) -> Any:
    answer = awslambda.invoke(FunctionName="f", Payload=json.dumps(event))
    return json.loads(answer["Payload"].read())


def until(true: Callable[[], Any]) -> Any:
    for _ in range(500):
        found = true()
        if found:
            return found
        time.sleep(0.02)
    raise AssertionError("it never came true")


def lines(client: Callable[[str], Any]) -> list[str]:
    """What the function has logged."""
    logs = client("logs")
    try:
        found = logs.filter_log_events(logGroupName="/aws/lambda/f")["events"]
    except logs.exceptions.ResourceNotFoundException:
        return []
    return [event["message"] for event in found]


def test_two_invocations_at_once_run_in_two_environments(account: Account) -> None:
    awslambda = make(account.client)
    with ThreadPoolExecutor(2) as threads:
        slow = threads.submit(call, awslambda, sleep=1.5)
        time.sleep(0.3)
        quick = call(account.client("lambda"))["stream"]
        assert not slow.done(), "one that sleeps holds up nobody"
        assert slow.result()["stream"] != quick
    # Both are warm now: the one that was used last serves.
    assert call(awslambda)["stream"] in (quick, slow.result()["stream"])


def test_more_than_a_reservation_at_once_is_throttled(account: Account) -> None:
    awslambda = make(account.client)
    awslambda.put_function_concurrency(FunctionName="f", ReservedConcurrentExecutions=1)
    with ThreadPoolExecutor(1) as threads:
        slow = threads.submit(call, awslambda, sleep=1.5)
        time.sleep(0.5)
        single = no_retries(account)
        with pytest.raises(single.exceptions.TooManyRequestsException) as refused:
            single.invoke(FunctionName="f")
        answer = refused.value.response
        assert answer["ResponseMetadata"]["HTTPStatusCode"] == 429
        assert answer["Reason"] == "ReservedFunctionConcurrentInvocationLimitExceeded"
        slow.result()
    assert call(awslambda)["stream"]


def no_retries(account: Account) -> Any:
    from botocore.config import Config

    return account.client("lambda", config=Config(retries={"total_max_attempts": 1}))


def test_a_function_may_do_what_its_role_may_and_no_more(account: Account) -> None:
    account.client("s3").create_bucket(Bucket="bucket")
    awslambda = make(account.client, "s3:PutObject", MemorySize=512)
    assert call(awslambda, put="key") == '"c4ca4238a0b923820dcc509a6f75849b"'
    refused = call(awslambda, get="key")
    assert refused["errorType"] in ("AccessDenied", "ClientError")
    assert (
        "assumed-role/runner/f_ is not authorized to perform: s3:GetObject"
        in (refused["errorMessage"])
    )


@needs_linux
def test_a_function_sees_neither_the_data_directory_nor_other_code(
    account: Account, cloud: Cloud
) -> None:
    needs_sandbox()
    awslambda = make(account.client)
    running = cloud._thread.running
    assert running is not None
    data = running.cloud.data
    assert (data / "cloud.json").exists()
    refused = call(awslambda, read=str(data / "cloud.json"))
    assert refused["errorType"] == "FileNotFoundError"
    assert call(awslambda, list=str(data))["errorType"] == "FileNotFoundError"
    assert call(awslambda, list="/var") == ["runtime", "task"]
    assert call(awslambda, list="/var/task") == ["app.py"]


def test_what_a_function_writes_is_in_its_log(account: Account) -> None:
    awslambda = make(account.client)
    stream = call(awslambda)["stream"]
    found = until(lambda: [one for one in lines(account.client) if one.startswith("REPORT")])
    assert len(found) == 1
    said = lines(account.client)
    assert said[0].startswith("INIT_START Runtime Version: python:")
    assert [one.split()[0] for one in said[1:]] == ["START", "ran", "END", "REPORT"]
    streams = account.client("logs").describe_log_streams(logGroupName="/aws/lambda/f")
    assert [one["logStreamName"] for one in streams["logStreams"]] == [stream]


def test_a_role_that_may_not_log_leaves_no_log(account: Account) -> None:
    awslambda = make(account.client)
    account.client("iam").delete_role_policy(RoleName="runner", PolicyName="may")
    assert call(awslambda)["stream"]
    time.sleep(0.3)
    assert lines(account.client) == []


def test_the_client_context_arrives(account: Account) -> None:
    import base64

    awslambda = make(account.client)
    given = base64.b64encode(json.dumps({"custom": {"k": "v"}}).encode()).decode()
    answer = awslambda.invoke(FunctionName="f", ClientContext=given)
    said = json.loads(answer["Payload"].read())
    assert "{'k': 'v'}" in said["context"]
    assert said["id"] == answer["ResponseMetadata"]["RequestId"]


def test_events_are_taken_in_the_old_way_too(account: Account) -> None:
    awslambda = make(account.client)
    answer = awslambda.invoke_async(FunctionName="f", InvokeArgs=b"{}")
    assert answer["Status"] == 202
    until(lambda: any(one.startswith("ran") for one in lines(account.client)))


def test_an_answer_may_come_as_a_stream(account: Account) -> None:
    awslambda = make(account.client)
    answer = awslambda.invoke_with_response_stream(FunctionName="f", LogType="Tail")
    events = list(answer["EventStream"])
    whole = b"".join(e["PayloadChunk"]["Payload"] for e in events if "PayloadChunk" in e)
    assert json.loads(whole)["stream"]
    assert "LogResult" in events[-1]["InvokeComplete"]
    answer = awslambda.invoke_with_response_stream(FunctionName="f", Payload=b'{"read":"/none"}')
    (last,) = list(answer["EventStream"])
    assert last["InvokeComplete"]["ErrorCode"] == "FileNotFoundError"


@needs_linux
def test_events_outlive_a_kill_nine_and_no_environment_does(tmp_path: Path) -> None:
    import boto3

    def client(service: str) -> Any:
        return boto3.Session("000000000000", "test", region_name="us-east-1").client(
            service, endpoint_url=server.endpoint
        )

    with Server(tmp_path / "data") as server:
        awslambda = make(client)
        call(awslambda)
        mine = descendants(server.pid)
        assert mine
        for _ in range(5):
            answer = awslambda.invoke(
                FunctionName="f", InvocationType="Event", Payload=b'{"sleep": 0.5}'
            )
            assert answer["StatusCode"] == 202
        server.kill()
        until(lambda: not any(alive(pid) for pid in mine))
        server.start()
        before = set(ids(client))
        until(lambda: len(set(ids(client)) | before) >= 6)
        server.stop()


def ids(client: Callable[[str], Any]) -> list[str]:
    return [one.split()[1] for one in lines(client) if one.startswith("ran")]


def descendants(pid: int) -> list[int]:
    found = [pid]
    for one in found:
        for task in Path(f"/proc/{one}/task").iterdir():
            found += map(int, (task / "children").read_text().split())
    return found[1:]
