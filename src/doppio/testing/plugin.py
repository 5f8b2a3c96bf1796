"""The pytest plugin: fixtures `doppio_cloud` (one a run) and `cloud` (a fresh account a test)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from doppio.testing import Account, Cloud


@pytest.fixture(scope="session")
def doppio_cloud() -> Iterator[Cloud]:
    """The cloud that all tests of this run share."""
    # Imported here, so that runs which never ask for a cloud do not pay for one.
    from doppio.testing import Cloud

    with Cloud() as cloud:
        yield cloud


@pytest.fixture
def cloud(doppio_cloud: Cloud) -> Account:
    """An empty account of its own for this test."""
    return doppio_cloud.account()
