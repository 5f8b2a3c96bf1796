"""Celery with kombu's SQS transport, unchanged: a real worker, its acknowledgements, its death."""

from __future__ import annotations

import subprocess
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tools.install_clients import command

from .conftest import Account
from .programs import needs

pytestmark = [needs("celery"), pytest.mark.slow]


class Shop:
    """The application of `celery_tasks.py` on a queue of its own."""

    def __init__(self, account: Account, folder: Path) -> None:
        self.account = account
        self.sold = folder / "sold"
        self.sold.touch()
        self._folder = folder
        program = command("celery")
        assert program is not None
        self._celery = program
        self._environment = {
            **account.environment(),
            "BROKER": f"sqs://{account.number}:test@{account.endpoint.partition('//')[2]}",
            "QUEUE": "orders",
            "SOLD": str(self.sold),
            "PYTHONPATH": str(Path(__file__).parent),
        }

    @contextmanager
    def worker(self) -> Iterator[subprocess.Popen[bytes]]:
        """A worker of two processes; killed at the end if it has not ended."""
        with (self._folder / "worker.log").open("ab") as log:
            process = subprocess.Popen(
                [self._celery, "-A", "celery_tasks", "worker", "--pool=solo", "--loglevel=INFO",
                 "--without-gossip", "--without-mingle"],
                env=self._environment, cwd=self._folder, stdout=log, stderr=log,
            )  # fmt: skip
        try:
            yield process
        finally:
            process.kill()
            process.wait()

    def order(self, drinks: list[str], seconds: float = 0.0) -> None:
        """Send tasks as an application does."""
        code = (
            "import sys, celery_tasks\n"
            "for drink in sys.argv[2:]: celery_tasks.sold.delay(drink, float(sys.argv[1]))"
        )
        python = Path(self._celery).parent / "python"
        subprocess.run(
            [str(python), "-c", code, str(seconds), *drinks], env=self._environment, check=True,
            timeout=60,
        )  # fmt: skip

    def counts(self) -> Counter[str]:
        """How often each thing was begun and done."""
        return Counter(self.sold.read_text().splitlines())

    def waiting(self) -> tuple[int, int]:
        """Messages that wait, and those in flight."""
        sqs = self.account.client("sqs")
        url = sqs.get_queue_url(QueueName="orders")["QueueUrl"]
        found = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
        return (
            int(found["ApproximateNumberOfMessages"]),
            int(found["ApproximateNumberOfMessagesNotVisible"]),
        )

    def until(self, true: Callable[[], bool], seconds: float = 40) -> None:
        """Wait for something, within reason."""
        deadline = time.monotonic() + seconds
        while not true():
            said = (self._folder / "worker.log").read_text(errors="replace")
            assert time.monotonic() < deadline, f"{self.counts()}\n{said[-3_000:]}"
            time.sleep(0.1)


def test_each_task_is_done_once_and_acknowledged(account: Account, tmp_path: Path) -> None:
    shop = Shop(account, tmp_path)
    drinks = [f"drink-{number}" for number in range(30)]
    shop.order(drinks)
    assert shop.waiting() == (30, 0)
    with shop.worker():
        shop.until(lambda: sum(shop.counts().values()) >= 60)
        shop.until(lambda: shop.waiting() == (0, 0))
    assert shop.counts() == Counter(
        f"{what} {drink}" for what in ("begun", "done") for drink in drinks
    )


def test_a_task_of_a_worker_that_was_killed_is_done_by_the_next(
    account: Account, tmp_path: Path
) -> None:
    """It was not acknowledged, so it comes back when its visibility timeout (5 s) is over."""
    shop = Shop(account, tmp_path)
    shop.order(["mocha"], seconds=2)
    with shop.worker() as worker:
        shop.until(lambda: shop.counts()["begun mocha"] == 1)
        worker.kill()
    assert shop.waiting() == (0, 1), "in flight until its time is over"
    with shop.worker():
        shop.until(lambda: shop.counts()["done mocha"] == 1)
        shop.until(lambda: shop.waiting() == (0, 0))
    assert shop.counts() == {"begun mocha": 2, "done mocha": 1}
