"""The coffee shop on a cloud of its own: `make demo`.

Every step runs through unmodified clients (boto3, plain HTTP) against a cloud that this program
starts on a free port, kills and starts again. The last line is computed from what is stored.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

from demo.bells import bells
from demo.newsletter import newsletter

ORDERS_BEFORE = 24
ORDERS_IN_THE_STORM = 40
DRINKS = ("espresso", "cappuccino", "flat white", "americano")
READY_SECONDS_MAX = 20.0
VISIBILITY_SECONDS = 3


def say(text: str) -> None:
    """One line of the story."""
    print(text, flush=True)


class Cloud:
    """A cloud in a process of its own."""

    def __init__(self, data: Path) -> None:
        self.data = data
        self.port = 0
        self.endpoint = ""
        self._process: subprocess.Popen[str] | None = None

    def start(self) -> float:
        """Start and wait for `Ready.`; how long it took, in seconds."""
        began = time.monotonic()
        words = ["start", "--port", str(self.port), "--data", str(self.data)]
        self._process = subprocess.Popen(
            [sys.executable, "-m", "doppio", *words], stdout=subprocess.PIPE, text=True
        )
        assert self._process.stdout is not None
        for line in self._process.stdout:
            found = re.match(r"Endpoint\s+(\S+:(\d+))", line)
            if found:
                self.endpoint, self.port = found[1], int(found[2])
            if line.strip() == "Ready.":
                return time.monotonic() - began
        raise SystemExit("the cloud did not start")

    def kill(self) -> None:
        """Pull the plug."""
        assert self._process is not None
        self._process.send_signal(signal.SIGKILL)
        self._process.wait()

    def stop(self) -> None:
        """Stop it properly."""
        if self._process is not None and self._process.poll() is None:
            self._process.terminate()
            self._process.wait()

    def doppio(self, *words: str) -> str:
        """What a `doppio` command says about this cloud."""
        done = subprocess.run(
            [sys.executable, "-m", "doppio", *words, "--data", str(self.data)],
            capture_output=True, text=True, check=True,
        )  # fmt: skip
        return done.stdout.strip()


class Shop:
    """The coffee shop's resources and what happens in it."""

    def __init__(self, cloud: Cloud) -> None:
        self.cloud = cloud
        self.acknowledged: set[str] = set()
        self.keys: dict[str, str] = {}
        self.queue = self.flyers = ""

    def client(self, service: str, **keys: str) -> Any:
        """A boto3 client, of the owner unless other keys are given."""
        return boto3.client(
            service,
            endpoint_url=self.cloud.endpoint,
            region_name="us-east-1",
            aws_access_key_id=keys.get("access_key", "test"),
            aws_secret_access_key=keys.get("secret", "test"),
            config=Config(retries={"max_attempts": 3, "mode": "standard"}, signature_version="v4"),
        )

    def open(self) -> None:
        """Create what the shop needs."""
        self.client("s3").create_bucket(Bucket="coffee-orders")
        sqs = self.client("sqs")
        attributes = {"VisibilityTimeout": str(VISIBILITY_SECONDS)}
        self.queue = sqs.create_queue(QueueName="orders", Attributes=attributes)["QueueUrl"]
        self.flyers = sqs.create_queue(
            QueueName="flyers", Attributes={"MessageRetentionPeriod": str(4 * 86_400)}
        )["QueueUrl"]
        for table in ("order-book", "till"):
            self.client("dynamodb").create_table(
                TableName=table,
                BillingMode="PAY_PER_REQUEST",
                AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
                KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
            )
        waiter = self.client("dynamodb").get_waiter("table_exists")
        for table in ("order-book", "till"):
            waiter.wait(TableName=table, WaiterConfig={"Delay": 1})
        self._hire()

    def _hire(self) -> None:
        iam = self.client("iam")
        iam.create_user(UserName="barista")
        statements = [
            {"Effect": "Allow", "Action": ["sqs:ReceiveMessage", "sqs:DeleteMessage"],
             "Resource": "arn:aws:sqs:us-east-1:000000000000:orders"},
            {"Effect": "Allow", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::coffee-orders/*"},
            {"Effect": "Allow", "Action": "dynamodb:UpdateItem",
             "Resource": "arn:aws:dynamodb:us-east-1:000000000000:table/order-book"},
        ]  # fmt: skip
        iam.put_user_policy(
            UserName="barista",
            PolicyName="brew",
            PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": statements}),
        )
        key = iam.create_access_key(UserName="barista")["AccessKey"]
        self.keys = {"access_key": key["AccessKeyId"], "secret": key["SecretAccessKey"]}

    def order(self, number: int) -> bool:
        """A customer hands in an order by a presigned URL; the cashier queues a slip for it."""
        name = f"order-{number:03d}"
        content = json.dumps({"id": name, "drink": DRINKS[number % len(DRINKS)]}).encode()
        s3 = self.client("s3")
        url = s3.generate_presigned_url(
            "put_object", Params={"Bucket": "coffee-orders", "Key": name}, ExpiresIn=300
        )
        request = urllib.request.Request(url, data=content, method="PUT")
        with urllib.request.urlopen(request, timeout=5) as answer:
            if answer.status != 200:
                return False
        self.client("sqs").send_message(
            QueueUrl=self.queue, MessageBody=json.dumps({"order": name})
        )
        self.acknowledged.add(name)
        return True

    @contextmanager
    def barista(self, name: str, dies_at: int = -1) -> Iterator[subprocess.Popen[str]]:
        """A barista at work in a process of its own, with the barista's own keys."""
        environment = {
            **os.environ,
            "AWS_ENDPOINT_URL": self.cloud.endpoint,
            "AWS_ACCESS_KEY_ID": self.keys["access_key"],
            "AWS_SECRET_ACCESS_KEY": self.keys["secret"],
            "AWS_DEFAULT_REGION": "us-east-1",
        }
        words = [name, self.queue, "coffee-orders", str(dies_at)]
        process = subprocess.Popen(
            [sys.executable, "-m", "demo.barista", *words],
            env=environment, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        try:
            yield process
        finally:
            if process.poll() is None:
                process.kill()
            process.wait()

    def in_the_book(self) -> dict[str, int]:
        """Orders in the book, with how often each was delivered."""
        found: dict[str, int] = {}
        for page in self.client("dynamodb").get_paginator("scan").paginate(TableName="order-book"):
            for item in page["Items"]:
                found[item["id"]["S"]] = int(item["deliveries"]["N"])
        return found

    def waiting(self) -> int:
        """Order slips in the queue, in flight or not."""
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        found = self.client("sqs").get_queue_attributes(QueueUrl=self.queue, AttributeNames=names)
        return sum(int(value) for value in found["Attributes"].values())


def first_orders(shop: Shop) -> None:
    """Orders come in; a barista dies half-way; another goes on."""
    with ThreadPoolExecutor(8) as customers:
        list(customers.map(shop.order, range(ORDERS_BEFORE)))
    say(f"   {len(shop.acknowledged)} orders in S3 by presigned URL, {shop.waiting()} slips in SQS")
    with shop.barista("Anna", dies_at=5) as anna:
        assert anna.stdout is not None
        say("   " + anna.stdout.readline().strip())
        anna.kill()
    say(
        f"   Anna is killed; her slips come back after {VISIBILITY_SECONDS} s: {shop.waiting()} wait"
    )
    with shop.barista("Ben") as ben:
        assert ben.stdout is not None
        say("   " + ben.stdout.readline().strip())
    book = shop.in_the_book()
    twice = sum(1 for times in book.values() if times > 1)
    say(f"   the order book holds {len(book)} orders, {twice} of them delivered more than once")


def denied(shop: Shop) -> None:
    """The barista may not read the till."""
    till = shop.client("dynamodb", **shop.keys)
    try:
        till.get_item(TableName="till", Key={"id": {"S": "today"}})
    except ClientError as error:
        say(f"   {error.response['Error']['Code']}: {error.response['Error']['Message']}")
        request_id = error.response["ResponseMetadata"]["RequestId"]
        for line in shop.cloud.doppio("why", request_id).splitlines():
            say(f"   | {line}")
        return
    raise SystemExit("the barista has read the till")


def storm(shop: Shop) -> None:
    """The plug is pulled while customers order; what was acknowledged is there afterwards."""
    failed = 0
    numbers = range(ORDERS_BEFORE, ORDERS_BEFORE + ORDERS_IN_THE_STORM)

    def attempt(number: int) -> bool:
        try:
            return shop.order(number)
        except Exception:  # whatever a client raises when its cloud vanishes
            return False

    with ThreadPoolExecutor(4) as customers:
        attempts = [customers.submit(attempt, number) for number in numbers]
        while sum(one.done() for one in attempts) < ORDERS_IN_THE_STORM // 2:
            time.sleep(0.002)
        shop.cloud.kill()
        failed = sum(not one.result() for one in attempts)
    say(
        f"   SIGKILL in the middle: {failed} customers saw an error and know that they must ask again"
    )
    say(f"   started again in {shop.cloud.start():.2f} s with the same data")
    with shop.barista("Chris") as chris:
        assert chris.stdout is not None
        say("   " + chris.stdout.readline().strip())


def a_week(shop: Shop) -> None:
    """Retention does its work when time passes."""
    sqs = shop.client("sqs")
    sqs.send_message(QueueUrl=shop.flyers, MessageBody="today only: two for one")
    names = ["ApproximateNumberOfMessages"]

    def flyers() -> str:
        found = sqs.get_queue_attributes(QueueUrl=shop.flyers, AttributeNames=names)
        return str(found["Attributes"]["ApproximateNumberOfMessages"])

    before = flyers()
    say(
        f"   {before} flyer waits; doppio clock advance 7d: {shop.cloud.doppio('clock', 'advance', '7d')}"
    )
    taken = sqs.receive_message(QueueUrl=shop.flyers).get("Messages", [])
    say(f"   retention was 4 days: {flyers()} flyers wait, {len(taken)} can be received")
    if before != "1" or taken:
        raise SystemExit("retention has not done its work")


def reckon(shop: Shop) -> int:
    """Compare what was acknowledged with what is stored; the number lost."""
    stored: set[str] = set()
    for page in shop.client("s3").get_paginator("list_objects_v2").paginate(Bucket="coffee-orders"):
        stored.update(entry["Key"] for entry in page.get("Contents", []))
    book = set(shop.in_the_book())
    lost = {name for name in shop.acknowledged if name not in stored or name not in book}
    say(f"{len(shop.acknowledged)} orders, {len(lost)} lost")
    return len(lost)


def main() -> None:
    """The whole story."""
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="coffee-shop-") as folder:
        cloud = Cloud(Path(folder))
        shop = Shop(cloud)
        try:
            say(f"1. A cloud of our own: ready in {cloud.start():.2f} s at {cloud.endpoint}")
            shop.open()
            say("2. Opening time: a bucket, two queues, two tables, a barista with least privilege")
            say("3. Orders")
            first_orders(shop)
            say("4. The barista looks into the till")
            denied(shop)
            say("5. The plug is pulled")
            storm(shop)
            say("6. News: one newsletter against one topic per interest")
            newsletter(shop.client, say)
            say("7. Bells: orders, alarms and what people do, by rules")
            bells(shop.client, say, lambda time: cloud.doppio("clock", "advance", time))
            say("8. A week goes by")
            a_week(shop)
            say(f"9. The reckoning, after {time.monotonic() - began:.0f} s")
            lost = reckon(shop)
        finally:
            cloud.stop()
    sys.exit(1 if lost else 0)


if __name__ == "__main__":
    main()
