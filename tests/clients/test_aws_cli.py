"""The AWS CLI, unchanged."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
import urllib.request
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


def test_files_are_chosen_moved_signed_and_served(account: Account, tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    (tree / "sub").mkdir(parents=True)
    for name in ("a.txt", "b.log", "sub/c.txt", "sub/d.bin"):
        (tree / name).write_text(name)
    bucket = f"s3://chosen-{account.number}"
    aws(account, "s3", "mb", bucket)
    aws(
        account, "s3", "cp", str(tree), bucket, "--recursive", "--exclude", "*", "--include", "*.txt",
        "--sse", "AES256", "--storage-class", "STANDARD_IA", "--metadata", "from=tree",
        "--cache-control", "max-age=9",
    )  # fmt: skip
    listed = answer(account, "s3api", "list-objects-v2", "--bucket", bucket[5:])["Contents"]
    assert [(one["Key"], one["StorageClass"]) for one in listed] == [
        ("a.txt", "STANDARD_IA"), ("sub/c.txt", "STANDARD_IA"),
    ]  # fmt: skip
    head = answer(account, "s3api", "head-object", "--bucket", bucket[5:], "--key", "a.txt")
    assert head["ServerSideEncryption"] == "AES256"
    assert (head["Metadata"], head["CacheControl"]) == ({"from": "tree"}, "max-age=9")
    aws(account, "s3", "mv", f"{bucket}/a.txt", f"{bucket}/moved/a.txt")
    assert "PRE moved/" in aws(account, "s3", "ls", bucket)
    url = aws(account, "s3", "presign", f"{bucket}/moved/a.txt", "--expires-in", "60").strip()
    with urllib.request.urlopen(url) as page:
        assert page.read() == b"a.txt"
    aws(account, "s3", "mv", f"{bucket}/moved/a.txt", str(tmp_path / "back"))
    assert (tmp_path / "back").read_text() == "a.txt"
    summary = aws(account, "s3", "ls", bucket, "--recursive", "--summarize", "--human-readable")
    assert "Total Objects: 1" in summary
    aws(account, "s3", "website", bucket, "--index-document", "index.html")
    site = answer(account, "s3api", "get-bucket-website", "--bucket", bucket[5:])
    assert site == {"IndexDocument": {"Suffix": "index.html"}}
    aws(account, "s3", "sync", str(tree), bucket, "--exclude", "*.log")
    assert "dryrun" in aws(account, "s3", "rm", bucket, "--recursive", "--dryrun")
    aws(account, "s3", "rm", bucket, "--recursive", "--exclude", "*", "--include", "sub/*")
    assert [line.split()[3] for line in aws(account, "s3", "ls", bucket).splitlines()] == ["a.txt"]
    aws(account, "s3", "rm", f"{bucket}/a.txt")
    aws(account, "s3", "rb", bucket)


def test_large_files_go_in_parts_between_buckets_too(account: Account, tmp_path: Path) -> None:
    body = hashlib.shake_256(b"large").digest(20 * 1024 * 1024)
    (tmp_path / "large").write_bytes(body)
    one, two = (f"s3://{name}-{account.number}" for name in ("one", "two"))
    for bucket in (one, two):
        aws(account, "s3", "mb", bucket)
    aws(account, "s3", "cp", str(tmp_path / "large"), f"{one}/large")
    aws(account, "s3", "cp", f"{one}/large", f"{two}/copy")
    aws(account, "s3", "sync", two, str(tmp_path / "back"))
    assert (tmp_path / "back" / "copy").read_bytes() == body
    head = answer(account, "s3api", "head-object", "--bucket", two[5:], "--key", "copy")
    assert head["ETag"].endswith('-3"')
    assert aws(account, "s3", "sync", str(tmp_path / "back"), two) == ""
    for bucket in (one, two):
        aws(account, "s3", "rb", bucket, "--force")


def test_tables_are_asked_in_partiql_backed_up_and_exported(account: Account) -> None:
    table = "partiql"
    aws(
        account, "dynamodb", "create-table", "--table-name", table,
        "--attribute-definitions", "AttributeName=id,AttributeType=S",
        "--key-schema", "AttributeName=id,KeyType=HASH", "--billing-mode", "PAY_PER_REQUEST",
    )  # fmt: skip
    aws(account, "dynamodb", "wait", "table-exists", "--table-name", table)
    for n in range(3):
        insert = f"INSERT INTO {table} VALUE {{'id': ?, 'n': {n}}}"
        aws(account, "dynamodb", "execute-statement", "--statement", insert,
            "--parameters", f'[{{"S": "id{n}"}}]')  # fmt: skip
    found = answer(
        account, "dynamodb", "execute-statement",
        "--statement", f"SELECT id FROM {table} WHERE n >= 1", "--query", "Items[].id.S",
    )  # fmt: skip
    assert sorted(found) == ["id1", "id2"]
    aws(
        account, "dynamodb", "update-continuous-backups", "--table-name", table,
        "--point-in-time-recovery-specification", "PointInTimeRecoveryEnabled=true",
    )  # fmt: skip
    made = answer(account, "dynamodb", "create-backup", "--table-name", table,
                  "--backup-name", "first")["BackupDetails"]  # fmt: skip
    listed = answer(account, "dynamodb", "list-backups", "--table-name", table)
    assert [one["BackupArn"] for one in listed["BackupSummaries"]] == [made["BackupArn"]]
    bucket = f"exports-{account.number}"
    aws(account, "s3", "mb", f"s3://{bucket}")
    arn = answer(account, "dynamodb", "describe-table", "--table-name", table)["Table"]["TableArn"]
    begun = answer(account, "dynamodb", "export-table-to-point-in-time", "--table-arn", arn,
                   "--s3-bucket", bucket)["ExportDescription"]  # fmt: skip
    aws(account, "dynamodb", "wait", "export-completed", "--export-arn", begun["ExportArn"])
    keys = aws(account, "s3", "ls", "--recursive", f"s3://{bucket}")
    assert "manifest-summary.json" in keys
    data = next(line.split()[-1] for line in keys.splitlines() if "/data/" in line)
    begun = answer(
        account, "dynamodb", "import-table", "--input-format", "DYNAMODB_JSON",
        "--input-compression-type", "GZIP",
        "--s3-bucket-source", f"S3Bucket={bucket},S3KeyPrefix={data}",
        "--table-creation-parameters", '{"TableName": "again", "BillingMode": "PAY_PER_REQUEST",'
        '"KeySchema": [{"AttributeName": "id", "KeyType": "HASH"}],'
        '"AttributeDefinitions": [{"AttributeName": "id", "AttributeType": "S"}]}',
    )["ImportTableDescription"]  # fmt: skip
    aws(account, "dynamodb", "wait", "import-completed", "--import-arn", begun["ImportArn"])
    count = answer(account, "dynamodb", "scan", "--table-name", "again", "--select", "COUNT")
    assert count["Count"] == 3


def test_a_directory_bucket_of_one_zone_is_used_by_sessions(
    account: Account, tmp_path: Path
) -> None:
    """The CLI makes its sessions by itself, and knows such buckets by their names.

    By an address, since not every machine resolves names below localhost.
    """
    account = Account([account.endpoint.replace("localhost", "127.0.0.1")], account.number)
    name = f"shop-{account.number}--use1-az1--x-s3"
    bucket = f"s3://{name}"
    large = hashlib.shake_256(b"y").digest(9 * 1024 * 1024)
    (tmp_path / "large").write_bytes(large)
    (tmp_path / "small").write_text("tea")
    place = "Location={Type=AvailabilityZone,Name=use1-az1}"
    kind = "Bucket={Type=Directory,DataRedundancy=SingleAvailabilityZone}"
    configuration = ("--create-bucket-configuration", f"{place},{kind}")
    aws(account, "s3api", "create-bucket", "--bucket", name, *configuration)
    listed = answer(account, "s3api", "list-directory-buckets")["Buckets"]
    assert [one["Name"] for one in listed] == [name]
    for file in ("large", "small"):
        aws(account, "s3", "cp", str(tmp_path / file), f"{bucket}/menu/{file}")
    assert aws(account, "s3", "ls", bucket).split() == ["PRE", "menu/"]
    back = tmp_path / "back"
    aws(account, "s3", "cp", "--recursive", f"{bucket}/menu/", str(back))
    assert (back / "large").read_bytes() == large
    renamed = ("--bucket", name, "--key", "tea", "--rename-source", "menu/small")
    aws(account, "s3api", "rename-object", *renamed)
    assert aws(account, "s3", "cp", f"{bucket}/tea", "-") == "tea"
    aws(account, "s3", "rm", "--recursive", bucket)
    aws(account, "s3", "rb", bucket)
    assert answer(account, "s3api", "list-directory-buckets")["Buckets"] == []
