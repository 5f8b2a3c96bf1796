"""The AWS CLI, unchanged."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from .conftest import Account

BESIDE = Path(sys.executable).parent / "aws"
AWS = str(BESIDE) if BESIDE.exists() else shutil.which("aws")
pytestmark = pytest.mark.skipif(AWS is None, reason="the AWS CLI is not installed")


def aws(account: Account, *words: str, cwd: Path | None = None) -> str:
    """Run the CLI; what it prints."""
    assert AWS is not None
    done = subprocess.run(
        [AWS, "--endpoint-url", account.endpoint, *words], env=account.environment(), cwd=cwd, capture_output=True, text=True,
        check=False, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


def answer(account: Account, *words: str) -> Any:
    """Run the CLI; its JSON."""
    return json.loads(aws(account, *words, "--output", "json") or "null")


def test_a_tree_is_copied_listed_synced_and_removed(account: Account, tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    (tree / "sub").mkdir(parents=True)
    (tree / "menu.txt").write_text("tea")
    (tree / "sub" / "large").write_bytes(hashlib.shake_256(b"x").digest(9 * 1024 * 1024))
    bucket = f"s3://tree-{account.number}"
    aws(account, "s3", "mb", bucket)
    aws(account, "s3", "cp", str(tree), bucket, "--recursive")
    listed = aws(account, "s3", "ls", bucket, "--recursive")
    assert [line.split()[2:] for line in listed.splitlines()] == [
        ["3", "menu.txt"], [str(9 * 1024 * 1024), "sub/large"],
    ]  # fmt: skip
    back = tmp_path / "back"
    aws(account, "s3", "sync", bucket, str(back))
    for path in (path for path in tree.rglob("*") if path.is_file()):
        assert (back / path.relative_to(tree)).read_bytes() == path.read_bytes()
    (back / "menu.txt").write_text("coffee")
    (back / "sub" / "large").unlink()
    synced = aws(account, "s3", "sync", str(back), bucket, "--delete")
    assert sorted(line.split(":")[0] for line in synced.splitlines() if ":" in line) == [
        "delete", "upload",
    ]  # fmt: skip
    assert aws(account, "s3", "cp", f"{bucket}/menu.txt", "-") == "coffee"
    aws(account, "s3", "rb", bucket, "--force")
    assert aws(account, "s3", "ls") == ""


def test_queues_tables_and_users(account: Account) -> None:
    url = answer(account, "sqs", "create-queue", "--queue-name", "orders")["QueueUrl"]
    aws(account, "sqs", "send-message", "--queue-url", url, "--message-body", "mocha")
    got = answer(account, "sqs", "receive-message", "--queue-url", url)
    assert got["Messages"][0]["Body"] == "mocha"
    aws(
        account, "dynamodb", "create-table", "--table-name", "menu",
        "--attribute-definitions", "AttributeName=id,AttributeType=S",
        "--key-schema", "AttributeName=id,KeyType=HASH", "--billing-mode", "PAY_PER_REQUEST",
    )  # fmt: skip
    aws(account, "dynamodb", "wait", "table-exists", "--table-name", "menu")
    aws(account, "dynamodb", "put-item", "--table-name", "menu", "--item", '{"id": {"S": "tea"}}')
    scanned = answer(account, "dynamodb", "scan", "--table-name", "menu")
    assert scanned["Items"] == [{"id": {"S": "tea"}}]
    aws(account, "iam", "create-user", "--user-name", "barista")
    users = answer(account, "iam", "list-users", "--query", "Users[].UserName")
    assert users == ["barista"]
    me = answer(account, "sts", "get-caller-identity")
    assert me["Account"] == account.number
