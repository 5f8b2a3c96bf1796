from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from doppio.kernel.paging import BadToken, page_token, token_key


@given(st.binary(max_size=60), st.text(max_size=20))
def test_a_token_stands_for_its_key_in_its_own_lists(key: bytes, scope: str) -> None:
    token = page_token(key, scope)
    assert token_key(token, scope) == key
    with pytest.raises(BadToken):
        token_key(token, scope + "x")


@given(st.text(max_size=40))
def test_what_was_never_given_is_refused(token: str) -> None:
    with pytest.raises(BadToken):
        token_key(token, "users")


def test_a_token_that_was_changed_is_refused() -> None:
    token = page_token(b"key", "users")
    for place in range(len(token) - 1):
        changed = token[:place] + ("A" if token[place] != "A" else "B") + token[place + 1 :]
        with pytest.raises(BadToken):
            token_key(changed, "users")
