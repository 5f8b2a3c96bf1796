"""CloudWatch and its Logs through the real client: each protocol, and what is compressed."""

from __future__ import annotations

import json
import urllib.parse
import urllib.request
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from doppio.testing import Cloud


@pytest.fixture(scope="module")
def cloud() -> Iterator[Cloud]:
    with Cloud() as running:
        yield running


def test_lines_go_in_and_come_out(cloud: Cloud) -> None:
    logs = cloud.account().client("logs")
    logs.create_log_group(logGroupName="/shop/orders", tags={"a": "b"})
    logs.create_log_stream(logGroupName="/shop/orders", logStreamName="one")
    now = int(datetime.now(UTC).timestamp() * 1_000)
    events = [{"timestamp": now + n, "message": json.dumps({"n": n})} for n in range(100)]
    put = {"logGroupName": "/shop/orders", "logStreamName": "one"}
    assert logs.put_log_events(**put, logEvents=events)["nextSequenceToken"]
    page = logs.get_log_events(**put, startFromHead=True, limit=60)
    rest = logs.get_log_events(**put, nextToken=page["nextForwardToken"], startFromHead=True)
    assert [len(page["events"]), len(rest["events"])] == [60, 40]
    pages = logs.get_paginator("filter_log_events").paginate(
        logGroupName="/shop/orders", filterPattern="{ $.n > 97 }"
    )
    assert [event["message"] for one in pages for event in one["events"]] == [
        '{"n": 98}', '{"n": 99}',
    ]  # fmt: skip
    with pytest.raises(logs.exceptions.ResourceNotFoundException):
        logs.get_log_events(logGroupName="none", logStreamName="one")


def test_numbers_go_in_and_come_out(cloud: Cloud) -> None:
    watch = cloud.account().client("cloudwatch")
    # More than SDKs send uncompressed.
    data = [{"MetricName": "m", "Value": float(n), "Unit": "Count"} for n in range(1_000)]
    watch.put_metric_data(Namespace="Shop", MetricData=data)
    now = datetime.now(UTC)
    span = {"StartTime": now - timedelta(hours=1), "EndTime": now + timedelta(minutes=1)}
    answer = watch.get_metric_statistics(
        Namespace="Shop", MetricName="m", Period=3_600, Statistics=["Sum", "SampleCount"], **span
    )
    assert sum(one["Sum"] for one in answer["Datapoints"]) == 499_500
    metric = {"Namespace": "Shop", "MetricName": "m"}
    queries = [
        {"Id": "m1", "MetricStat": {"Metric": metric, "Period": 60, "Stat": "Maximum"}},
        {"Id": "e1", "Expression": "m1 * 2"},
    ]
    results = watch.get_metric_data(MetricDataQueries=queries, **span)["MetricDataResults"]
    assert max(results[1]["Values"]) == 1_998.0
    watch.put_metric_alarm(
        AlarmName="a", Namespace="Shop", MetricName="quiet", Statistic="Sum", Period=60, EvaluationPeriods=1, Threshold=1,
        ComparisonOperator="GreaterThanThreshold",
    )  # fmt: skip
    (alarm,) = watch.describe_alarms()["MetricAlarms"]
    assert alarm["StateValue"] == "INSUFFICIENT_DATA"
    with pytest.raises(watch.exceptions.ResourceNotFound):
        watch.delete_alarms(AlarmNames=["none"])
    with pytest.raises(watch.exceptions.InvalidParameterValueException):
        watch.put_metric_data(Namespace="AWS/S3", MetricData=[{"MetricName": "m", "Value": 1}])


def signed(cloud: Cloud, body: bytes, headers: dict[str, str]) -> Any:
    """The answer to a request of an older client."""
    from botocore.auth import SigV4Auth
    from botocore.awsrequest import AWSRequest
    from botocore.credentials import Credentials

    request = AWSRequest("POST", f"{cloud.endpoint_url}/", data=body, headers=headers)
    SigV4Auth(Credentials("000000000000", "test"), "monitoring", "us-east-1").add_auth(request)
    sent = urllib.request.Request(request.url, body, dict(request.headers), method="POST")
    with urllib.request.urlopen(sent) as answer:
        return answer.read().decode()


def test_older_clients_speak_query_and_json(cloud: Cloud) -> None:
    form = urllib.parse.urlencode(
        {
            "Action": "PutMetricData", "Version": "2010-08-01", "Namespace": "Old",
            "MetricData.member.1.MetricName": "q", "MetricData.member.1.Value": "4",
        }
    )  # fmt: skip
    kind = {"Content-Type": "application/x-www-form-urlencoded; charset=utf-8"}
    assert "PutMetricDataResponse" in signed(cloud, form.encode(), kind)
    form = urllib.parse.urlencode({"Action": "ListMetrics", "Version": "2010-08-01"})
    assert "<MetricName>q</MetricName>" in signed(cloud, form.encode(), kind)
    headers = {
        "Content-Type": "application/x-amz-json-1.0",
        "X-Amz-Target": "GraniteServiceVersion20100801.ListMetrics",
    }
    listed = json.loads(signed(cloud, json.dumps({"Namespace": "Old"}).encode(), headers))
    assert listed["Metrics"][0]["MetricName"] == "q"
