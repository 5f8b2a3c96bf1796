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


def test_policies_are_simulated_as_the_clis_own_example_shows(account: Account) -> None:
    policy = (
        '{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"dynamodb:*",'
        '"Resource":"*","Condition":{"DateGreaterThan":'
        '{"aws:CurrentTime":"2018-08-16T12:00:00Z"}}}}'
    )
    simulate = (
        "iam", "simulate-custom-policy", "--policy-input-list", policy,
        "--action-names", "dynamodb:CreateBackup", "--context-entries",
    )  # fmt: skip
    later = "ContextKeyName='aws:CurrentTime',ContextKeyValues='2019-04-25T11:00:00Z',ContextKeyType=date"
    result = {
        "EvalActionName": "dynamodb:CreateBackup",
        "EvalResourceName": "*",
        "EvalDecision": "allowed",
        "MatchedStatements": [
            {
                "SourcePolicyId": "PolicyInputList.1",
                "SourcePolicyType": "IAM Policy",
                "StartPosition": {"Line": 1, "Column": 38},
                "EndPosition": {"Line": 1, "Column": 167},
            }
        ],
        "MissingContextValues": [],
    }
    assert answer(account, *simulate, later)["EvaluationResults"] == [result]
    denied = {**result, "EvalDecision": "implicitDeny", "MatchedStatements": []}
    earlier = later.replace("2019", "2014")
    assert answer(account, *simulate, earlier)["EvaluationResults"] == [denied]
    keys = answer(
        account, "iam", "get-context-keys-for-custom-policy", "--policy-input-list", policy
    )
    assert keys == {"ContextKeyNames": ["aws:CurrentTime"]}
