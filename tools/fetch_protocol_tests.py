"""Fetches botocore's protocol test cases into `.cache/protocol-tests` (not kept in git).

They are in the source distribution of the very version that is installed, not in its wheel. Doing
it again does nothing as long as the version is the same.
"""

from __future__ import annotations

import importlib.metadata
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

CACHE = Path(__file__).parent.parent / ".cache" / "protocol-tests"
STAMP = CACHE / "VERSION"


def fetch() -> str:
    """Makes the cases be there; gives botocore's version."""
    version = importlib.metadata.version("botocore")
    if STAMP.exists() and STAMP.read_text() == version:
        return version
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
        command += ["--disable-pip-version-check", "--no-binary", ":all:"]
        subprocess.run([*command, f"botocore=={version}", "--dest", folder], check=True)
        (archive,) = Path(folder).glob("botocore-*.tar.gz")
        unpack(archive)
    STAMP.write_text(version)
    return version


def unpack(archive: Path) -> None:
    """Takes the input and output cases of the current suite out of the archive."""
    with tarfile.open(archive) as tar:
        for entry in tar:
            parts = Path(entry.name).parts
            if parts[1:4] != ("tests", "unit", "protocols") or len(parts) != 6:
                continue
            kind, name = parts[4:]
            content = tar.extractfile(entry)
            if kind in ("input", "output") and name.endswith(".json") and content is not None:
                target = CACHE / kind / name
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(content.read())


if __name__ == "__main__":
    print(f"botocore {fetch()}: protocol tests are in {CACHE}")
