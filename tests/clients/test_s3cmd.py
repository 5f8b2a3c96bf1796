"""s3cmd, unchanged: an old client, with ways of its own."""

from __future__ import annotations

from pathlib import Path

import pytest

from .conftest import Account
from .programs import needs, plant, run, sums

pytestmark = [needs("s3cmd"), pytest.mark.slow]


def test_a_tree_is_put_synced_copied_and_removed(account: Account, tmp_path: Path) -> None:
    tree = plant(tmp_path / "tree")
    bucket = f"s3://s3cmd-{account.number}"
    host = account.endpoint.partition("//")[2]

    def s3cmd(*words: str | Path, status: int = 0) -> str:
        return run(
            "s3cmd", account, "--config", "/dev/null", "--host", host, "--host-bucket", host,
            "--no-ssl", "--region", "us-east-1", "--access_key", account.number,
            "--secret_key", "test", "--no-progress", "--multipart-chunk-size-mb", "5", *words, status=status,
        )  # fmt: skip

    s3cmd("mb", bucket)
    # It gives copies the ACL `private`, which a bucket takes only where ACLs are switched on.
    account.client("s3").put_bucket_ownership_controls(
        Bucket=bucket[5:], OwnershipControls={"Rules": [{"ObjectOwnership": "ObjectWriter"}]}
    )
    s3cmd("sync", f"{tree}/", f"{bucket}/tree/")
    s3cmd("sync", f"{bucket}/tree/", f"{tmp_path}/back/")
    assert sums(tmp_path / "back") == sums(tree)
    assert "upload" not in s3cmd("sync", f"{tree}/", f"{bucket}/tree/")
    s3cmd("cp", f"{bucket}/tree/sub/large", f"{bucket}/large")
    s3cmd("mv", f"{bucket}/tree/menu.txt", f"{bucket}/card.txt")
    s3cmd("modify", "--add-header", "x-amz-meta-kind: drink", f"{bucket}/card.txt")
    head = account.client("s3").head_object(Bucket=bucket[5:], Key="card.txt")
    assert head["Metadata"]["kind"] == "drink"
    assert "card.txt" in s3cmd("info", f"{bucket}/card.txt")
    s3cmd("get", f"{bucket}/large", tmp_path / "large")
    assert (tmp_path / "large").read_bytes() == (tree / "sub" / "large").read_bytes()
    signed = s3cmd("signurl", f"{bucket}/card.txt", "+600").strip()
    assert "Signature=" in signed
    s3cmd("rm", "--recursive", "--force", bucket)
    s3cmd("rb", bucket)
    assert account.client("s3").list_buckets()["Buckets"] == []


def test_it_signs_for_no_region_at_first_and_follows_what_it_is_told(
    account: Account, tmp_path: Path
) -> None:
    """Without a Region it signs for `US`, which is none."""
    bucket = f"abroad-{account.number}"
    ireland = account.client("s3", region="eu-west-1")
    ireland.create_bucket(
        Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"}
    )
    ireland.put_object(Bucket=bucket, Key="menu", Body=b"coffee")
    host = account.endpoint.partition("//")[2]
    run(
        "s3cmd", account, "--config", "/dev/null", "--host", host, "--host-bucket", host,
        "--no-ssl", "--access_key", account.number, "--secret_key", "test", "--no-progress",
        "get", f"s3://{bucket}/menu", tmp_path / "menu",
    )  # fmt: skip
    assert (tmp_path / "menu").read_bytes() == b"coffee"
