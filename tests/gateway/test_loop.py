"""The loop that a cloud runs on."""

from __future__ import annotations

import asyncio
import subprocess
import sys

import boto3
import pytest
import uvloop

from doppio.gateway import loop
from doppio.testing import Cloud
from tests.crash.servers import free_port

WITHOUT = "import sys; sys.modules['uvloop'] = None; from doppio.cli.main import main; main()"


async def running() -> asyncio.AbstractEventLoop:
    return asyncio.get_running_loop()


def test_it_is_uvloop_where_there_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    assert isinstance(loop.run(running()), uvloop.Loop)
    monkeypatch.setitem(sys.modules, "uvloop", None)
    assert not isinstance(loop.run(running()), uvloop.Loop)


def test_a_cloud_for_tests_runs_on_what_a_cloud_runs_on() -> None:
    with Cloud() as cloud:
        assert isinstance(cloud._thread.call(running()), uvloop.Loop)


def test_a_cloud_runs_without_it_as_well() -> None:
    port = free_port()
    process = subprocess.Popen(
        [sys.executable, "-c", WITHOUT, "start", "--ephemeral", "--port", str(port)],
        stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        assert process.stdout is not None
        assert any(line == "Ready.\n" for line in process.stdout)
        s3 = boto3.client(
            "s3", endpoint_url=f"http://localhost:{port}", region_name="us-east-1",
            aws_access_key_id="test", aws_secret_access_key="test",
        )  # fmt: skip
        s3.create_bucket(Bucket="menu")
        body = bytes(range(256)) * 40_000
        s3.put_object(Bucket="menu", Key="wine", Body=body)
        assert s3.get_object(Bucket="menu", Key="wine")["Body"].read() == body
    finally:
        process.terminate()
    assert process.wait(20) == 0
