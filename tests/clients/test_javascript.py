"""The AWS SDK for JavaScript v3, unchanged, on node: S3 with its helpers, SQS and SNS, DynamoDB."""

from __future__ import annotations

from pathlib import Path

from tools.install_clients import JAVASCRIPT

from .conftest import Account
from .programs import needs, run

pytestmark = needs("javascript")


def test_objects_uploads_signed_urls_listings_and_messages(account: Account) -> None:
    script = Path(__file__).with_name("javascript.mjs")
    said = run("javascript", account, script, DOPPIO_TEST_MODULES=f"{JAVASCRIPT}/package.json")
    assert said.split() == ["done"]


def test_documents_statements_and_transactions(account: Account) -> None:
    script = Path(__file__).with_name("javascript_dynamodb.mjs")
    said = run("javascript", account, script, DOPPIO_TEST_MODULES=f"{JAVASCRIPT}/package.json")
    assert said.split() == ["done"]
