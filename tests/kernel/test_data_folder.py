"""A store's folder: held by one process, and never started empty over something."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from doppio.kernel.data_folder import DATABASE, LOCK, NEW
from doppio.kernel.sqlite_store import SqliteStore
from doppio.kernel.store import DataDirectoryInUse, StoreCorrupt

from .stores import write


def make(folder: Path, rows: int = 100) -> None:
    async def run() -> None:
        store = SqliteStore(folder)
        await write(store, {b"k%05d" % number: b"v" * 200 for number in range(rows)})
        await store.close()

    asyncio.run(run())


def test_a_folder_in_use_is_refused_naming_the_pid(tmp_path: Path) -> None:
    async def run() -> None:
        store = SqliteStore(tmp_path / "store")
        with pytest.raises(DataDirectoryInUse, match=rf"pid {os.getpid()}\b"):
            SqliteStore(tmp_path / "store")
        await write(store, {b"k": b"still works"})
        await store.close()
        again = SqliteStore(tmp_path / "store")
        await again.close()

    asyncio.run(run())


def test_another_process_is_refused_and_told_what_to_do(tmp_path: Path) -> None:
    program = (
        "import sys\nfrom pathlib import Path\n"
        "from doppio.kernel.data_folder import lock_folder\n"
        "lock = lock_folder(Path(sys.argv[1]))\nprint('mine', flush=True)\nsys.stdin.read()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program, str(tmp_path)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    ) as holder:  # fmt: skip
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"mine\n"
        with pytest.raises(DataDirectoryInUse, match=rf"pid {holder.pid}; stop that cloud first"):
            SqliteStore(tmp_path)
        holder.kill()
        holder.wait()
    # The lock goes with its process, whatever became of that.
    asyncio.run(SqliteStore(tmp_path).close())


def test_a_database_of_another_program_is_left_as_it_is(tmp_path: Path) -> None:
    connection = sqlite3.connect(tmp_path / DATABASE)
    connection.execute("CREATE TABLE theirs(x)")
    connection.close()
    before = (tmp_path / DATABASE).read_bytes()
    with pytest.raises(StoreCorrupt, match="another program"):
        SqliteStore(tmp_path)
    assert (tmp_path / DATABASE).read_bytes() == before


@pytest.mark.parametrize("content", [b"garbage" * 1_000, b"x", b"SQLite format 3\0" + b"?" * 5_000])
def test_a_file_that_is_no_database_is_left_as_it_is(tmp_path: Path, content: bytes) -> None:
    (tmp_path / DATABASE).write_bytes(content)
    with pytest.raises(StoreCorrupt, match="left as it is"):
        SqliteStore(tmp_path)
    assert (tmp_path / DATABASE).read_bytes() == content


@pytest.mark.parametrize("cut", [100, 4_096, 12_000])
def test_a_database_cut_short_is_refused(tmp_path: Path, cut: int) -> None:
    make(tmp_path)
    content = (tmp_path / DATABASE).read_bytes()
    assert len(content) > cut
    (tmp_path / DATABASE).write_bytes(content[:cut])
    with pytest.raises(StoreCorrupt, match="Restore it from a copy"):
        SqliteStore(tmp_path)


def test_an_emptied_database_is_refused(tmp_path: Path) -> None:
    """A file of no bytes is what a crash of the machine may leave of a database."""
    make(tmp_path)
    (tmp_path / DATABASE).write_bytes(b"")
    with pytest.raises(StoreCorrupt):
        SqliteStore(tmp_path)


def test_nothing_is_started_empty_where_the_database_is_missing(tmp_path: Path) -> None:
    (tmp_path / "precious.txt").write_text("notes")
    with pytest.raises(StoreCorrupt, match=r"precious.txt but no state\.db"):
        SqliteStore(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == [LOCK, "precious.txt"]


def test_a_first_start_that_was_cut_short_is_no_obstacle(tmp_path: Path) -> None:
    (tmp_path / NEW).write_bytes(b"half")
    (tmp_path / f"{NEW}-journal").write_bytes(b"half")
    make(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == [LOCK, DATABASE]


FULL = """
import resource, sys
from pathlib import Path
from doppio.kernel.sqlite_store import SqliteStore
from doppio.kernel.store import StoreFull
resource.setrlimit(resource.RLIMIT_FSIZE, (6000, 6000))
try:
    SqliteStore(Path(sys.argv[1]))
except StoreFull as error:
    print(error)
"""


def test_a_first_start_without_room_is_refused_and_no_obstacle_to_the_next(tmp_path: Path) -> None:
    folder = tmp_path / "store"
    done = subprocess.run(
        [sys.executable, "-c", FULL, str(folder)], check=True, capture_output=True, text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )  # fmt: skip
    assert f"no store can be made in {folder}: " in done.stdout
    assert "disk" in done.stdout
    assert not (folder / "state.db").exists()

    async def run() -> None:
        store = SqliteStore(folder)
        assert await store.view().get(b"k") is None
        await store.close()

    asyncio.run(run())


def test_a_newer_format_is_refused_and_told_to_upgrade(tmp_path: Path) -> None:
    make(tmp_path)
    connection = sqlite3.connect(tmp_path / DATABASE)
    connection.execute("PRAGMA user_version=99")
    connection.close()
    with pytest.raises(StoreCorrupt, match="newer version"):
        SqliteStore(tmp_path)


def test_a_refused_folder_is_not_kept_locked(tmp_path: Path) -> None:
    (tmp_path / DATABASE).write_bytes(b"garbage" * 1_000)
    for _ in range(2):
        with pytest.raises(StoreCorrupt):
            SqliteStore(tmp_path)


def test_the_folder_is_private(tmp_path: Path) -> None:
    make(tmp_path / "store")
    assert (tmp_path / "store").stat().st_mode & 0o077 == 0
