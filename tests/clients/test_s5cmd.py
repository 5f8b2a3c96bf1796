"""s5cmd, unchanged: many files at once."""

from __future__ import annotations

from pathlib import Path

import pytest

from .conftest import Account
from .programs import needs, plant, run, sums

pytestmark = [needs("s5cmd"), pytest.mark.slow]


def test_a_tree_is_copied_synced_and_removed(account: Account, tmp_path: Path) -> None:
    tree = plant(tmp_path / "tree")
    bucket = f"s3://s5-{account.number}"

    def s5cmd(*words: str | Path, status: int = 0) -> str:
        return run(
            "s5cmd", account, "--endpoint-url", account.endpoint, "--retry-count", "1", *words,
            status=status, S3_ENDPOINT_URL=account.endpoint,
        )  # fmt: skip

    s5cmd("mb", bucket)
    s5cmd("cp", "--part-size", "5", f"{tree}/", f"{bucket}/tree/")
    s5cmd("cp", f"{bucket}/tree/*", f"{tmp_path}/back/")
    assert sums(tmp_path / "back") == sums(tree)
    s5cmd("cp", f"{bucket}/tree/*", f"{bucket}/copy/")
    s5cmd("mv", f"{bucket}/copy/menu.txt", f"{bucket}/copy/card.txt")
    assert s5cmd("cat", f"{bucket}/copy/card.txt") == "tea"
    assert "menu.txt" not in s5cmd("ls", f"{bucket}/copy/*")
    (tree / "menu.txt").write_text("coffee")
    (tree / "empty").unlink()
    synced = s5cmd("sync", "--delete", "--size-only", f"{tree}/", f"{bucket}/tree/")
    assert sorted(line.split()[0] for line in synced.splitlines()) == ["cp", "rm"]
    assert str(sum(path.stat().st_size for path in tree.rglob("*") if path.is_file())) in s5cmd(
        "du", f"{bucket}/tree/*"
    )
    s5cmd("rb", bucket, status=1)
    s5cmd("rm", f"{bucket}/*")
    s5cmd("rb", bucket)
    assert account.client("s3").list_buckets()["Buckets"] == []
