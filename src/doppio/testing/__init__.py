"""A cloud for anyone's tests.

    from doppio.testing import Cloud

    with Cloud() as cloud:
        s3 = cloud.client("s3")
        s3.create_bucket(Bucket="orders")

Or, with pytest, ask for the fixture `cloud`: one cloud serves the whole run, and each test gets a
fresh account in it, with nothing in it, within milliseconds.
"""

from __future__ import annotations

import itertools
import os
import threading
from datetime import timedelta
from functools import cache
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from doppio.app import Settings
from doppio.kernel.clock import duration
from doppio.server import InThread

_accounts = itertools.count(1)
# A session makes one client at a time.
_making = threading.Lock()
REGION = "us-east-1"


@cache
def _session() -> Any:
    """The session of all clients: one that is new reads every model again, a tenth of a second each."""
    import boto3

    return boto3.Session()


class Account:
    """One account of a running cloud, and clients that act as its root user."""

    def __init__(self, endpoint: str, account_id: str, thread: InThread) -> None:
        self.endpoint_url = endpoint
        self.account_id = account_id
        self.region = REGION
        self.access_key_id = account_id
        self.secret_access_key = "test"
        self._thread = thread

    def client(self, service: str, **more: Any) -> Any:
        """A boto3 client of this account; `more` as for `boto3.client`."""
        with _making:
            return _session().client(service, **self._where(more))

    def resource(self, service: str, **more: Any) -> Any:
        """A boto3 resource of this account."""
        with _making:
            return _session().resource(service, **self._where(more))

    def environment(self) -> dict[str, str]:
        """Environment variables that point the CLI, an SDK or Terraform here."""
        return {
            "AWS_ENDPOINT_URL": self.endpoint_url,
            "AWS_ACCESS_KEY_ID": self.access_key_id,
            "AWS_SECRET_ACCESS_KEY": self.secret_access_key,
            "AWS_DEFAULT_REGION": self.region,
            "AWS_REGION": self.region,
        }

    def advance(self, by: str | timedelta) -> None:
        """Let cloud time pass at once: `"30d"`, `"2h"`, or a timedelta."""
        running = self._thread.running
        assert running is not None
        step = duration(by) if isinstance(by, str) else by
        self._thread.call(running.cloud.set_clock(running.cloud.clock.advanced(step)))

    def _where(self, more: dict[str, Any]) -> dict[str, Any]:
        return {
            "endpoint_url": self.endpoint_url,
            "region_name": self.region,
            "aws_access_key_id": self.access_key_id,
            "aws_secret_access_key": self.secret_access_key,
            **more,
        }


class Cloud(Account):
    """A cloud in this process, on a free port; a context manager.

    Without `data` everything is gone at the end. `account()` gives further empty accounts.
    """

    def __init__(self, *, data: str | os.PathLike[str] | None = None, port: int = 0) -> None:
        settings = Settings(data=None if data is None else Path(data), port=port)
        super().__init__("", "000000000000", InThread(settings))

    def start(self) -> Self:
        """Start, and wait until it answers."""
        self.endpoint_url = self._thread.start().endpoint
        return self

    def stop(self) -> None:
        """Stop; with `data`, everything is there at the next start."""
        self._thread.stop()

    def account(self) -> Account:
        """An account that nobody has used in this process."""
        return Account(self.endpoint_url, f"{next(_accounts):012d}", self._thread)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()
