"""A cloud in a process of its own for all tests of real clients; each test has its account.

The slow set runs them all once more with two gateways on one PostgreSQL, each client at the next one.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import boto3
import pytest
from botocore.config import Config

from tests.crash.servers import Server
from tests.kernel.postgres_server import schema_url

REGION = "us-east-1"
_accounts = itertools.count(1)


class Account:
    """An account of the cloud, by convenience keys: its number, and the secret `test`."""

    def __init__(self, endpoints: list[str], number: str) -> None:
        self.endpoint = endpoints[0]
        self.number = number
        self._next = itertools.cycle(endpoints)

    def client(self, service: str, *, keys: tuple[str, ...] | None = None, **config: Any) -> Any:
        """A boto3 client; `keys` are access key, secret and maybe token, or () for none."""
        names = ("aws_access_key_id", "aws_secret_access_key", "aws_session_token")
        given = (self.number, "test") if keys is None else keys
        return boto3.client(
            service, endpoint_url=next(self._next), region_name=config.pop("region", REGION),
            config=Config(retries={"max_attempts": 1}, **config),
            **dict(zip(names, given, strict=False)),
        )  # fmt: skip

    def environment(self) -> dict[str, str]:
        """What points the CLI and Terraform here."""
        inherited = {name: value for name, value in os.environ.items() if "AWS" not in name}
        return {
            **inherited,
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_ACCESS_KEY_ID": self.number,
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_DEFAULT_REGION": REGION,
            "AWS_REGION": REGION,
            "AWS_PAGER": "",
            "AWS_EC2_METADATA_DISABLED": "true",
        }


@pytest.fixture(
    scope="session", params=["sqlite", pytest.param("postgresql", marks=pytest.mark.slow)]
)
def endpoints(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[list[str]]:
    """Where a cloud answers that lasts as long as the tests."""
    data = tmp_path_factory.mktemp("cloud") / "data"
    stores = [()] if request.param == "sqlite" else [("--store", schema_url())] * 2
    with ExitStack() as stack:
        yield [
            f"http://localhost:{stack.enter_context(Server(data, *options, name=str(n))).port}"
            for n, options in enumerate(stores)
        ]


@pytest.fixture
def account(endpoints: list[str]) -> Account:
    """An account that nobody has used."""
    return Account(endpoints, f"{next(_accounts):012d}")
