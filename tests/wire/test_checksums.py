"""Checksums: known values, and parts combined against the whole."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from doppio.wire import checksums

CHECK = b"123456789"
# The check values of the catalogue of CRC algorithms (CRC-32/ISO-HDLC, CRC-32/ISCSI, CRC-64/NVME).
HASHES = ("MD5", "SHA1", "SHA256", "SHA512", "XXHASH64", "XXHASH3", "XXHASH128")
KNOWN = {"CRC32": "cbf43926", "CRC32C": "e3069283", "CRC64NVME": "ae8b14860a799888"}


@pytest.mark.parametrize("algorithm", KNOWN)
def test_a_crc_has_the_check_value_of_the_catalogue(algorithm: str) -> None:
    assert base64.b64decode(checksums.whole(algorithm, CHECK)).hex() == KNOWN[algorithm]


@pytest.mark.parametrize("algorithm", [*KNOWN, *HASHES])
def test_pieces_give_the_checksum_of_the_whole(algorithm: str) -> None:
    under_way = checksums.new(algorithm)
    under_way.update(CHECK[:4])
    under_way.update(memoryview(CHECK)[4:])
    assert under_way.base64() == checksums.whole(algorithm, CHECK)


def test_xxhash_digests_are_those_of_aws_common_runtime() -> None:
    from awscrt.checksums import XXHash

    for algorithm, peer in (
        ("XXHASH64", XXHash.new_xxhash64),
        ("XXHASH3", XXHash.new_xxhash3_64),
        ("XXHASH128", XXHash.new_xxhash3_128),
    ):
        theirs = peer()
        theirs.update(CHECK)
        assert base64.b64decode(checksums.whole(algorithm, CHECK)) == theirs.finalize()


@given(st.sampled_from(sorted(KNOWN)), st.binary(max_size=300), st.binary(max_size=300))
def test_crcs_of_two_parts_combine_into_that_of_both(algorithm: str, a: bytes, b: bytes) -> None:
    first, second = (base64.b64decode(checksums.whole(algorithm, part)) for part in (a, b))
    combined = checksums.combine(algorithm, first, second, len(b))
    assert base64.b64encode(combined).decode() == checksums.whole(algorithm, a + b)
