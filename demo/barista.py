"""The barista: takes orders from the queue, brews them and writes them into the order book.

A process of its own with its own credentials, so that it can be killed half-way. It deletes an
order slip only after the coffee stands in the book: whoever dies in between leaves the slip to the
next barista.
"""

from __future__ import annotations

import json
import sys
import time
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

IDLE_SECONDS_MAX = 3.0
# An outage of the cloud is waited out; the shop stays open.
PATIENCE_SECONDS = 30.0


def brew(name: str, queue_url: str, bucket: str, dies_at: int) -> int:
    """Work until no order has come for a while; the number of coffees brewed."""
    config = Config(retries={"max_attempts": 8, "mode": "standard"}, connect_timeout=2)
    sqs, s3, book = (boto3.client(service, config=config) for service in ("sqs", "s3", "dynamodb"))
    brewed, idle_since, down_since = 0, time.monotonic(), None
    while time.monotonic() - idle_since < IDLE_SECONDS_MAX:
        try:
            slips = sqs.receive_message(
                QueueUrl=queue_url, MaxNumberOfMessages=4, WaitTimeSeconds=1
            ).get("Messages", [])
            for slip in slips:
                order = json.loads(read(s3, bucket, json.loads(slip["Body"])["order"]))
                if dies_at == brewed:
                    print(f"{name} takes {order['id']} and drops dead", flush=True)
                    time.sleep(60)
                enter(book, order, name)
                sqs.delete_message(QueueUrl=queue_url, ReceiptHandle=slip["ReceiptHandle"])
                brewed += 1
                idle_since = time.monotonic()
            down_since = None
        except (BotoCoreError, ClientError):
            down_since = down_since or time.monotonic()
            if time.monotonic() - down_since > PATIENCE_SECONDS:
                raise
            idle_since = time.monotonic()
            time.sleep(0.2)
    return brewed


def read(s3: Any, bucket: str, key: str) -> bytes:
    """The order as the customer wrote it."""
    content: bytes = s3.get_object(Bucket=bucket, Key=key)["Body"].read()
    return content


def enter(book: Any, order: dict[str, Any], name: str) -> None:
    """Write a coffee into the book; an order that comes twice is counted twice and brewed once."""
    book.update_item(
        TableName="order-book",
        Key={"id": {"S": order["id"]}},
        UpdateExpression="SET drink = :drink, barista = :barista ADD deliveries :one",
        ExpressionAttributeValues={
            ":drink": {"S": order["drink"]}, ":barista": {"S": name}, ":one": {"N": "1"},
        },
    )  # fmt: skip


def main() -> None:
    """`python -m demo.barista NAME QUEUE_URL BUCKET [DIES_AT]`."""
    name, queue_url, bucket = sys.argv[1:4]
    dies_at = int(sys.argv[4]) if len(sys.argv) > 4 else -1
    print(f"{name} has brewed {brew(name, queue_url, bucket, dies_at)} coffees", flush=True)


if __name__ == "__main__":
    main()
