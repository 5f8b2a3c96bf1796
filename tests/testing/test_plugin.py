"""`doppio.testing`, as somebody else's tests use it."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest

from doppio.testing import Account, Cloud


def test_a_cloud_is_a_context_manager() -> None:
    with Cloud() as cloud:
        sqs = cloud.client("sqs")
        url = sqs.create_queue(QueueName="q", Attributes={"MessageRetentionPeriod": "3600"})[
            "QueueUrl"
        ]
        sqs.send_message(QueueUrl=url, MessageBody="x")
        cloud.advance("2h")
        assert "Messages" not in sqs.receive_message(QueueUrl=url)
        cloud.resource("s3").create_bucket(Bucket="menu")
        assert cloud.environment()["AWS_ENDPOINT_URL"] == cloud.endpoint_url


def test_with_a_folder_everything_is_there_at_the_next_start(tmp_path: Path) -> None:
    with Cloud(data=tmp_path) as cloud:
        cloud.client("sqs").create_queue(QueueName="q")
    with Cloud(data=tmp_path) as cloud:
        assert len(cloud.client("sqs").list_queues()["QueueUrls"]) == 1


def test_a_start_that_fails_raises_here(tmp_path: Path) -> None:
    with Cloud(data=tmp_path), pytest.raises(Exception, match="in use"):
        Cloud(data=tmp_path).start()


@pytest.mark.parametrize("turn", [1, 2])
def test_the_fixture_gives_each_test_an_empty_account(cloud: Account, turn: int) -> None:
    assert cloud.client("sqs").list_queues().get("QueueUrls", []) == []
    cloud.client("sqs").create_queue(QueueName="q")


def test_an_account_takes_milliseconds(doppio_cloud: Cloud) -> None:
    begun = time.perf_counter()
    for _ in range(100):
        doppio_cloud.account()
    assert time.perf_counter() - begun < 0.5


def test_the_plugin_comes_with_the_package(tmp_path: Path) -> None:
    (tmp_path / "test_shop.py").write_text(
        "def test_order(cloud):\n"
        "    cloud.client('s3').create_bucket(Bucket='orders')\n"
        "    assert len(cloud.account_id) == 12\n"
    )
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(tmp_path)],
        capture_output=True, text=True, check=False, cwd=tmp_path,
    )  # fmt: skip
    assert "1 passed" in done.stdout, done.stdout + done.stderr
