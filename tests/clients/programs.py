"""Other people's programs, run against the cloud; `python -m tools.install_clients` brings them."""

from __future__ import annotations

import hashlib
import subprocess
from pathlib import Path

import pytest

from tools.install_clients import command

from .conftest import Account

MIB = 1024 * 1024
SECONDS_MAX = 120


def needs(name: str) -> pytest.MarkDecorator:
    """Skip where a client is not installed, and say how it would be."""
    return pytest.mark.skipif(
        command(name) is None,
        reason=f"{name} is not installed; `python -m tools.install_clients {name}` does it",
    )


def run(
    name: str, account: Account, *words: str | Path, status: int = 0, given: str = "",
    **variables: str,
) -> str:  # fmt: skip
    """Run a client; what it prints. Fails unless it ends with that status."""
    program = command(name)
    assert program is not None
    done = subprocess.run(
        [program, *map(str, words)], env={**account.environment(), **variables},
        capture_output=True, text=True, check=False, timeout=SECONDS_MAX, input=given,
    )  # fmt: skip
    assert done.returncode == status, (
        f"{done.returncode}\n{done.stdout[-4_000:]}{done.stderr[-4_000:]}"
    )
    return done.stdout


def noise(mark: str, size: int) -> bytes:
    """Bytes that nothing compresses, the same for the same mark."""
    return hashlib.shake_256(mark.encode()).digest(size)


def plant(folder: Path) -> Path:
    """A tree of files such as people have: small, large, empty, nested, and with odd names."""
    (folder / "sub" / "deep er").mkdir(parents=True)
    (folder / "menu.txt").write_text("tea")
    (folder / "empty").write_bytes(b"")
    (folder / "sub" / "large").write_bytes(noise("large", 17 * MIB))
    (folder / "sub" / "deep er" / "caffè + crème & 100%.txt").write_text("brewed")
    for number in range(40):
        (folder / "sub" / f"{number:03}").write_bytes(noise(str(number), 700 * number))
    return folder


def sums(folder: Path) -> dict[str, str]:
    """What lies in a folder, by path."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file()
    }
