"""What functions are told of records and say of them."""

from __future__ import annotations

import json

import pytest

from doppio.services.lambda_.mapping_events import events_of, failed_of


def test_records_that_do_not_fit_into_one_event_go_in_several() -> None:
    records = [{"body": "x" * 40} for _ in range(5)]
    parts = list(events_of(records, 130))
    assert [len(part) for part, _ in parts] == [2, 2, 1]
    for part, payload in parts:
        assert len(payload) <= 130
        assert json.loads(payload) == {"Records": part}


@pytest.mark.parametrize(
    ("answer", "failed"),
    [
        (b"", ""),
        (b"null", ""),
        (b"{}", ""),
        (b'{"batchItemFailures": []}', ""),
        (b'{"batchItemFailures": null}', ""),
        (b'{"batchItemFailures": [{"itemIdentifier": "a"}]}', "a"),
        (b'{"batchItemFailures": [{"itemIdentifier": ""}]}', "ab"),
        (b'{"batchItemFailures": [{"itemIdentifier": null}]}', "ab"),
        (b'{"batchItemFailures": [{"other": "a"}]}', "ab"),
        (b'{"batchItemFailures": [{"itemIdentifier": "c"}]}', "ab"),
        (b"no JSON", "ab"),
    ],
)
def test_what_is_said_unclearly_counts_as_failed(answer: bytes, failed: str) -> None:
    assert failed_of(answer, ["a", "b"]) == set(failed)
