"""boto3 without its retries: each call is answered, or nobody knows whether it was carried out."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable
from typing import Any, TypeVar

import boto3
from botocore.config import Config
from botocore.exceptions import (
    ClientError,
    EndpointConnectionError,
    HTTPClientError,
    IncompleteReadError,
    ReadTimeoutError,
    ResponseStreamingError,
)
from botocore.exceptions import ConnectionError as NoConnection

T = TypeVar("T")
ANSWER_SECONDS_MAX = 20.0
SERVICES = ("s3", "sqs", "dynamodb")
_GONE = (NoConnection, HTTPClientError, IncompleteReadError, ResponseStreamingError)


class Unanswered(Exception):
    """The cloud went away during a call: it was carried out, or it was not."""


class Unsent(Unanswered):
    """Nobody listened: it was not carried out."""


class Over(Exception):
    """The load is over; raised out of a read that still waits for an answer."""


class Clients:
    """Clients of one or several gateways; each call goes to any of them."""

    def __init__(self, endpoints: list[str], *, region: str = "us-east-1") -> None:
        session = boto3.Session("test", "test", region_name=region)
        config = Config(
            retries={"total_max_attempts": 1}, connect_timeout=5, read_timeout=ANSWER_SECONDS_MAX,
            max_pool_connections=32, s3={"addressing_style": "path"},
        )  # fmt: skip
        self._clients = [
            {name: session.client(name, endpoint_url=endpoint, config=config) for name in SERVICES}
            for endpoint in endpoints
        ]
        self.over = threading.Event()

    def call(self, service: str, method: str, **req: Any) -> dict[str, Any]:
        """One call. Raises Unanswered, or ClientError where the cloud refuses.

        A server error that is no plain "not now" is a defect, whenever it comes.
        """
        client = random.choice(self._clients)[service]
        try:
            result: dict[str, Any] = getattr(client, method)(**req)
            if "Body" in result:
                result["Body"] = result["Body"].read()
        except ReadTimeoutError as error:
            raise AssertionError(f"{service}:{method} was not answered in time") from error
        except _GONE as error:
            # A moment, so that a killed gateway's last commit is through or lost.
            time.sleep(0.1)
            kind = Unsent if isinstance(error, EndpointConnectionError) else Unanswered
            raise kind(f"{service}:{method}: {error}") from error
        except ClientError as error:
            status = error.response["ResponseMetadata"]["HTTPStatusCode"]
            if status == 503:
                raise Unanswered(str(error)) from error
            if status >= 500:
                raise AssertionError(f"{service}:{method}: {error}") from error
            raise
        return result

    def surely(self, service: str, method: str, **req: Any) -> dict[str, Any]:
        """A call that may be made twice, made until it is answered."""
        return self.until_answered(lambda: self.call(service, method, **req))

    def until_answered(self, call: Callable[[], T]) -> T:
        """The first answer. Raises Over when the load ends before there is one."""
        deadline = time.monotonic() + ANSWER_SECONDS_MAX
        while True:
            try:
                return call()
            except Unanswered:
                if self.over.is_set():
                    raise Over from None
                assert time.monotonic() < deadline, "the cloud stays away"


def code(error: ClientError) -> str:
    """AWS's name of a refusal."""
    name: str = error.response["Error"]["Code"]
    return name
