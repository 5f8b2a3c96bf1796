"""A SeaweedFS of the tests' own: the object store that stands for all others."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

KEY, SECRET = "weed", "weed-secret"
BUCKET = "bodies"
START_SECONDS_MAX = 60


def _free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    for one in sockets:
        one.bind(("127.0.0.1", 0))
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


@contextmanager
def weed(folder: Path) -> Iterator[str]:
    """The URL of a bucket in a new SeaweedFS; PREFIX in it stands for a prefix of one's own."""
    config = folder / "s3.json"
    identity = {
        "name": "tests",
        "credentials": [{"accessKey": KEY, "secretKey": SECRET}],
        "actions": ["Admin", "Read", "Write", "List", "Tagging"],
    }
    config.write_text(json.dumps({"identities": [identity]}))
    names = ("master", "volume", "filer", "s3")
    ports = _free_ports(2 * len(names))
    options = []
    for number, name in enumerate(names):
        options += [
            f"-{name}.port={ports[2 * number]}",
            f"-{name}.port.grpc={ports[2 * number + 1]}",
        ]
    # These two listen at fixed ports, where only one of several at once can.
    options += ["-s3.port.iceberg=0", "-s3.port.lance=0"]
    program = Path(sys.executable).parent / "weed"
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [str(program), "server", f"-dir={folder}", "-ip=127.0.0.1", "-s3", "-filer",
             f"-s3.config={config}", "-volume.max=20", "-master.volumeSizeLimitMB=64", *options],
            stdout=log, stderr=log, cwd=folder,
        )  # fmt: skip
        try:
            endpoint = f"http://127.0.0.1:{ports[6]}"
            _make_bucket(endpoint, process, folder)
            yield (
                f"s3://{BUCKET}/PREFIX?endpoint={endpoint}&region=us-east-1"
                f"&access_key_id={KEY}&secret_access_key={SECRET}"
            )
        finally:
            process.terminate()
            process.wait(30)


def _make_bucket(endpoint: str, process: subprocess.Popen[bytes], folder: Path) -> None:
    import boto3
    from botocore.exceptions import BotoCoreError, ClientError

    client = boto3.client(
        "s3", endpoint_url=endpoint, region_name="us-east-1",
        aws_access_key_id=KEY, aws_secret_access_key=SECRET,
    )  # fmt: skip
    until = time.monotonic() + START_SECONDS_MAX
    while True:
        try:
            client.create_bucket(Bucket=BUCKET)
            client.put_object(Bucket=BUCKET, Key="ready", Body=b"x")
            client.delete_object(Bucket=BUCKET, Key="ready")
            return
        except (BotoCoreError, ClientError):
            if process.poll() is not None or time.monotonic() > until:
                raise RuntimeError((folder / "log").read_text()[-2000:]) from None
            time.sleep(0.3)
