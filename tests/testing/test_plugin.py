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


def test_one_that_has_stopped_starts_again(tmp_path: Path) -> None:
    cloud = Cloud(data=tmp_path)
    for turn in range(3):
        with cloud:
            assert len(cloud.client("sqs").list_queues().get("QueueUrls", [])) == turn
            cloud.client("sqs").create_queue(QueueName=f"q{turn}")
        cloud.stop()
    throw_away = Cloud()
    for _ in range(2):
        with throw_away:
            assert "QueueUrls" not in throw_away.client("sqs").list_queues()
            throw_away.client("sqs").create_queue(QueueName="q")


def test_one_whose_start_failed_starts_when_nothing_is_in_the_way(tmp_path: Path) -> None:
    late = Cloud(data=tmp_path)
    with Cloud(data=tmp_path), pytest.raises(Exception, match="in use"):
        late.start()
    with late:
        assert late.client("sqs").list_queues()["ResponseMetadata"]


def test_clients_have_their_own_accounts_and_what_else_they_are_given(
    doppio_cloud: Cloud,
) -> None:
    one, other = doppio_cloud.account(), doppio_cloud.account()
    for account in (one, other):
        assert account.client("sts").get_caller_identity()["Account"] == account.account_id
    elsewhere = one.client("sqs", region_name="eu-west-1", aws_access_key_id=other.account_id)
    url = elsewhere.create_queue(QueueName="q")["QueueUrl"]
    assert other.account_id in url
    assert "QueueUrls" not in other.client("sqs").list_queues()
    assert other.resource("sqs", region_name="eu-west-1").Queue(url).attributes


def test_a_second_client_reads_no_model_again(doppio_cloud: Cloud) -> None:
    doppio_cloud.account().client("sqs")
    begun = time.process_time()
    for _ in range(20):
        doppio_cloud.account().client("sqs")
    assert time.process_time() - begun < 20 * 0.04


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
