"""A full disk refuses what writes, clearly; it serves what reads, and recovers with free space.

The data directory is a small file system in a namespace that a sleeping process keeps: it is gone
with that process. What fills it is one file, which the test removes through `/proc`.
"""

from __future__ import annotations

import contextlib
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from .servers import Server

DISK_BYTES = 24 * 1024 * 1024
FULL_TRIES_MAX = 4_000
MOUNT = (
    'mount -t tmpfs -o size="$1" doppio "$2" && mkdir "$2/data" && echo mounted && exec sleep 300'
)


@dataclass
class Shop:
    """What is on the small disk, as far as it was acknowledged."""

    server: Server
    ballast: Path
    objects: dict[str, bytes] = field(default_factory=dict)
    items: dict[str, str] = field(default_factory=dict)
    messages: set[str] = field(default_factory=set)
    queue: str = ""

    def client(self, service: str) -> Any:
        config = Config(retries={"total_max_attempts": 1}, s3={"addressing_style": "path"})
        session = boto3.Session("test", "test", region_name="us-east-1")
        return session.client(service, endpoint_url=self.server.endpoint, config=config)

    def open(self) -> None:
        self.s3, self.sqs, self.dynamodb = map(self.client, ("s3", "sqs", "dynamodb"))

    def furnish(self) -> None:
        self.open()
        self.s3.create_bucket(Bucket="shop")
        self.queue = self.sqs.create_queue(QueueName="q")["QueueUrl"]
        self.dynamodb.create_table(
            TableName="shop", BillingMode="PAY_PER_REQUEST",
            AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
            KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        )  # fmt: skip
        while self.dynamodb.describe_table(TableName="shop")["Table"]["TableStatus"] != "ACTIVE":
            time.sleep(0.02)

    def put(self, key: str, size: int) -> None:
        body = key.encode() * (size // len(key))
        self.s3.put_object(Bucket="shop", Key=key, Body=body)
        self.objects[key] = body

    def item(self, key: str) -> None:
        value = key * 100
        self.dynamodb.put_item(TableName="shop", Item={"id": {"S": key}, "v": {"S": value}})
        self.items[key] = value

    def send(self, body: str) -> None:
        self.sqs.send_message(QueueUrl=self.queue, MessageBody=body)
        self.messages.add(body)

    def all_is_there(self) -> None:
        for key, body in self.objects.items():
            assert self.s3.get_object(Bucket="shop", Key=key)["Body"].read() == body
        found = {
            item["id"]["S"]: item["v"]["S"]
            for page in self.dynamodb.get_paginator("scan").paginate(TableName="shop")
            for item in page["Items"]
        }
        assert found == self.items
        keys = {
            entry["Key"]
            for page in self.s3.get_paginator("list_objects_v2").paginate(Bucket="shop")
            for entry in page["Contents"]
        }
        assert keys == set(self.objects)

    def every_message_is_there(self) -> None:
        found: set[str] = set()
        while len(found) < len(self.messages):
            got = self.sqs.receive_message(QueueUrl=self.queue, MaxNumberOfMessages=10)
            assert got.get("Messages"), f"{len(self.messages - found)} messages are lost"
            found |= {message["Body"] for message in got["Messages"]}
        assert found == self.messages

    def fill(self) -> None:
        """Fill the disk to the last byte, as another program might."""
        with self.ballast.open("ab", buffering=0) as file:
            for size in (65_536, 4_096, 1):
                with contextlib.suppress(OSError):
                    while True:
                        file.write(bytes(size))

    def free(self) -> None:
        self.ballast.unlink()


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    disk = tmp_path / "disk"
    disk.mkdir()
    words = [
        "unshare", "--user", "--map-root-user", "--mount",
        "sh", "-c", MOUNT, "sh", str(DISK_BYTES), str(disk),
    ]  # fmt: skip
    # Ended below; it ends by itself should this process be killed before.
    holder = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        assert holder.stdout is not None
        if holder.stdout.readline() != "mounted\n":
            pytest.skip(f"no file system of one's own here: {holder.communicate()[1]}")
        inside = ("nsenter", "-t", str(holder.pid), "--user", "--mount", "--preserve-credentials")
        with Server(disk / "data", before=inside, log=tmp_path / "server.log") as server:
            shop = Shop(server, Path(f"/proc/{holder.pid}/root{disk}/ballast"))
            shop.furnish()
            yield shop
            server.stop()
    finally:
        holder.kill()
        holder.communicate()


def until_refused(write: Any) -> ClientError:
    """The refusal that a write meets in the end."""
    for number in range(FULL_TRIES_MAX):
        try:
            write(number)
        except ClientError as error:
            return error
    raise AssertionError("the disk was never full")


def is_clear(error: ClientError, code: str) -> None:
    """A refusal that says what is wrong, in AWS's form."""
    assert error.response["ResponseMetadata"]["HTTPStatusCode"] == 503
    assert error.response["Error"]["Code"] == code
    assert "disk" in error.response["Error"]["Message"]
    assert "full" in error.response["Error"]["Message"]


def test_a_full_disk_refuses_writes_serves_reads_and_recovers(shop: Shop) -> None:
    for number in range(20):
        shop.put(f"small-{number}", 3_000)
        shop.put(f"large-{number}", 100_000)
        shop.item(f"item-{number}")
        shop.send(f"message-{number}")
    shop.fill()
    is_clear(until_refused(lambda n: shop.put(f"more-{n}", 70_000)), "ServiceUnavailable")
    is_clear(until_refused(lambda n: shop.put(f"little-{n}", 5_000)), "ServiceUnavailable")
    is_clear(until_refused(lambda n: shop.item(f"more-{n}")), "ServiceUnavailable")
    is_clear(until_refused(lambda n: shop.send(f"more-{n}")), "ServiceUnavailable")
    shop.all_is_there()
    shop.server.kill()
    shop.server.start()
    shop.all_is_there()
    is_clear(until_refused(lambda n: shop.item(f"still-{n}")), "ServiceUnavailable")
    shop.all_is_there()
    shop.free()
    for number in range(20):
        shop.put(f"again-{number}", 100_000)
        shop.item(f"again-{number}")
        shop.send(f"again-{number}")
    shop.all_is_there()
    shop.every_message_is_there()
