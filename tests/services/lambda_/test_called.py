"""What calls functions: each service with a function that runs, by its policy or a role."""

from __future__ import annotations

import base64
import csv
import gzip
import io
import json
import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote, unquote

import pytest

from doppio.testing import Account, Cloud

from .base import TRUST, zipped

NOTING = """
import json, os
import boto3

sqs = boto3.client("sqs")

def handler(event, context):
    if isinstance(event, dict) and event.get("fail"):
        raise ValueError("as asked")
    sqs.send_message(QueueUrl=os.environ["NOTES"], MessageBody=json.dumps(event))
    return event
"""
CANNOT = (
    "Could not execute the lambda function. Make sure you have given CloudWatch Logs permission to "
    "execute your function."
)
ROTATING = """
import boto3

secrets = boto3.client("secretsmanager")

def handler(event, context):
    arn, token, step = event["SecretId"], event["ClientRequestToken"], event["Step"]
    if step == "createSecret":
        current = secrets.get_secret_value(SecretId=arn, VersionStage="AWSCURRENT")
        secrets.put_secret_value(SecretId=arn, ClientRequestToken=token,
                                 SecretString=current["SecretString"] + "+",
                                 VersionStages=["AWSPENDING"])
    if step == "finishSecret":
        stages = secrets.describe_secret(SecretId=arn)["VersionIdsToStages"]
        old = next(one for one, labels in stages.items() if "AWSCURRENT" in labels)
        secrets.update_secret_version_stage(SecretId=arn, VersionStage="AWSCURRENT",
                                            MoveToVersionId=token, RemoveFromVersionId=old)
"""

DOING = """
import boto3
from urllib.parse import unquote_plus

s3 = boto3.client("s3")
tries = {}

def handler(event, context):
    [task] = event["tasks"]
    key, bucket = unquote_plus(task["s3Key"]), task["s3Bucket"]
    tries[key] = tries.get(key, 0) + 1
    if key == "burnt":
        code, said = "PermanentFailure", "burnt"
    elif key == "hot" and tries[key] == 1:
        code, said = "TemporaryFailure", "wait"
    elif key == "crash":
        raise ValueError("crashed")
    else:
        roast = event["job"]["userArguments"]["roast"]
        s3.put_object(Bucket=bucket, Key="done/" + key, Body=roast.encode())
        code, said = "Succeeded", roast
    return {"invocationSchemaVersion": "2.0", "invocationId": event["invocationId"],
            "results": [{"taskId": task["taskId"], "resultCode": code, "resultString": said}]}
"""


@pytest.fixture(scope="module")
def cloud() -> Iterator[Cloud]:
    with Cloud() as running:
        yield running


class Noted:
    """A function that notes down in a queue what it is told."""

    def __init__(self, account: Account) -> None:
        self.account = account
        self.sqs = account.client("sqs")
        self.queue = self.sqs.create_queue(QueueName="notes")["QueueUrl"]
        self.lambda_ = account.client("lambda")
        self.role = role(account, "noting", ["sqs:SendMessage"])
        self.arn = function(
            account, "note", NOTING, self.role, Environment={"Variables": {"NOTES": self.queue}}
        )

    def let_in(self, principal: str, **more: str) -> None:
        """Let a service invoke it, where it speaks for what `more` says."""
        self.lambda_.add_permission(
            FunctionName="note", StatementId=f"s{time.monotonic_ns()}",
            Action="lambda:InvokeFunction", Principal=principal, **more,
        )  # fmt: skip

    def heard(self, word: str, seconds: float = 20.0) -> Any:
        """What it was told next in which a word is; None where that is nothing."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            found = self.sqs.receive_message(QueueUrl=self.queue, WaitTimeSeconds=1)
            for one in found.get("Messages", []):
                handle = one["ReceiptHandle"]
                self.sqs.delete_message(QueueUrl=self.queue, ReceiptHandle=handle)
                if word in one["Body"]:
                    return json.loads(one["Body"])
        return None


def role(
    account: Account, name: str, actions: list[str], service: str = "lambda.amazonaws.com"
) -> str:
    iam = account.client("iam")
    trust = TRUST.replace("lambda.amazonaws.com", service)
    made = iam.create_role(RoleName=name, AssumeRolePolicyDocument=trust)
    statement = {"Effect": "Allow", "Action": actions, "Resource": "*"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    iam.put_role_policy(RoleName=name, PolicyName="may", PolicyDocument=document)
    return str(made["Role"]["Arn"])


def function(account: Account, name: str, code: str, role_arn: str, **more: Any) -> str:
    client = account.client("lambda")
    made = client.create_function(
        FunctionName=name, Runtime="python3.11", Handler="app.handler", Role=role_arn, Timeout=30,
        MemorySize=512, Code={"ZipFile": zipped(code)}, **more,
    )  # fmt: skip
    client.get_waiter("function_active_v2").wait(FunctionName=name, WaiterConfig={"Delay": 1})
    return str(made["FunctionArn"])


@pytest.fixture(scope="module")
def noted(cloud: Cloud) -> Noted:
    return Noted(cloud.account())


def test_s3_tells_a_function_that_lets_it_in(noted: Noted) -> None:
    from botocore.exceptions import ClientError

    s3, me = noted.account.client("s3"), noted.account.account_id
    s3.create_bucket(Bucket="told")
    asked = {"Id": "mine", "LambdaFunctionArn": noted.arn, "Events": ["s3:ObjectCreated:*"]}

    def ask() -> None:
        s3.put_bucket_notification_configuration(
            Bucket="told", NotificationConfiguration={"LambdaFunctionConfigurations": [asked]}
        )

    for let_in in (
        lambda: None,
        lambda: noted.let_in(
            "s3.amazonaws.com", SourceArn="arn:aws:s3:::another", SourceAccount=me
        ),
    ):
        let_in()
        with pytest.raises(ClientError) as refused:
            ask()
        error = refused.value.response["Error"]
        assert (error["Code"], error["Message"]) == (
            "InvalidArgument", "Unable to validate the following destination configurations",
        )  # fmt: skip
        assert error["ArgumentName1"] == noted.arn
        assert error["ArgumentValue1"] == f"Not authorized to invoke function [{noted.arn}]"
    noted.let_in("s3.amazonaws.com", SourceArn="arn:aws:s3:::told", SourceAccount=me)
    ask()
    kept = s3.get_bucket_notification_configuration(Bucket="told")
    assert kept["LambdaFunctionConfigurations"] == [asked]
    s3.put_object(Bucket="told", Key="a b/ü", Body=b"hello")
    [record] = noted.heard("Records")["Records"]
    assert (record["eventSource"], record["eventName"]) == ("aws:s3", "ObjectCreated:Put")
    assert record["s3"]["configurationId"] == "mine"
    assert record["s3"]["bucket"] == {
        "name": "told", "arn": "arn:aws:s3:::told",
        "ownerIdentity": {"principalId": record["s3"]["bucket"]["ownerIdentity"]["principalId"]},
    }  # fmt: skip
    assert (record["s3"]["object"]["key"], record["s3"]["object"]["size"]) == ("a+b/%C3%BC", 5)
    s3.put_bucket_notification_configuration(Bucket="told", NotificationConfiguration={})


def test_sns_tells_a_subscribed_function(noted: Noted) -> None:
    sns = noted.account.client("sns")
    topic = sns.create_topic(Name="told")["TopicArn"]
    subscribed = sns.subscribe(
        TopicArn=topic, Protocol="lambda", Endpoint=noted.arn, ReturnSubscriptionArn=True
    )["SubscriptionArn"]
    sns.publish(TopicArn=topic, Message="to nobody")
    assert noted.heard("Records", 1.5) is None
    noted.let_in("sns.amazonaws.com", SourceArn=topic)
    sent = sns.publish(
        TopicArn=topic, Message="hello", Subject="s",
        MessageAttributes={"kind": {"DataType": "String", "StringValue": "tea"}},
    )  # fmt: skip
    [record] = noted.heard("Records")["Records"]
    assert (record["EventSource"], record["EventVersion"]) == ("aws:sns", "1.0")
    assert record["EventSubscriptionArn"] == subscribed
    told = record["Sns"]
    assert (told["Message"], told["Subject"], told["MessageId"]) == (
        "hello", "s", sent["MessageId"],
    )  # fmt: skip
    assert told["MessageAttributes"] == {"kind": {"Type": "String", "Value": "tea"}}
    assert (told["TopicArn"], told["Type"]) == (topic, "Notification")
    assert noted.heard("Records", 1.5) is None
    sns.unsubscribe(SubscriptionArn=subscribed)


def test_a_rule_of_eventbridge_runs_its_function(noted: Noted) -> None:
    events = noted.account.client("events")
    rule = events.put_rule(Name="told", EventPattern='{"source": ["shop"]}')["RuleArn"]
    target = {"Id": "1", "Arn": noted.arn, "InputPath": "$.detail"}
    assert not events.put_targets(Rule="told", Targets=[target])["FailedEntryCount"]
    noted.let_in("events.amazonaws.com", SourceArn=rule)
    entry = {"Source": "shop", "DetailType": "sold", "Detail": '{"cups": 2}'}
    events.put_events(Entries=[entry])
    assert noted.heard("cups") == {"cups": 2}
    events.remove_targets(Rule="told", Ids=["1"])


def test_a_schedule_runs_its_function_as_its_role(noted: Noted) -> None:
    account = noted.account
    scheduler = account.client("scheduler")
    may = role(account, "scheduling", ["lambda:InvokeFunction"], "scheduler.amazonaws.com")
    scheduler.create_schedule(
        Name="told", ScheduleExpression="rate(1 hour)", FlexibleTimeWindow={"Mode": "OFF"},
        Target={"Arn": noted.arn, "RoleArn": may, "Input": '{"at": "noon"}'},
    )  # fmt: skip
    account.advance("61m")
    assert noted.heard("noon") == {"at": "noon"}
    scheduler.delete_schedule(Name="told")


def test_a_pipe_runs_its_function_as_its_role(noted: Noted) -> None:
    account = noted.account
    source = account.client("sqs").create_queue(QueueName="source")["QueueUrl"]
    pipes = account.client("pipes")
    actions = [
        "lambda:InvokeFunction", "sqs:ReceiveMessage", "sqs:DeleteMessage",
        "sqs:GetQueueAttributes",
    ]  # fmt: skip
    may = role(account, "piping", actions, "pipes.amazonaws.com")
    arn = f"arn:aws:sqs:us-east-1:{account.account_id}:source"
    pipes.create_pipe(Name="told", RoleArn=may, Source=arn, Target=noted.arn)
    account.client("sqs").send_message(QueueUrl=source, MessageBody="hello")
    [record] = noted.heard("messageId")
    assert (record["body"], record["eventSource"]) == ("hello", "aws:sqs")
    pipes.delete_pipe(Name="told")


def test_a_function_enriches_what_a_pipe_brings_and_says_what_has_failed(cloud: Cloud) -> None:
    account = cloud.account()
    noted = Noted(account)
    sqs, pipes = account.client("sqs"), account.client("pipes")
    source = sqs.create_queue(QueueName="source", Attributes={"VisibilityTimeout": "5"})["QueueUrl"]
    code = """
def handler(events, context):
    return [{**event, "body": event["body"].upper()} for event in events if event["body"] != "no"]
"""
    enrich = function(account, "enrich", code, noted.role)
    code = NOTING.replace(
        "return event",
        'bad = [e["messageId"] for e in event if e["body"] == "BAD"]\n'
        "    tries[0] += 1\n"
        '    return {"batchItemFailures": [{"itemIdentifier": b} for b in bad * (tries[0] < 2)]}',
    ).replace("def handler", "tries = [0]\n\ndef handler")
    judge = function(
        account, "judge", code, noted.role, Environment={"Variables": {"NOTES": noted.queue}}
    )
    actions = [
        "lambda:InvokeFunction", "sqs:ReceiveMessage", "sqs:DeleteMessage",
        "sqs:GetQueueAttributes",
    ]  # fmt: skip
    may = role(account, "piping", actions, "pipes.amazonaws.com")
    for body in ("good", "no", "bad"):
        sqs.send_message(QueueUrl=source, MessageBody=body)
    pipes.create_pipe(
        Name="told", RoleArn=may, Target=judge, Enrichment=enrich,
        Source=f"arn:aws:sqs:us-east-1:{account.account_id}:source",
        SourceParameters={"SqsQueueParameters": {"BatchSize": 10}},
    )  # fmt: skip
    seen: list[str] = []
    for _ in range(30):
        if seen.count("BAD") == 2:
            break
        account.advance("1s")
        batch = noted.heard("messageId", 2) or []
        seen += [event["body"] for event in batch]
    assert seen.count("BAD") == 2
    assert set(seen) == {"GOOD", "BAD"}
    pipes.delete_pipe(Name="told")


def test_an_alarm_runs_its_function(noted: Noted) -> None:
    account = noted.account
    cloudwatch, me = account.client("cloudwatch"), account.account_id
    cloudwatch.put_metric_alarm(
        AlarmName="told", Namespace="shop", MetricName="queue", Statistic="Maximum", Period=60,
        EvaluationPeriods=1, Threshold=3, ComparisonOperator="GreaterThanThreshold",
        AlarmActions=[noted.arn],
    )  # fmt: skip
    alarm = f"arn:aws:cloudwatch:us-east-1:{me}:alarm:told"
    noted.let_in("lambda.alarms.cloudwatch.amazonaws.com", SourceArn=alarm, SourceAccount=me)
    cloudwatch.set_alarm_state(AlarmName="told", StateValue="ALARM", StateReason="by hand")
    told = noted.heard("alarmArn")
    assert (told["source"], told["alarmArn"], told["accountId"]) == (
        "aws.cloudwatch", alarm, me,
    )  # fmt: skip
    assert told["region"] == "us-east-1"
    data = told["alarmData"]
    assert data["alarmName"] == "told"
    assert (data["state"]["value"], data["state"]["reason"]) == ("ALARM", "by hand")
    assert data["previousState"]["value"] == "INSUFFICIENT_DATA"
    [metric] = data["configuration"]["metrics"]
    assert metric["metricStat"] == {
        "metric": {"namespace": "shop", "name": "queue", "dimensions": {}},
        "period": 60, "stat": "Maximum",
    }  # fmt: skip
    cloudwatch.delete_alarms(AlarmNames=["told"])


def test_a_secret_is_rotated_by_its_function(cloud: Cloud) -> None:
    from botocore.exceptions import ClientError

    account = cloud.account()
    secrets = account.client("secretsmanager")
    may = role(
        account,
        "rotating",
        [
            "secretsmanager:GetSecretValue", "secretsmanager:PutSecretValue",
            "secretsmanager:DescribeSecret", "secretsmanager:UpdateSecretVersionStage",
        ],
    )  # fmt: skip
    arn = function(account, "rotate", ROTATING, may)
    secret = secrets.create_secret(Name="till", SecretString="open")["ARN"]
    rules = {"AutomaticallyAfterDays": 7}

    def rotate() -> Any:
        return secrets.rotate_secret(SecretId=secret, RotationLambdaARN=arn, RotationRules=rules)[
            "VersionId"
        ]

    with pytest.raises(ClientError) as refused:
        rotate()
    assert refused.value.response["Error"]["Code"] == "AccessDeniedException"
    account.client("lambda").add_permission(
        FunctionName="rotate", StatementId="s", Action="lambda:InvokeFunction",
        Principal="secretsmanager.amazonaws.com", SourceAccount=account.account_id,
    )  # fmt: skip

    def value(wanted: str) -> Any:
        for _ in range(200):
            found = secrets.get_secret_value(SecretId=secret)
            if found["SecretString"] == wanted:
                break
            time.sleep(0.05)
        return found

    version = rotate()
    assert value("open+")["VersionId"] == version
    account.advance("8d")
    found = value("open++")
    assert found["SecretString"] == "open++"
    assert found["VersionId"] != version


def test_a_batch_job_has_a_function_do_something_to_each_object(cloud: Cloud, here: None) -> None:
    account = cloud.account()
    # S3 Control's clients put the account before the endpoint's host.
    account.endpoint_url = account.endpoint_url.replace("127.0.0.1", "localhost")
    s3, me = account.client("s3"), account.account_id
    control = account.client("s3control")
    may = role(account, "doing", ["s3:PutObject"])
    arn = function(account, "do", DOING, may)
    s3.create_bucket(Bucket="beans")
    keys = ["a b+ü", "burnt", "hot", "crash"]
    lines = "\n".join(f"beans,{quote(key)}" for key in keys).encode()
    etag = s3.put_object(Bucket="beans", Key="list", Body=lines)["ETag"]
    batch = role(
        account, "batch", ["s3:*", "lambda:InvokeFunction"], "batchoperations.s3.amazonaws.com"
    )
    job = control.create_job(
        AccountId=me, ConfirmationRequired=False, Priority=1, RoleArn=batch,
        ClientRequestToken="one",
        Operation={
            "LambdaInvoke": {
                "FunctionArn": arn, "InvocationSchemaVersion": "2.0",
                "UserArguments": {"roast": "dark"},
            }
        },
        Report={
            "Enabled": True, "Bucket": "arn:aws:s3:::beans", "Format": "Report_CSV_20180820",
            "Prefix": "reports", "ReportScope": "AllTasks",
        },
        Manifest={
            "Spec": {"Format": "S3BatchOperations_CSV_20180820", "Fields": ["Bucket", "Key"]},
            "Location": {"ObjectArn": "arn:aws:s3:::beans/list", "ETag": etag},
        },
    )["JobId"]  # fmt: skip
    for _ in range(100):
        found = control.describe_job(AccountId=me, JobId=job)["Job"]
        if found["Status"] in {"Complete", "Failed"}:
            break
        time.sleep(0.1)
        account.advance("1s")
    assert (found["Status"], found["ProgressSummary"]["NumberOfTasksFailed"]) == ("Complete", 2)
    assert s3.get_object(Bucket="beans", Key="done/a b+ü")["Body"].read() == b"dark"
    assert s3.get_object(Bucket="beans", Key="done/hot")["Body"].read() == b"dark"
    files = [one["Key"] for one in s3.list_objects_v2(Bucket="beans", Prefix="reports")["Contents"]]
    rows: dict[str, list[str]] = {}
    for name in files:
        if name.endswith(".csv"):
            text = s3.get_object(Bucket="beans", Key=name)["Body"].read().decode()
            rows |= {unquote(row[1]): row[3:] for row in csv.reader(io.StringIO(text))}
    assert rows["hot"] == ["succeeded", "200", "", "dark"]
    assert rows["burnt"] == ["failed", "200", "PermanentFailure", "burnt"]
    assert rows["crash"][:3] == ["failed", "200", "PermanentFailure"]
    assert rows["crash"][3].startswith("Lambda returned function error: {")


def test_lines_that_fit_a_subscription_are_brought_to_its_function(noted: Noted) -> None:
    from botocore.exceptions import ClientError

    logs, me = noted.account.client("logs"), noted.account.account_id
    logs.create_log_group(logGroupName="shop")
    logs.create_log_stream(logGroupName="shop", logStreamName="till")

    def ask(name: str = "errors") -> None:
        logs.put_subscription_filter(
            logGroupName="shop", filterName=name, filterPattern="ERROR", destinationArn=noted.arn
        )

    with pytest.raises(ClientError) as refused:
        ask()
    error = refused.value.response["Error"]
    assert (error["Code"], error["Message"]) == (
        "InvalidParameterException",
        CANNOT,
    )
    arn = f"arn:aws:logs:us-east-1:{me}:log-group:shop:*"
    noted.let_in("logs.amazonaws.com", SourceArn=arn, SourceAccount=me)
    ask()
    [kept] = logs.describe_subscription_filters(logGroupName="shop")["subscriptionFilters"]
    assert (kept["filterName"], kept["destinationArn"]) == ("errors", noted.arn)
    ask("more")
    with pytest.raises(ClientError, match="LimitExceededException"):
        ask("third")
    logs.delete_subscription_filter(logGroupName="shop", filterName="more")
    at = logs.describe_log_streams(logGroupName="shop")["logStreams"][0]["creationTime"]
    lines = [{"timestamp": at, "message": text} for text in ("all well", "ERROR ü", "ERROR 2")]
    logs.put_log_events(logGroupName="shop", logStreamName="till", logEvents=lines)
    data = noted.heard("awslogs")["awslogs"]["data"]
    told = json.loads(gzip.decompress(base64.b64decode(data)))
    assert [one.pop("id") for one in told["logEvents"]] == [
        one["eventId"]
        for one in logs.filter_log_events(logGroupName="shop", filterPattern="ERROR")["events"]
    ]
    assert told == {
        "messageType": "DATA_MESSAGE",
        "owner": me,
        "logGroup": "shop",
        "logStream": "till",
        "subscriptionFilters": ["errors"],
        "logEvents": lines[1:],
    }
    assert noted.heard("awslogs", 1.5) is None
    logs.delete_log_group(logGroupName="shop")
