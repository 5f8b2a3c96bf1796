"""The shop hears of itself: rules of EventBridge over orders, alarms and what people do.

An order in S3 rings in the kitchen's queue and at the supplier's own web server; few beans ring an
alarm, by an encrypted topic; a new key of the barista's is told with who made it.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

ACCOUNT = "000000000000"
SECONDS_MAX = 20.0

Say = Callable[[str], None]
Client = Callable[[str], Any]


def bells(client: Client, say: Say, advance: Callable[[str], object]) -> None:
    """Let everything ring once, and say who has heard."""
    client("s3").put_bucket_notification_configuration(
        Bucket="coffee-orders", NotificationConfiguration={"EventBridgeConfiguration": {}}
    )
    kitchen, manager = _queue(client, "kitchen"), _queue(client, "manager")
    with _supplier() as (url, heard):
        _rules(client, kitchen, manager, url)
        topic = _alarm(client, manager)
        order = json.dumps({"id": "order-late", "drink": "ristretto"}).encode()
        client("s3").put_object(Bucket="coffee-orders", Key="late/ristretto", Body=order)
        told = _first(client, kitchen)
        _until(lambda: bool(heard))
    _expect(told == f"late/ristretto is in, {len(order)} bytes", told)
    key, body = heard[0]
    _expect(key == "beans-please" and json.loads(body)["detail"]["bucket"], str(heard))
    say(f'   an order in S3 rings in the kitchen: "{told}"')
    say("   and at the supplier's own server, by HTTP with an API key")

    few = {"MetricName": "Beans", "Value": 2.0, "Unit": "Count"}
    client("cloudwatch").put_metric_data(Namespace="Shop", MetricData=[few])
    advance("2m")
    texts = [_first(client, manager), _first(client, manager)]
    mails = [json.loads(one)["Message"] for one in texts if one.startswith("{")]
    states = [one for one in texts if not one.startswith("{")]
    _expect(states == ["few-beans: ALARM"], str(texts))
    _expect(json.loads(mails[0])["NewStateValue"] == "ALARM", str(texts))
    say(f"   an alarm: {states[0]} by EventBridge, and by the encrypted topic {topic}")

    client("iam").create_access_key(UserName="barista")
    told = _first(client, manager)
    _expect(told == f"CreateAccessKey by arn:aws:iam::{ACCOUNT}:root", told)
    say(f"   what people do is told, too: {told}")


def _rules(client: Client, kitchen: str, manager: str, supplier: str) -> None:
    events, iam = client("events"), client("iam")
    trust = _policy("sts:AssumeRole", None, Principal={"Service": "events.amazonaws.com"})
    role = iam.create_role(RoleName="bells", AssumeRolePolicyDocument=trust)["Role"]["Arn"]
    iam.put_role_policy(
        RoleName="bells", PolicyName="call", PolicyDocument=_policy("events:InvokeApiDestination")
    )
    connection = events.create_connection(
        Name="supplier", AuthorizationType="API_KEY",
        AuthParameters={
            "ApiKeyAuthParameters": {"ApiKeyName": "x-key", "ApiKeyValue": "beans-please"}
        },
    )["ConnectionArn"]  # fmt: skip
    destination = events.create_api_destination(
        Name="supplier", ConnectionArn=connection, InvocationEndpoint=supplier, HttpMethod="POST"
    )["ApiDestinationArn"]
    _rule(
        events, "orders",
        {"source": ["aws.s3"], "detail-type": ["Object Created"],
         "detail": {"object": {"key": [{"prefix": "late/"}]}}},
        _told(kitchen, "<key> is in, <size> bytes", key="$.detail.object.key",
              size="$.detail.object.size"),
        {"Id": "supplier", "Arn": destination, "RoleArn": role},
    )  # fmt: skip
    _rule(
        events, "alarms",
        {"source": ["aws.cloudwatch"], "detail-type": ["CloudWatch Alarm State Change"],
         "detail": {"state": {"value": ["ALARM"]}}},
        _told(manager, "<name>: <state>", name="$.detail.alarmName",
              state="$.detail.state.value"),
    )  # fmt: skip
    _rule(
        events, "people",
        {"source": ["aws.iam"], "detail-type": ["AWS API Call via CloudTrail"],
         "detail": {"eventName": ["CreateAccessKey"]}},
        _told(manager, "<what> by <who>", what="$.detail.eventName",
              who="$.detail.userIdentity.arn"),
    )  # fmt: skip


def _alarm(client: Client, manager: str) -> str:
    """An alarm that rings by an encrypted topic, whose key lets CloudWatch in; the topic's name."""
    key = client("kms").create_key(
        Policy=json.dumps({
            "Version": "2012-10-17",
            "Statement": [
                _statement("kms:*", Principal={"AWS": f"arn:aws:iam::{ACCOUNT}:root"}),
                _statement("kms:*", Principal={"Service": "cloudwatch.amazonaws.com"}),
            ],
        })
    )["KeyMetadata"]["Arn"]  # fmt: skip
    sns = client("sns")
    topic = sns.create_topic(Name="few-beans", Attributes={"KmsMasterKeyId": key})["TopicArn"]
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=_arn(manager))
    client("cloudwatch").put_metric_alarm(
        AlarmName="few-beans", Namespace="Shop", MetricName="Beans", Statistic="Minimum",
        Period=60, EvaluationPeriods=1, Threshold=5.0, ComparisonOperator="LessThanThreshold",
        AlarmActions=[topic],
    )  # fmt: skip
    return "few-beans"


def _rule(events: Any, name: str, pattern: Any, *targets: dict[str, Any]) -> None:
    events.put_rule(Name=name, EventPattern=json.dumps(pattern))
    events.put_targets(Rule=name, Targets=list(targets))


def _told(queue: str, text: str, **paths: str) -> dict[str, Any]:
    """A queue as target that is told a text."""
    transformer = {"InputPathsMap": paths, "InputTemplate": f'"{text}"'}
    return {"Id": "queue", "Arn": _arn(queue), "InputTransformer": transformer}


def _queue(client: Client, name: str) -> str:
    """A queue that topics and rules may write to; its URL."""
    policy = _policy(
        "sqs:SendMessage", Principal={"Service": ["events.amazonaws.com", "sns.amazonaws.com"]}
    )
    url: str = client("sqs").create_queue(QueueName=name, Attributes={"Policy": policy})["QueueUrl"]
    return url


def _arn(url: str) -> str:
    return f"arn:aws:sqs:us-east-1:{ACCOUNT}:{url.rpartition('/')[2]}"


def _statement(action: str, resource: str | None = "*", **more: Any) -> dict[str, Any]:
    found = {"Effect": "Allow", "Action": action, **more}
    return found if resource is None else {**found, "Resource": resource}


def _policy(action: str, resource: str | None = "*", **more: Any) -> str:
    statement = _statement(action, resource, **more)
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def _first(client: Client, url: str) -> str:
    """The first message of a queue, taken out of it, as text."""
    sqs = client("sqs")
    found = sqs.receive_message(QueueUrl=url, WaitTimeSeconds=int(SECONDS_MAX)).get("Messages")
    _expect(bool(found), f"nothing in {url}")
    sqs.delete_message(QueueUrl=url, ReceiptHandle=found[0]["ReceiptHandle"])
    text: str = found[0]["Body"]
    return json.loads(text) if text.startswith('"') else text


@contextmanager
def _supplier() -> Iterator[tuple[str, list[tuple[str, str]]]]:
    """A web server of somebody else's: its URL, and the keys and bodies that it was sent."""
    heard: list[tuple[str, str]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"])).decode()
            heard.append((self.headers.get("x-key", ""), body))
            self.send_response(200)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *args: object) -> None:
            """Quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/beans", heard
    finally:
        server.shutdown()
        server.server_close()


def _until(holds: Callable[[], bool]) -> None:
    end = time.monotonic() + SECONDS_MAX
    while not holds():
        _expect(time.monotonic() < end, "nobody has rung")
        time.sleep(0.01)


def _expect(holds: object, instead: str) -> None:
    if not holds:
        raise SystemExit(f"the bells do not ring as they should: {instead}")
