"""The AWS Encryption SDK with its keyrings, and Secrets Manager's cache, unchanged."""

from __future__ import annotations

from pathlib import Path

import pytest

from .conftest import Account
from .programs import needs, run

pytestmark = needs("encryption")


@pytest.mark.parametrize("what", ["symmetric", "many_regions", "pairs", "cached"])
def test_the_encryption_sdk_works_with(account: Account, what: str) -> None:
    said = run("encryption", account, Path(__file__).with_name("encryption_keys.py"), what)
    assert said.split() == ["done"]
