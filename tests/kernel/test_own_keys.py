"""The cloud's own keys: made once, the same after a restart, and what is touched does not open."""

from __future__ import annotations

import asyncio

import pytest

from doppio.kernel.own_keys import Damaged, OwnKey, own_cipher, seal, unseal
from tests.services.world import World, told


@told
async def test_what_was_sealed_opens_after_a_crash(world: World) -> None:
    ctx = world.cloud.root_context()
    sealed = seal(ctx, await own_cipher(ctx, "test"), b"secret", b"where")
    assert b"secret" not in sealed
    after = world.again()
    await after.start()
    cipher = await own_cipher(after.cloud.root_context(), "test")
    assert unseal(cipher, sealed, b"where") == b"secret"
    with pytest.raises(Damaged):
        unseal(cipher, sealed, b"elsewhere")
    with pytest.raises(Damaged):
        unseal(cipher, sealed[:-1] + bytes([sealed[-1] ^ 1]), b"where")
    await after.close()


@told
async def test_two_who_need_a_key_first_get_the_same(world: World) -> None:
    one, two = world.cloud.root_context(), world.cloud.root_context("111111111111")
    ciphers = await asyncio.gather(own_cipher(one, "test"), own_cipher(two, "test"))
    assert unseal(ciphers[1], seal(one, ciphers[0], b"x")) == b"x"
    assert len(await one.read().list(OwnKey, limit=5)) == 1
    other = await own_cipher(one, "other")
    with pytest.raises(Damaged):
        unseal(other, seal(one, ciphers[0], b"x"))
