from __future__ import annotations

import dataclasses

import pytest

from doppio.kernel.identity import ANONYMOUS, root_of, service_caller


def test_an_accounts_root_is_known_by_its_arn() -> None:
    root = root_of("123456789012", "AKIA")
    assert (root.arn, root.id, root.kind) == (
        "arn:aws:iam::123456789012:root", "123456789012", "root",
    )  # fmt: skip
    assert root.access_key == "AKIA"


def test_a_service_calls_by_its_principal_name_and_for_a_resource() -> None:
    caller = service_caller("sns", "123456789012", "arn:aws:sns:us-east-1:123456789012:t")
    assert (caller.arn, caller.kind) == ("sns.amazonaws.com", "service")
    assert caller.source == "arn:aws:sns:us-east-1:123456789012:t"


def test_nobody_has_no_account_and_callers_do_not_change() -> None:
    assert ANONYMOUS.kind == "anonymous"
    with pytest.raises(dataclasses.FrozenInstanceError):
        ANONYMOUS.account = "123456789012"  # type: ignore[misc]
