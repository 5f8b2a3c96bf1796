"""PynamoDB, unchanged: models, indexes, conditions, batches, versions and transactions."""

from __future__ import annotations

from pathlib import Path

from .conftest import Account
from .programs import needs, run

pytestmark = needs("pynamodb")


def test_models_are_saved_found_changed_and_deleted(account: Account) -> None:
    said = run("pynamodb", account, Path(__file__).with_name("pynamodb_models.py"))
    assert said.split() == ["done"]
