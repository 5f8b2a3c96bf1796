"""What several commands need: the data directory, and a word with the cloud that runs on it."""

from __future__ import annotations

import http.client
import json
import ssl
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn, TypeVar
from urllib.parse import urlsplit

import click

F = TypeVar("F", bound=Callable[..., Any])
REQUEST_SECONDS_MAX = 30


def default_data() -> Path:
    """The data directory where none is named."""
    from doppio.app import default_data as found

    return found()


def data_option(function: F) -> F:
    """`--data DIR`."""
    return click.option(
        "--data",
        type=click.Path(file_okay=False, path_type=Path),
        envvar="DOPPIO_DATA",
        help="The data directory (default: doppio in the XDG data directory).",
    )(function)


def fail(text: str) -> NoReturn:
    """End with a message on standard error and status 1."""
    click.echo(f"doppio: {text}", err=True)
    sys.exit(1)


def ask(
    data: Path | None,
    method: str,
    path: str,
    content: dict[str, Any] | None = None,
    *,
    missing: str = "",
) -> Any:
    """A call to the internal paths of the cloud that runs on `data`; ends the command if it fails.

    `missing`: what to say where the path names a thing that is not there.
    """
    from doppio.server import read_state

    folder = data or default_data()
    state = read_state(folder)
    if state is None:
        fail(f"no cloud runs on {folder}; start one with `doppio start`")
    where = urlsplit(state.endpoint)
    address = (where.hostname or "localhost", where.port or 4566)
    connection: http.client.HTTPConnection
    if where.scheme == "https":
        trust = ssl.create_default_context(cafile=str(folder / "ca" / "ca.pem"))
        connection = http.client.HTTPSConnection(
            *address, timeout=REQUEST_SECONDS_MAX, context=trust
        )
    else:
        connection = http.client.HTTPConnection(*address, timeout=REQUEST_SECONDS_MAX)
    try:
        body = None if content is None else json.dumps(content)
        connection.request(method, path, body, {"x-doppio-token": state.token})
        response = connection.getresponse()
        answer = json.loads(response.read())
    except (OSError, http.client.HTTPException, ValueError) as error:
        fail(f"the cloud at {state.endpoint} does not answer: {error}")
    finally:
        connection.close()
    if response.status == 404 and missing:
        fail(missing)
    if response.status >= 400:
        fail(answer.get("message", f"status {response.status}"))
    return answer
