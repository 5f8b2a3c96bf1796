"""Each test that asks for `opener` runs on every kind of store."""

from __future__ import annotations

from pathlib import Path

import pytest

from .stores import KINDS, Opener


@pytest.fixture(params=KINDS)
def opener(request: pytest.FixtureRequest, tmp_path: Path) -> Opener:
    """One kind of store, empty."""
    return Opener(request.param, tmp_path)
