"""restic, unchanged: backups that are checked, restored and pruned."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from .conftest import Account
from .programs import needs, plant, run, sums

pytestmark = [needs("restic"), pytest.mark.slow]


def test_a_backup_is_checked_restored_and_pruned(account: Account, tmp_path: Path) -> None:
    tree = plant(tmp_path / "tree")
    before = sums(tree)

    def restic(*words: str | Path) -> str:
        return run(
            "restic", account, "--repo", f"s3:{account.endpoint}/restic-{account.number}", *words,
            "--cache-dir", tmp_path / "cache", RESTIC_PASSWORD="beans",
        )  # fmt: skip

    def snapshots() -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = json.loads(restic("snapshots", "--json"))
        return found

    restic("init")
    restic("backup", tree)
    (tree / "menu.txt").write_text("coffee")
    (tree / "sub" / "large").unlink()
    restic("backup", tree)
    restic("check", "--read-data")
    first, second = (found["id"] for found in sorted(snapshots(), key=lambda one: one["time"]))
    restic("restore", first, "--target", tmp_path / "old")
    restic("restore", second, "--target", tmp_path / "new")
    assert sums(tmp_path / "old" / tree.relative_to("/")) == before
    assert sums(tmp_path / "new" / tree.relative_to("/")) == sums(tree)
    size = kept(account)
    restic("forget", "--keep-last", "1", "--prune")
    restic("check", "--read-data")
    assert [found["id"] for found in snapshots()] == [second]
    assert kept(account) < size - 15_000_000, "the large file is gone with its only snapshot"
    assert account.client("s3").list_objects_v2(
        Bucket=f"restic-{account.number}", Prefix="locks/"
    )["KeyCount"] == 0  # fmt: skip


def kept(account: Account) -> int:
    """Bytes in the bucket."""
    pages = account.client("s3").get_paginator("list_objects_v2")
    return sum(
        entry["Size"]
        for page in pages.paginate(Bucket=f"restic-{account.number}")
        for entry in page.get("Contents", [])
    )
