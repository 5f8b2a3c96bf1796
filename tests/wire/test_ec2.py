from __future__ import annotations

from datetime import UTC, datetime

from doppio.wire.errors import AccessDenied

from .helpers import decoded, encoded, error, failed, header, text


def test_lists_are_flat_and_names_begin_with_a_capital() -> None:
    body = (
        b"Action=DescribeInstances&Filter.1.Name=tag%3AName&Filter.1.Value.1=a&Filter.1.Value.2=b"
        b"&InstanceId.1=i-1&MaxResults=5&DryRun=false"
    )
    assert decoded("ec2", "ec2", "DescribeInstances", body) == {
        "Filters": [{"Name": "tag:Name", "Values": ["a", "b"]}],
        "InstanceIds": ["i-1"],
        "MaxResults": 5,
        "DryRun": False,
    }


def test_run_instances_reads_nested_structures() -> None:
    body = (
        b"ImageId=ami-1&MinCount=1&MaxCount=2&UserData=aGk%3D&TagSpecification.1.ResourceType="
        b"instance&TagSpecification.1.Tag.1.Key=a&TagSpecification.1.Tag.1.Value=b"
        b"&NetworkInterface.1.DeviceIndex=0&NetworkInterface.1.SecurityGroupId.1=sg-1"
    )
    assert decoded("ec2", "ec2", "RunInstances", body) == {
        "ImageId": "ami-1",
        "MinCount": 1,
        "MaxCount": 2,
        "UserData": "aGk=",
        "TagSpecifications": [{"ResourceType": "instance", "Tags": [{"Key": "a", "Value": "b"}]}],
        "NetworkInterfaces": [{"DeviceIndex": 0, "Groups": ["sg-1"]}],
    }


def test_answers_have_no_wrapper_and_milliseconds() -> None:
    instance = {"InstanceId": "i-1", "LaunchTime": datetime(2026, 1, 2, tzinfo=UTC), "Tags": []}
    response = encoded(
        "ec2", "ec2", "DescribeInstances", {"Reservations": [{"Instances": [instance]}]}
    )
    assert header(response, "content-type") == "text/xml;charset=UTF-8"
    assert text(response).startswith(
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        '<DescribeInstancesResponse xmlns="http://ec2.amazonaws.com/doc/2016-11-15">'
        "<requestId>request-1</requestId><reservationSet><item><instancesSet><item>"
    )
    assert text(response).endswith(
        "</item></instancesSet></item></reservationSet></DescribeInstancesResponse>"
    )
    assert "<instanceId>i-1</instanceId>" in text(response)
    assert "<launchTime>2026-01-02T00:00:00.000Z</launchTime>" in text(response)
    assert "<tagSet></tagSet>" in text(response)


def test_errors_are_ec2s_own() -> None:
    response = failed("ec2", "ec2", None, error("InvalidInstanceID.NotFound", "no i-1"))
    assert text(response) == (
        '<?xml version="1.0" encoding="UTF-8"?>\n<Response><Errors><Error>'
        "<Code>InvalidInstanceID.NotFound</Code><Message>no i-1</Message></Error></Errors>"
        "<RequestID>request-1</RequestID></Response>"
    )
    denied = failed("ec2", "ec2", None, AccessDenied("no"))
    assert (denied.status, "<Code>UnauthorizedOperation</Code>" in text(denied)) == (403, True)
