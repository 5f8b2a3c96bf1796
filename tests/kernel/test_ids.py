from __future__ import annotations

import pytest

from doppio.kernel.ids import FORMS, Ids, is_uuid


@pytest.mark.parametrize("seed", [None, 3])
def test_uuids_are_version_four_and_differ(seed: int | None) -> None:
    ids = Ids(seed)
    made = [ids.uuid() for _ in range(1_000)]
    assert len(set(made)) == 1_000
    assert all(is_uuid(one) and one[14] == "4" and one[19] in "89ab" for one in made)


def test_a_seed_makes_the_same_ids_again() -> None:
    first, second, other = Ids(1), Ids(1), Ids(2)
    assert [first.uuid() for _ in range(100)] == [second.uuid() for _ in range(100)]
    assert first.random() == second.random() != other.random()
    assert first.bytes(8) == second.bytes(8)


@pytest.mark.parametrize("kind", FORMS)
def test_each_kind_has_its_form(kind: str) -> None:
    prefix, alphabet, count = FORMS[kind]
    made = Ids().new(kind)
    assert made.startswith(prefix)
    assert len(made) == len(prefix) + count
    assert set(made[len(prefix) :]) <= set(alphabet)
    assert Ids().new(kind) != made


def test_request_ids_are_unique_over_their_prefixes() -> None:
    ids = Ids()
    made = {ids.request_id() for _ in range(10_000)}
    assert len(made) == 10_000
    assert all(is_uuid(one) for one in list(made)[:100])


def test_what_is_no_uuid_is_none() -> None:
    assert not is_uuid("")
    assert not is_uuid("123")
    assert not is_uuid("{12345678-1234-4234-8234-123456789012}")


def test_nonces_are_twelve_bytes_and_no_two_are_the_same() -> None:
    ids = Ids()
    found = [ids.nonce() for _ in range(1_000)]
    assert {len(nonce) for nonce in found} == {12}
    assert len(set(found)) == len(found)
    # What an id was made of is in no nonce.
    used = ids.uuid().replace("-", "")
    assert all(nonce.hex()[:12] not in used for nonce in found)
