"""The loops that the listener runs on."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from . import sockets


@pytest.fixture(scope="module", params=sockets.LOOPS)
def on_each_loop(request: pytest.FixtureRequest) -> Iterator[None]:
    """The module's stories are run on one loop, then on the other."""
    sockets.running_on.append(request.param)
    yield
    sockets.running_on.pop()
