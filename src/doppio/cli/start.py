"""doppio start: a cloud in the foreground until SIGINT or SIGTERM, or in the background."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import click

from doppio.app import DEFAULT_ACCOUNT, Settings, default_data
from doppio.cli.common import data_option, fail
from doppio.cli.memory import keep_freed_memory
from doppio.gateway import loop
from doppio.kernel.store import StoreError
from doppio.server import CannotListen, Running, read_state, run

READY_SECONDS_MAX = 30.0
SAID_BYTES_MAX = 2_000

GC_OBJECTS = 20_000


def _host_and_port(
    context: click.Context, option: click.Parameter, value: str | None
) -> tuple[str, int] | None:
    if value is None:
        return None
    host, colon, port = value.rpartition(":")
    if not colon or not host or not port.isdigit() or not 0 < int(port) < 65536:
        raise click.BadParameter("give a host and a port, like localhost:1025")
    return host.strip("[]"), int(port)


def _outside(
    context: click.Context, option: click.Parameter, values: tuple[str, ...]
) -> dict[str, str]:
    found = {}
    for value in values:
        host, equals, url = value.partition("=")
        if not equals or not host or not url.startswith(("http://", "https://")):
            raise click.BadParameter(
                "give a host and a URL, like xks.example=http://localhost:8080"
            )
        found[host] = url
    return found


@click.command()
@data_option
@click.option("--port", type=click.IntRange(0, 65535), default=4566, show_default=True,
              help="The port of the one endpoint; 0 takes a free one.")  # fmt: skip
@click.option("--host", "hosts", multiple=True,
              help="An address to listen on (default: IPv4 and IPv6 loopback).")  # fmt: skip
@click.option("--ephemeral", is_flag=True, help="A throw-away cloud: nothing is kept.")
@click.option("--detach", is_flag=True, help="Run in the background.")
@click.option("--tls", is_flag=True, help="Speak HTTPS, with a certificate of a self-made CA.")
@click.option("--auth", type=click.Choice(["standard", "strict"]), default="standard",
              help="strict: refuse test/test and account ids as access keys.")  # fmt: skip
@click.option("--store", "store_url", metavar="URL",
              help="postgresql://… keeps state in PostgreSQL instead of SQLite.")  # fmt: skip
@click.option("--blobs", "blobs_url", metavar="URL",
              help="Keep large bodies elsewhere: s3://bucket/prefix?endpoint=http://…&region=… "
                   "or file:///folder (default: in the data directory).")  # fmt: skip
@click.option("--smtp", "smtp_server", metavar="HOST:PORT", callback=_host_and_port,
              help="A mail server that takes SNS's mails; without one they stay in a local "
              "mailbox (doppio mail).")  # fmt: skip
@click.option("--throughput", type=click.Choice(["unlimited", "realistic"]), default="unlimited",
              help="realistic: DynamoDB's tables throttle as their capacity says, where their tag "
              "doppio:throughput does not say otherwise.")  # fmt: skip
@click.option("--outside", metavar="HOST=URL", multiple=True, callback=_outside,
              help="Where a host outside really is: what the cloud sends to https://HOST goes to "
              "URL (an external key store's proxy must have a host without a port).")  # fmt: skip
def command(
    data: Path | None,
    port: int,
    hosts: tuple[str, ...],
    ephemeral: bool,
    detach: bool,
    tls: bool,
    auth: str,
    store_url: str | None,
    blobs_url: str | None,
    smtp_server: tuple[str, int] | None,
    throughput: str,
    outside: dict[str, str],
) -> None:
    """Start a cloud."""
    if ephemeral and data is not None:
        fail("--ephemeral keeps nothing: it cannot go with --data")
    if detach:
        return start_detached(None if ephemeral else data or default_data())
    settings = Settings(
        data=None if ephemeral else data or default_data(),
        store_url=store_url,
        blobs_url=blobs_url,
        port=port,
        hosts=hosts or ("127.0.0.1", "::1"),
        strict_auth=auth == "strict",
        tls=tls,
        smtp_server=smtp_server,
        realistic_throughput=throughput == "realistic",
        outside=outside,
    )
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    try:
        loop.run(serve_until_told(settings))
    except (StoreError, CannotListen) as error:
        fail(str(error))
    except OSError as error:
        fail(_unusable(settings.data, error))


def _unusable(data: Path | None, error: OSError) -> str:
    """What to say where files cannot be made or read."""
    return f"cannot use {error.filename or data or 'its files'}: {error.strerror or error}"


async def serve_until_told(settings: Settings) -> None:
    """Run a cloud until a signal asks it to stop."""
    told = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, told.set)
    keep_freed_memory()
    running = await run(settings)
    # What start-up made lives as long as the cloud: the collector need not walk it again and again.
    gc.freeze()
    # Requests leave hardly any cycles: look for them after so many objects, not after 700.
    gc.set_threshold(GC_OBJECTS, 20, 20)
    greet(running, settings)
    await told.wait()
    click.echo("Stopping.")
    await running.close()


def greet(running: Running, settings: Settings) -> None:
    """Say where the cloud is and how to use it."""
    kept = "nothing is kept" if settings.data is None else running.cloud.data
    click.echo(f"Endpoint   {running.endpoint}")
    click.echo(f"Account    {DEFAULT_ACCOUNT}")
    click.echo(f"Data       {kept}")
    if running.root_key is not None:
        access_key, file = running.root_key
        click.echo(f"Root key   {access_key} (secret in {file})")
    click.echo("")
    click.echo(f"  export AWS_ENDPOINT_URL={running.endpoint}")
    if settings.tls:
        click.echo(f"  export AWS_CA_BUNDLE={running.cloud.data / 'ca' / 'ca.pem'}")
    click.echo("  export AWS_DEFAULT_REGION=us-east-1")
    if settings.strict_auth:
        click.echo(f"  export AWS_SHARED_CREDENTIALS_FILE={running.cloud.data / 'credentials'}")
    else:
        click.echo("  export AWS_ACCESS_KEY_ID=test AWS_SECRET_ACCESS_KEY=test")
    click.echo("")
    click.echo("Ready.")
    sys.stdout.flush()


def start_detached(data: Path | None) -> None:
    """Start the same command in the background and return when it answers."""
    if data is None:
        fail("--detach needs a data directory, by which `doppio stop` finds the cloud")
    if read_state(data) is not None:
        fail(f"a cloud already runs on {data}")
    words = [word for word in sys.argv[1:] if word != "--detach"]
    log = data / "doppio.log"
    try:
        data.mkdir(parents=True, exist_ok=True, mode=0o700)
        file = log.open("ab")
    except OSError as error:
        fail(_unusable(data, error))
    before = file.tell()
    with file:
        # The child is its own session; `doppio stop` ends it by the pid in the state file.
        child = subprocess.Popen(
            [sys.executable, "-m", "doppio", *words],
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=file,
            start_new_session=True,
            env={**os.environ, "DOPPIO_DATA": str(data)},
        )
    until = time.monotonic() + READY_SECONDS_MAX
    while time.monotonic() < until:
        state = read_state(data)
        if state is not None and state.pid == child.pid:
            click.echo(f"Endpoint   {state.endpoint}\nPid        {state.pid}\nReady.")
            return
        if child.poll() is not None:
            break
        time.sleep(0.02)
    with log.open("rb") as said:
        said.seek(before)
        click.echo(said.read(SAID_BYTES_MAX).decode(errors="replace").rstrip(), err=True)
    fail(f"the cloud did not start; its log is {log}")
