"""s3fs, unchanged: a bucket as a folder of this machine."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tools.install_clients import command

from .conftest import Account
from .programs import MIB, needs, noise

UNMOUNT = shutil.which("fusermount3") or shutil.which("fusermount")
pytestmark = [
    needs("s3fs"),
    pytest.mark.skipif(
        not Path("/dev/fuse").exists() or UNMOUNT is None, reason="this machine has no FUSE"
    ),
    pytest.mark.slow,
]


@pytest.fixture
def folder(account: Account, tmp_path: Path) -> Iterator[Path]:
    """A bucket, mounted by a process that ends with the test."""
    account.client("s3").create_bucket(Bucket=f"mounted-{account.number}")
    place = tmp_path / "mounted"
    place.mkdir()
    secret = tmp_path / "secret"
    secret.touch(0o600)
    secret.write_text(f"{account.number}:test")
    program = command("s3fs")
    assert program is not None
    options = (
        f"url={account.endpoint},use_path_request_style,passwd_file={secret},endpoint=us-east-1,"
        "sigv4,multipart_size=5,max_stat_cache_size=0"
    )
    log = (tmp_path / "s3fs.log").open("wb")
    process = subprocess.Popen(
        [program, f"mounted-{account.number}", str(place), "-f", "-o", options],
        stdout=log, stderr=log,
    )  # fmt: skip
    try:
        until = time.monotonic() + 20
        while not os.path.ismount(place):
            said = (tmp_path / "s3fs.log").read_text(errors="replace")
            if process.poll() is not None and "fuse" in said:
                pytest.skip(f"FUSE is not allowed here: {said[-200:]}")
            assert process.poll() is None, said
            assert time.monotonic() < until, said
            time.sleep(0.05)
        yield place
    finally:
        assert UNMOUNT is not None
        subprocess.run([UNMOUNT, "-u", str(place)], check=False, capture_output=True)
        process.terminate()
        process.wait(20)
        log.close()


def test_files_are_written_read_renamed_and_removed(account: Account, folder: Path) -> None:
    s3, bucket = account.client("s3"), f"mounted-{account.number}"
    (folder / "sub").mkdir()
    (folder / "sub" / "menu.txt").write_text("tea")
    large = noise("large", 12 * MIB)
    (folder / "large").write_bytes(large)
    assert s3.get_object(Bucket=bucket, Key="sub/menu.txt")["Body"].read() == b"tea"
    head = s3.head_object(Bucket=bucket, Key="large")
    assert head["ContentLength"] == len(large)
    assert "-" in head["ETag"], "sent in parts"
    with (folder / "large").open("rb") as file:
        file.seek(7 * MIB)
        assert file.read(1_000) == large[7 * MIB : 7 * MIB + 1_000]
    assert (folder / "large").read_bytes() == large
    with (folder / "sub" / "menu.txt").open("a") as file:
        file.write(" and coffee")
    (folder / "sub" / "menu.txt").rename(folder / "card.txt")
    (folder / "large").rename(folder / "sub" / "larger")
    (folder / "card.txt").chmod(0o600)
    assert (folder / "card.txt").read_text() == "tea and coffee"
    assert sorted(path.name for path in folder.iterdir()) == ["card.txt", "sub"]
    assert (folder / "sub" / "larger").read_bytes() == large
    s3.put_object(Bucket=bucket, Key="from-outside", Body=b"hello")
    assert (folder / "from-outside").read_text() == "hello"
    shutil.rmtree(folder / "sub")
    (folder / "card.txt").unlink()
    (folder / "from-outside").unlink()
    assert s3.list_objects_v2(Bucket=bucket)["KeyCount"] == 0
