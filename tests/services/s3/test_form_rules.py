"""What the policy of a form allows."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime
from typing import Any

import pytest

from doppio.services.s3.form_rules import Range, check
from doppio.wire.errors import AwsError
from doppio.wire.sigv2 import as_written

NOW = datetime(2030, 1, 1, tzinfo=UTC)


def judged(
    conditions: Any, fields: dict[str, str], expiration: str = "2030-01-01T00:00:01Z"
) -> Any:
    """What a policy says of fields: the length, or code and text of the refusal."""
    document = {"expiration": expiration, "conditions": conditions}
    policy = base64.b64encode(json.dumps(document).encode()).decode()
    try:
        return check(policy, "bucket", fields, NOW, as_written)
    except AwsError as error:
        return error.code, error.message


def test_each_form_of_condition_holds_or_fails() -> None:
    key = {"key": "user/eric/1"}
    assert judged([{"key": "user/eric/1"}], key) is None
    assert judged([["eq", "$key", "user/eric/1"], {"bucket": "bucket"}], key) is None
    assert judged([["starts-with", "$Key", "user/eric/"]], key) is None
    assert judged([["starts-with", "$key", ""]], key) is None
    assert judged([["starts-with", "$key", ""], ["content-length-range", 1, 10]], key) == Range(
        1, 10
    )
    assert judged([["eq", "$key", "other"]], key) == (
        "AccessDenied",
        'Invalid according to Policy: Policy Condition failed: ["eq", "$key", "other"]',
    )
    code, text = judged([{"bucket": "another"}, ["starts-with", "$key", ""]], key)
    assert (code, '"$bucket", "another"' in text) == ("AccessDenied", True)
    types = {"content-type": "image/png,image/gif"}
    assert judged([["starts-with", "$Content-Type", "image/"]], types) is None
    types = {"content-type": "image/png,text/html"}
    assert judged([["starts-with", "$Content-Type", "image/"]], types)[0] == "AccessDenied"


def test_a_condition_on_a_field_that_is_not_there_fails() -> None:
    assert judged([{"acl": "private"}], {})[0] == "AccessDenied"


def test_a_policy_ends_at_its_expiration() -> None:
    assert judged([], {}, "2030-01-01T00:00:00Z") == (
        "AccessDenied",
        "Invalid according to Policy: Policy expired.",
    )
    assert judged([], {}, "2030-01-01T00:00:00.001Z") is None


@pytest.mark.parametrize(
    "conditions", [None, [["like", "$key", "x"]], [["eq", "key", "x"]], [["eq", "$key"]], [{}]]
)
def test_what_is_no_policy_is_refused(conditions: Any) -> None:
    assert judged(conditions, {})[0] == "InvalidPolicyDocument"


def test_a_form_ends_as_long_after_it_was_signed_as_it_says() -> None:
    asked: list[tuple[float, float | None]] = []

    def end_of(end: float, since: float | None) -> float:
        asked.append((end, since))
        return end + 3_600

    document = {"expiration": "2029-12-31T23:59:00Z", "conditions": []}
    policy = base64.b64encode(json.dumps(document).encode()).decode()
    signed = {"x-amz-date": "20291231T235800Z", "policy": policy}
    with pytest.raises(AwsError, match="Extra input fields"):
        check(policy, "bucket", signed, NOW, end_of)
    assert check(policy, "bucket", {"policy": policy}, NOW, end_of) is None
    assert asked == [
        (NOW.timestamp() - 60, NOW.timestamp() - 119),
        (NOW.timestamp() - 60, None),
    ]
