"""What a function gets of a batch, and what its answer means."""

from __future__ import annotations

import json
from typing import Any

import pytest

from doppio.services.pipes.functions import failed_of, payload_of

MESSAGES = [{"messageId": name} for name in "abc"]
RECORDS = [{"dynamodb": {"SequenceNumber": name}} for name in "abc"]


def answer(*names: Any) -> bytes:
    return json.dumps({"batchItemFailures": [{"itemIdentifier": one} for one in names]}).encode()


def test_a_batch_is_a_list_and_what_is_no_json_is_text_in_it() -> None:
    assert json.loads(payload_of(['{"a": 1}', "two words", "3"])) == [{"a": 1}, "two words", 3]
    assert payload_of([]) == b"[]"


@pytest.mark.parametrize("events", [MESSAGES, RECORDS])
def test_a_function_names_what_it_has_failed_with(events: list[Any]) -> None:
    assert failed_of(answer("b"), events) == {1}
    assert failed_of(answer("c", "a"), events) == {0, 2}


@pytest.mark.parametrize(
    "said", [b"", b"null", b"no json", b"[]", b"{}", b'{"batchItemFailures": []}', b'"x"']
)
def test_an_answer_that_names_nothing_means_that_all_is_well(said: bytes) -> None:
    assert failed_of(said, MESSAGES) == set()


@pytest.mark.parametrize(
    "said", [answer("z"), answer(""), answer(None), answer("a", "z"),
             b'{"batchItemFailures": [{"id": "a"}]}', b'{"batchItemFailures": "a"}']
)  # fmt: skip
def test_an_answer_that_names_what_was_not_there_means_all_of_it(said: bytes) -> None:
    assert failed_of(said, MESSAGES) == {0, 1, 2}
