from __future__ import annotations

import time

import pytest

from doppio.wire import model
from doppio.wire.patterns import matcher


@pytest.mark.parametrize(
    ("pattern", "good", "bad"),
    [
        (r"[a-zA-Z0-9_.-]+", "a_b", "a b"),
        (r"^[\p{L}\p{Z}\p{N}_.:/=+\-@]*$", "é 1", "é;1"),
        (r"[\u0020-\uD7FF\uE000-\uFFFD\uD800\uDC00-\uDBFF\uDFFF\r\n\t]*", "a😀\n", "a\x00"),
        (r"\S", "a b", "  "),
        (r"(a|b)", "a", "c"),
    ],
)
def test_javas_patterns_hold_here(pattern: str, good: str, bad: str) -> None:
    match = matcher(pattern)
    assert match is not None
    assert match(good)
    assert not match(bad)


@pytest.mark.parametrize(
    "pattern", [r"[\p{Punct}]+", "[a-z&&[^b]]", "(", "(a+)+$", "(a*b)*", "(a(-|.)?)+"]
)
def test_what_cannot_be_said_exactly_is_not_said(pattern: str) -> None:
    assert matcher(pattern) is None


@pytest.mark.parametrize("name", ["iam", "lambda", "dynamodb", "kms", "logs"])
def test_no_pattern_runs_for_ever(name: str) -> None:
    service = model.load(name)
    texts = ["a" * 255 + "!", "a-" * 127 + "\n", "1." * 127 + "_!", "arn:" * 60, "a" * 4000 + "!"]
    for raw in service._raw_shapes:
        pattern = service.shape(raw).pattern
        match = matcher(pattern) if pattern else None
        if match is not None:
            start = time.perf_counter()
            for text in texts:
                match(text)
            assert time.perf_counter() - start < 0.5, pattern
