"""rclone, unchanged: trees synced, checked and copied within the cloud."""

from __future__ import annotations

from pathlib import Path

import pytest

from .conftest import Account
from .programs import MIB, needs, noise, plant, run, sums

pytestmark = [needs("rclone"), pytest.mark.slow]


def rclone(account: Account, *words: str | Path, status: int = 0, given: str = "") -> str:
    """Run rclone with the cloud as the remote `cloud:`."""
    remote = {
        "TYPE": "s3", "PROVIDER": "Other", "ENV_AUTH": "true", "ENDPOINT": account.endpoint,
        "REGION": "us-east-1", "FORCE_PATH_STYLE": "true", "UPLOAD_CUTOFF": "5Mi", "CHUNK_SIZE": "5Mi",
        # Its default, `private`, is an ACL, which new buckets refuse in AWS, too.
        "ACL": "bucket-owner-full-control", "BUCKET_ACL": "private",
    }  # fmt: skip
    named = {f"RCLONE_CONFIG_CLOUD_{name}": value for name, value in remote.items()}
    return run(
        "rclone", account, *words, "--config", "/dev/null", "--retries", "1", status=status,
        given=given, **named,
    )  # fmt: skip


def test_a_tree_is_synced_checked_and_comes_back(account: Account, tmp_path: Path) -> None:
    tree = plant(tmp_path / "tree")
    bucket = f"cloud:rclone-{account.number}"
    rclone(account, "mkdir", bucket)
    rclone(account, "sync", tree, f"{bucket}/tree")
    rclone(account, "check", tree, f"{bucket}/tree")
    rclone(account, "check", "--download", tree, f"{bucket}/tree")
    rclone(account, "sync", f"{bucket}/tree", tmp_path / "back")
    assert sums(tmp_path / "back") == sums(tree)
    (tree / "menu.txt").write_text("coffee")
    (tree / "sub" / "001").unlink()
    rclone(account, "check", tree, f"{bucket}/tree", status=1)
    rclone(account, "sync", tree, f"{bucket}/tree")
    rclone(account, "check", tree, f"{bucket}/tree")
    listed = rclone(account, "lsf", "--recursive", "--files-only", f"{bucket}/tree").splitlines()
    assert sorted(listed) == sorted(sums(tree))


def test_large_objects_go_in_parts_and_are_copied_without_coming_down(
    account: Account, tmp_path: Path
) -> None:
    (tmp_path / "large").write_bytes(noise("large", 23 * MIB))
    first, second = (f"cloud:rclone-{n}-{account.number}" for n in (1, 2))
    rclone(account, "mkdir", first)
    rclone(account, "mkdir", second)
    rclone(account, "copyto", tmp_path / "large", f"{first}/large")
    s3 = account.client("s3")
    head = s3.head_object(Bucket=first.partition(":")[2], Key="large")
    assert head["ETag"].endswith('-5"'), "five parts of 5 MiB"
    # With a cutoff below its size, the copy is made of parts as well.
    rclone(account, "copyto", f"{first}/large", f"{second}/again", "--s3-copy-cutoff", "6Mi")
    rclone(account, "moveto", f"{first}/large", f"{first}/moved")
    assert rclone(account, "lsf", first).split() == ["moved"]
    rclone(account, "copyto", f"{second}/again", tmp_path / "back")
    assert (tmp_path / "back").read_bytes() == (tmp_path / "large").read_bytes()
    rclone(account, "purge", first)
    assert first.partition(":")[2] not in rclone(account, "lsd", "cloud:")


def test_what_is_streamed_without_a_length_is_whole(account: Account) -> None:
    bucket = f"rclone-{account.number}"
    rclone(account, "mkdir", f"cloud:{bucket}")
    lines = "".join(f"{number}\n" for number in range(1_500_000))
    rclone(account, "rcat", f"cloud:{bucket}/piped", given=lines)
    got = account.client("s3").get_object(Bucket=bucket, Key="piped")
    assert got["ETag"].endswith('-3"'), "three parts"
    assert got["Body"].read() == lines.encode()
