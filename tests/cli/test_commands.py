"""The commands as a user types them."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import ssl
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from doppio import __version__
from tests.crash.servers import Server, free_port


def doppio(*words: str, status: int = 0, data: Path | None = None, **environment: str) -> str:
    """Run a command; what it prints on both outputs."""
    named = () if data is None else ("--data", str(data))
    done = subprocess.run(
        [sys.executable, "-m", "doppio", *words, *named], capture_output=True, text=True,
        check=False, timeout=60, env={**os.environ, **environment},
    )  # fmt: skip
    assert done.returncode == status, done.stdout + done.stderr
    return done.stdout + done.stderr


def client(
    endpoint: str, service: str, key: str = "test", secret: str = "test", **more: Any
) -> Any:
    """A boto3 client."""
    return boto3.client(
        service, endpoint_url=endpoint, region_name="us-east-1", aws_access_key_id=key,
        aws_secret_access_key=secret, config=Config(retries={"max_attempts": 1}), **more,
    )  # fmt: skip


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    """A cloud of this test's own."""
    with Server(tmp_path / "data") as running:
        yield running


def test_a_start_says_what_a_user_needs_and_keeps_secrets_to_its_owner(tmp_path: Path) -> None:
    data = tmp_path / "data"
    with Server(data) as server:
        until = time.monotonic() + 30
        # It answers before it says so.
        while "Ready." not in (said := server.said()) and time.monotonic() < until:
            time.sleep(0.01)
        assert f"Endpoint   http://localhost:{server.port}" in said
        assert "Account    000000000000" in said
        assert f"export AWS_ENDPOINT_URL=http://localhost:{server.port}" in said
        assert said.rstrip().endswith("Ready.")
        found = re.search(r"Root key   (AKIA\S+) \(secret in (.+)\)", said)
        assert found is not None
        credentials = Path(found[2]).read_text()
        secret = re.search(r"aws_secret_access_key = (\S+)", credentials)
        assert secret is not None
        me = client(server.endpoint, "sts", found[1], secret[1]).get_caller_identity()
        assert me["Arn"] == "arn:aws:iam::000000000000:root"
        for path in (data / "credentials", data / "cloud.json"):
            assert path.stat().st_mode & 0o777 == 0o600
        assert data.stat().st_mode & 0o777 == 0o700


def test_status_stop_and_start_again(server: Server, tmp_path: Path) -> None:
    data = tmp_path / "data"
    client(server.endpoint, "sqs").create_queue(QueueName="q")
    shown = doppio("status", data=data)
    assert "Isolation  " in shown
    assert f"Endpoint   http://localhost:{server.port}" in shown
    assert f"Pid        {server.pid}" in shown
    assert doppio("stop", data=data) == "Stopped.\n"
    assert "No cloud runs" in doppio("status", data=data, status=3)
    assert "no cloud runs" in doppio("stop", data=data, status=1)
    assert server.process is not None
    assert server.process.wait(5) == 0
    server.start()
    assert len(client(server.endpoint, "sqs").list_queues()["QueueUrls"]) == 1


def test_a_second_cloud_on_one_directory_is_refused(server: Server, tmp_path: Path) -> None:
    said = doppio("start", "--port", str(free_port()), data=tmp_path / "data", status=1)
    assert f"is in use by the process with pid {server.pid}" in said
    assert "stop that cloud first" in said
    assert client(server.endpoint, "sqs").list_queues()["ResponseMetadata"]


def test_a_killed_clouds_pid_that_somebody_else_has_now_is_left_alone(tmp_path: Path) -> None:
    data = tmp_path / "data"
    with Server(data) as server:
        server.kill()
        left = json.loads((data / "cloud.json").read_bytes())
        assert left["pid"] == server.pid
        somebody = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
        try:
            (data / "cloud.json").write_text(json.dumps({**left, "pid": somebody.pid}))
            assert "No cloud runs" in doppio("status", data=data, status=3)
            assert "no cloud runs" in doppio("stop", data=data, status=1)
            server.start()
            assert f"Pid        {server.pid}" in doppio("status", data=data)
            assert somebody.poll() is None
        finally:
            somebody.kill()
            somebody.communicate()


def test_a_killed_cloud_that_nobody_has_waited_for_runs_no_more(tmp_path: Path) -> None:
    data = tmp_path / "data"
    with Server(data) as server:
        assert server.process is not None
        server.process.kill()
        os.waitid(os.P_PID, server.pid, os.WEXITED | os.WNOWAIT)
        assert "No cloud runs" in doppio("status", data=data, status=3)


def test_the_next_cloud_starts_as_soon_as_one_has_stopped(tmp_path: Path) -> None:
    data, port = tmp_path / "data", str(free_port())
    for _ in range(3):
        assert "Ready." in doppio("start", "--detach", "--port", port, data=data)
        assert doppio("stop", data=data) == "Stopped.\n"


def test_a_directory_that_cannot_be_made_is_said_to_be(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    for words in (("start",), ("start", "--detach")):
        said = doppio(*words, "--port", "0", data=tmp_path / "file" / "data", status=1)
        assert "doppio: cannot use" in said
        assert str(tmp_path / "file") in said
        assert "Not a directory" in said
        assert "Traceback" not in said


def test_a_start_in_the_background_that_fails_says_why(server: Server, tmp_path: Path) -> None:
    data = tmp_path / "other"
    said = doppio("start", "--detach", "--port", str(server.port), data=data, status=1)
    assert f"cannot listen on port {server.port}" in said
    assert f"its log is {data / 'doppio.log'}" in said


def test_a_port_that_is_taken_is_said_to_be(server: Server, tmp_path: Path) -> None:
    said = doppio("start", "--port", str(server.port), data=tmp_path / "other", status=1)
    assert f"cannot listen on port {server.port}" in said
    assert "Traceback" not in said


@pytest.mark.parametrize("harm", ["garbage", "cut off", "gone"])
def test_a_damaged_directory_is_refused_with_what_to_do(tmp_path: Path, harm: str) -> None:
    data = tmp_path / "data"
    with Server(data) as server:
        s3 = client(server.endpoint, "s3")
        s3.create_bucket(Bucket="menu")
        s3.put_object(Bucket="menu", Key="large", Body=bytes(300_000))
        server.stop()
    database = data / "store" / "state.db"
    if harm == "garbage":
        database.write_bytes(os.urandom(100_000))
    elif harm == "cut off":
        os.truncate(database, database.stat().st_size // 2)
    else:
        shutil.rmtree(data / "store")
    before = sorted(str(path) for path in data.rglob("*"))
    said = doppio("start", "--port", str(free_port()), data=data, status=1)
    assert "doppio: " in said
    assert re.search(r"[Rr]estore|move it away", said), said
    assert "Traceback" not in said
    if harm == "gone":
        assert not database.exists()
    assert [path for path in before if "blobs" in path] == sorted(
        str(path) for path in data.rglob("*") if "blobs" in str(path)
    )


def test_a_throw_away_cloud_keeps_nothing(tmp_path: Path) -> None:
    port = free_port()
    process = subprocess.Popen(
        [sys.executable, "-m", "doppio", "start", "--ephemeral", "--port", str(port)],
        stdout=subprocess.PIPE, text=True, env={**os.environ, "TMPDIR": str(tmp_path)},
    )  # fmt: skip
    try:
        assert process.stdout is not None
        lines = []
        for line in process.stdout:
            lines.append(line)
            if line.startswith("Ready."):
                break
        assert any("nothing is kept" in line for line in lines)
        client(f"http://localhost:{port}", "sqs").create_queue(QueueName="q")
        assert list(tmp_path.iterdir())
        process.send_signal(signal.SIGINT)
        assert process.wait(15) == 0
        assert list(tmp_path.iterdir()) == []
    finally:
        process.kill()
        process.wait()


def test_a_cloud_in_the_background(tmp_path: Path) -> None:
    data, port = tmp_path / "data", free_port()
    said = doppio("start", "--detach", "--port", str(port), data=data)
    assert "Ready." in said or "Endpoint" in said
    try:
        assert client(f"http://localhost:{port}", "sqs").list_queues()["ResponseMetadata"]
    finally:
        doppio("stop", data=data)


def test_time_is_shown_stopped_and_moved(server: Server, tmp_path: Path) -> None:
    data = tmp_path / "data"
    assert "runs at 1 s a second" in doppio("clock", "now", data=data)
    assert "paused" in doppio("clock", "pause", data=data)
    before = doppio("clock", "now", data=data)
    assert doppio("clock", "now", data=data) == before
    after = doppio("clock", "advance", "30d", data=data)
    assert after[:10] != before[:10]
    assert "runs at 60 s a second" in doppio("clock", "rate", "60", data=data)
    assert "runs at 1 s a second" in doppio("clock", "resume", data=data)
    assert "is not a duration" in doppio("clock", "advance", "soon", data=data, status=1)
    said = doppio("clock", "advance", "99999999999999999999d", data=data, status=1)
    assert "longer than there is time" in said


def test_a_zone_is_taken_down_and_up(server: Server, tmp_path: Path) -> None:
    data = tmp_path / "data"
    assert "us-east-1a       use1-az1     up" in doppio("zone", "list", data=data)
    assert "eu-west-1b       euw1-az2     down" in doppio("zone", "down", "eu-west-1b", data=data)
    listed = doppio("zone", "list", "us-west-2", data=data)
    assert "us-west-2d" in listed
    assert "us-east-1a" not in listed
    assert "eu-west-1b       euw1-az2     down" in listed
    assert "up" in doppio("zone", "up", "eu-west-1b", data=data)
    assert "down" not in doppio("zone", "list", "eu-west-1", data=data)
    said = doppio("zone", "down", "atlantis-1a", data=data, status=1)
    assert "'atlantis-1a' is no Availability Zone" in said
    said = doppio("zone", "list", "atlantis-1", data=data, status=1)
    assert "no Region is called atlantis-1" in said


def test_a_denial_is_explained_and_requests_are_listed(server: Server, tmp_path: Path) -> None:
    data = tmp_path / "data"
    iam = client(server.endpoint, "iam")
    iam.create_user(UserName="barista")
    key = iam.create_access_key(UserName="barista")["AccessKey"]
    barista = client(server.endpoint, "sqs", key["AccessKeyId"], key["SecretAccessKey"])
    with pytest.raises(ClientError) as caught:
        barista.list_queues()
    request_id = caught.value.response["ResponseMetadata"]["RequestId"]
    said = doppio("why", request_id, data=data)
    assert "Denied     sqs:ListQueues" in said
    assert "user/barista" in said
    assert "no identity-based policy allows" in said
    for unknown in ("0" * 32, "EXAMPLE/id", "no id at all"):
        said = doppio("why", unknown, data=data, status=1)
        assert f"No denial or recorded call has the request id {unknown}." in said
    doppio("stop", data=data)
    logged = doppio("logs", "--errors", data=data)
    assert request_id in logged
    assert "sqs:ListQueues" in logged
    lines = doppio("logs", "--json", "-n", "1", data=data).splitlines()
    assert json.loads(lines[-1])["id"] == request_id
    assert "not in the range" in doppio("logs", "-n", "-1", data=data, status=2)
    with (data / "requests.jsonl").open("ab") as file:
        file.write(b'{"id":"cut \xd0')
    assert doppio("logs", data=data).rstrip().endswith('(not whole) {"id":"cut \ufffd')


def test_a_policy_is_suggested_from_what_was_done(server: Server, tmp_path: Path) -> None:
    data = tmp_path / "data"
    iam = client(server.endpoint, "iam")
    arn = iam.create_user(UserName="barista")["User"]["Arn"]
    assert "has done nothing yet" in doppio("policy", "suggest", arn, data=data, status=1)
    for nobody in (f"{arn}s", "barista", "arn:aws:s3:::orders/a"):
        said = doppio("policy", "suggest", nobody, data=data, status=1)
        assert f"{nobody} is the ARN of no user or role" in said
    everything = {"Effect": "Allow", "Action": "*", "Resource": "*"}
    iam.put_user_policy(
        UserName="barista", PolicyName="p", PolicyDocument=json.dumps({"Statement": everything})
    )
    key = iam.create_access_key(UserName="barista")["AccessKey"]
    barista = client(server.endpoint, "sqs", key["AccessKeyId"], key["SecretAccessKey"])
    barista.create_queue(QueueName="orders")
    [statement] = json.loads(doppio("policy", "suggest", arn, data=data))["Statement"]
    assert statement["Action"] == ["sqs:CreateQueue"]
    assert statement["Resource"] == ["arn:aws:sqs:us-east-1:000000000000:orders"]
    used = iam.get_access_key_last_used(AccessKeyId=key["AccessKeyId"])["AccessKeyLastUsed"]
    assert (used["ServiceName"], used["Region"]) == ("sqs", "us-east-1")


def test_signin_prints_the_keys_of_a_user_who_knows_the_password(
    server: Server, tmp_path: Path
) -> None:
    data = tmp_path / "data"
    iam = client(server.endpoint, "iam")
    arn = iam.create_user(UserName="barista")["User"]["Arn"]
    iam.create_login_profile(UserName="barista", Password="Long enough 1")
    words = ("signin", "000000000000", "barista")
    wrong = doppio(*words, data=data, status=1, DOPPIO_PASSWORD="Long enough 2")
    assert "Your authentication information is incorrect." in wrong
    said = doppio(*words, data=data, DOPPIO_PASSWORD="Long enough 1")
    found = re.findall(r"export (AWS_[A-Z_]+)=(\S+)", said)
    assert len(found) == len(said.splitlines()) == 3
    keys = dict(found)
    sts = client(
        server.endpoint, "sts", keys["AWS_ACCESS_KEY_ID"], keys["AWS_SECRET_ACCESS_KEY"],
        aws_session_token=keys["AWS_SESSION_TOKEN"],
    )  # fmt: skip
    assert sts.get_caller_identity()["Arn"] == arn
    assert "PasswordLastUsed" in iam.get_user(UserName="barista")["User"]


def test_mail_shows_what_was_sent_and_its_link_confirms(server: Server, tmp_path: Path) -> None:
    data = tmp_path / "data"
    sns = client(server.endpoint, "sns")
    topic = sns.create_topic(Name="news")["TopicArn"]
    sns.subscribe(TopicArn=topic, Protocol="email", Endpoint="a@example.com")
    said = ""
    for _ in range(100):
        said = doppio("mail", data=data)
        if "ConfirmSubscription" in said:
            break
    assert "To       a@example.com" in said
    link = re.search(r"http://\S+ConfirmSubscription\S+", said)
    assert link is not None
    with urllib.request.urlopen(link[0]) as answer:
        assert answer.status == 200
    (subscription,) = sns.list_subscriptions_by_topic(TopicArn=topic)["Subscriptions"]
    assert subscription["SubscriptionArn"].startswith(topic)
    assert doppio("mail", "--texts", data=data) == ""


def test_reset_deletes_what_a_cloud_keeps_and_nothing_else(tmp_path: Path) -> None:
    data = tmp_path / "data"
    with Server(data) as server:
        client(server.endpoint, "sqs").create_queue(QueueName="q")
        assert "stop it first" in doppio("reset", "--yes", data=data, status=1)
        (data / "mine.txt").write_text("not yours")
        server.stop()
        assert doppio("reset", "--yes", data=data) == "Reset.\n"
        assert [path.name for path in data.iterdir()] == ["mine.txt"]
        server.start()
        assert "QueueUrls" not in client(server.endpoint, "sqs").list_queues()


def test_operations_are_counted_from_the_code() -> None:
    assert re.search(r"^sqs +23 of +23$", doppio("coverage"), re.MULTILINE)
    assert "has      SendMessage" in doppio("coverage", "sqs")
    assert "has      GetBucketLifecycle\n" in doppio("coverage", "s3"), "an old name counts"
    assert "no service is called espresso" in doppio("coverage", "espresso", status=1)


def test_tls_by_an_authority_of_our_own(tmp_path: Path) -> None:
    data, port = tmp_path / "data", free_port()
    assert "doppio start --tls" in doppio("ca", data=data, status=1)
    said = doppio("start", "--tls", "--detach", "--port", str(port), data=data)
    try:
        assert f"https://localhost:{port}" in said
        found = re.search(r"export AWS_CA_BUNDLE=(.+)", doppio("ca", data=data))
        assert found is not None
        s3 = client(f"https://localhost:{port}", "s3", verify=found[1].strip())
        s3.create_bucket(Bucket="menu")
        assert s3.list_buckets()["Buckets"][0]["Name"] == "menu"
        trusting = ssl.create_default_context(cafile=found[1].strip())
        health = f"https://localhost:{port}/_localstack/health"
        with urllib.request.urlopen(health, context=trusting) as answer:
            assert json.load(answer)["services"]["s3"] == "running"
        assert "Endpoint" in doppio("status", data=data)
    finally:
        doppio("stop", data=data)


def test_strict_authorisation_knows_no_convenience_keys(tmp_path: Path) -> None:
    with Server(tmp_path / "data", "--auth", "strict") as server:
        with pytest.raises(ClientError) as caught:
            client(server.endpoint, "sqs").list_queues()
        assert caught.value.response["Error"]["Code"] == "InvalidClientTokenId"


def test_help_and_version_and_nonsense() -> None:
    assert __version__ in doppio("--version")
    assert "Start a cloud." in doppio("--help")
    assert "No such command" in doppio("brew", status=2)
    assert "cannot go with --data" in doppio("start", "--ephemeral", data=Path("x"), status=1)
