"""One cloud in a process of its own for all tests of real clients; each test has its account."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from botocore.config import Config

from tests.crash.servers import Server

REGION = "us-east-1"
_accounts = itertools.count(1)


class Account:
    """An account of the cloud, by convenience keys: its number, and the secret `test`."""

    def __init__(self, endpoint: str, number: str) -> None:
        self.endpoint = endpoint
        self.number = number

    def client(self, service: str, *, keys: tuple[str, ...] | None = None, **config: Any) -> Any:
        """A boto3 client; `keys` are access key, secret and maybe token, or () for none."""
        names = ("aws_access_key_id", "aws_secret_access_key", "aws_session_token")
        given = (self.number, "test") if keys is None else keys
        return boto3.client(
            service, endpoint_url=self.endpoint, region_name=config.pop("region", REGION),
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


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A cloud that lasts as long as the tests."""
    with Server(tmp_path_factory.mktemp("cloud") / "data") as running:
        yield running


@pytest.fixture
def account(server: Server) -> Account:
    """An account that nobody has used."""
    return Account(f"http://localhost:{server.port}", f"{next(_accounts):012d}")
