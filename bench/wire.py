"""Microseconds per codec call, and what the first call of a service costs.

Run: `PYTHONPATH=src python bench/wire.py`. One process, one thread; each figure is the best of
five rounds, so a busy machine disturbs it little.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from doppio.wire import model
from doppio.wire.codec import codec
from doppio.wire.http import Request, Whole
from doppio.wire.rest import parse_query, router
from doppio.wire.validate import validator

ROUNDS = 5


def measure(name: str, call: Callable[[], object], count: int = 20_000) -> None:
    call()
    best = float("inf")
    for _ in range(ROUNDS):
        start = time.perf_counter()
        for _ in range(count // ROUNDS):
            call()
        best = min(best, (time.perf_counter() - start) / (count // ROUNDS))
    print(f"{name:48} {best * 1e6:10.2f} µs")


def rpc(service_name: str, protocol: str, operation: str, body: bytes, result: Any) -> None:
    service = model.load(service_name)
    ours, op = codec(service, protocol), service.operations[operation]
    request = Request("POST", "/", "", {}, Whole(body))
    check = validator(op, service)
    value = ours.decode(op, request, {})
    measure(f"{operation} {protocol} decode", lambda: ours.decode(op, request, {}))
    measure(f"{operation} validate", lambda: check(value))
    measure(f"{operation} {protocol} encode", lambda: ours.encode(op, result, "id"))


def s3(operation: str, method: str, path: str, headers: Mapping[str, str], result: Any) -> None:
    service = model.load("s3")
    ours, routes = codec(service, "rest-xml"), router(service)
    request = Request(method, path, "", headers, Whole(b"x" * 1024))
    found = routes.match(method, path, {}, headers)
    assert found is not None
    assert found[0].name == operation
    op, labels = found
    check = validator(op, service)
    value = ours.decode(op, request, labels)
    measure(f"{operation} route", lambda: routes.match(method, path, {}, headers))
    measure(f"{operation} decode", lambda: ours.decode(op, request, labels))
    measure(f"{operation} validate", lambda: check(value))
    measure(f"{operation} encode", lambda: ours.encode(op, result, "id"))


HEADERS = {
    "host": "bucket.s3.amazonaws.com",
    "user-agent": "Boto3/1.44.5 md/Botocore#1.44.5 ua/2.1 os/linux",
    "content-type": "application/json",
    "content-length": "1024",
    "x-amz-sdk-checksum-algorithm": "CRC32",
    "x-amz-checksum-crc32": "AAAAAA==",
    "x-amz-content-sha256": "UNSIGNED-PAYLOAD",
    "x-amz-date": "20261123T000000Z",
    "x-amz-meta-colour": "brown",
    "authorization": "AWS4-HMAC-SHA256 Credential=…",
    "amz-sdk-invocation-id": "1",
    "amz-sdk-request": "attempt=1",
}
NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
ITEM = {"pk": {"S": "order#1"}, "n": {"N": "42"}, "body": {"S": "x" * 1000}, "ok": {"BOOL": True}}


def instance(number: int) -> dict[str, Any]:
    return {
        "InstanceId": f"i-{number:017x}",
        "ImageId": "ami-0abcdef1234567890",
        "State": {"Code": 16, "Name": "running"},
        "PrivateDnsName": "ip-10-0-0-1.ec2.internal",
        "PublicDnsName": "",
        "KeyName": "key",
        "AmiLaunchIndex": 0,
        "InstanceType": "t3.micro",
        "LaunchTime": NOW,
        "Placement": {"AvailabilityZone": "us-east-1a", "GroupName": "", "Tenancy": "default"},
        "Monitoring": {"State": "disabled"},
        "SubnetId": "subnet-1",
        "VpcId": "vpc-1",
        "PrivateIpAddress": "10.0.0.1",
        "Architecture": "x86_64",
        "RootDeviceType": "ebs",
        "RootDeviceName": "/dev/xvda",
        "SecurityGroups": [{"GroupId": "sg-1", "GroupName": "default"}],
        "EbsOptimized": False,
        "SourceDestCheck": True,
        "Tags": [{"Key": "Name", "Value": f"box & {number}"}],
        "BlockDeviceMappings": [
            {
                "DeviceName": "/dev/xvda",
                "Ebs": {"VolumeId": "vol-1", "Status": "attached", "AttachTime": NOW},
            }
        ],
    }


def cold(service: str, protocol: str, operation: str) -> None:
    """The first load, decode and encode in a fresh process."""
    code = (
        "import time; t = time.perf_counter();"
        "from doppio.wire import model; from doppio.wire.codec import codec;"
        "from doppio.wire.http import Request, Whole; i = time.perf_counter();"
        "from doppio.wire.rest import router;"
        f"s = model.load({service!r}); c = codec(s, {protocol!r});"
        f"{'router(s);' if protocol.startswith('rest') else ''}"
        f"o = s.operations[{operation!r}];"
        "c.decode(o, Request('POST', '/', '', {}, Whole(b'')), {});"
        "c.encode(o, {}, 'id'); e = time.perf_counter();"
        "print(f'{(i - t) * 1e3:.1f} ms imports, {(e - i) * 1e3:.1f} ms first call')"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    print(f"cold {service} {operation:30} {done.stdout.strip()}")


def main() -> None:
    sqs_body = (
        b'{"QueueUrl":"http://localhost/000000000000/q","MessageBody":"' + b"x" * 1024 + b'"}'
    )
    rpc(
        "sqs",
        "json",
        "SendMessage",
        sqs_body,
        {"MessageId": "m" * 36, "MD5OfMessageBody": "d" * 32},
    )
    form = b"Action=SendMessage&QueueUrl=http%3A%2F%2Flocalhost%2Fq&MessageBody=" + b"x" * 1024
    rpc("sqs", "query", "SendMessage", form, {"MessageId": "m" * 36, "MD5OfMessageBody": "d" * 32})
    put = (
        b'{"TableName":"orders","Item":{"pk":{"S":"order#1"},"n":{"N":"42"},"body":{"S":"'
        + b"x" * 1000
        + b'"},"ok":{"BOOL":true}}}'
    )
    rpc("dynamodb", "json", "PutItem", put, {})
    get = b'{"TableName":"orders","Key":{"pk":{"S":"order#1"}}}'
    rpc("dynamodb", "json", "GetItem", get, {"Item": ITEM})
    s3("PutObject", "PUT", "/bucket/a/key.json", HEADERS, {"ETag": '"' + "e" * 32 + '"'})
    answer = {
        "ETag": '"' + "e" * 32 + '"',
        "LastModified": NOW,
        "ContentLength": 1024,
        "ContentType": "application/json",
        "AcceptRanges": "bytes",
        "Metadata": {"colour": "brown"},
        "Body": b"x" * 1024,
    }
    s3("GetObject", "GET", "/bucket/a/key.json", HEADERS, answer)
    service = model.load("s3")
    query = "list-type=2&prefix=a%2F&delimiter=%2F&max-keys=100"
    routes = router(service)
    measure("parse_query, ListObjectsV2", lambda: parse_query(query))
    parsed = parse_query(query)
    measure("ListObjectsV2 route", lambda: routes.match("GET", "/bucket", parsed, HEADERS))
    ec2 = model.load("ec2")
    ours, op = codec(ec2, "ec2"), ec2.operations["DescribeInstances"]
    hundred = {
        "Reservations": [{"ReservationId": "r-1", "Instances": [instance(n)]} for n in range(100)]
    }
    measure("DescribeInstances x100 encode", lambda: ours.encode(op, hundred, "id"), 100)
    cold("sqs", "json", "SendMessage")
    cold("dynamodb", "json", "PutItem")
    cold("s3", "rest-xml", "PutObject")
    cold("iam", "query", "CreateRole")
    cold("ec2", "ec2", "DescribeInstances")


if __name__ == "__main__":
    main()
