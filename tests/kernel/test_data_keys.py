"""Data keys: one serves its caller for the reuse period, and KMS's refusals get the service's names."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from doppio.kernel.data_keys import DataKeys
from doppio.wire.errors import AwsError
from tests.services.kms.helpers import allow, key, user
from tests.services.world import ACCOUNT, REGION, World, told

REUSE = timedelta(seconds=60)


class Off(AwsError):
    code = "Off"


def keys() -> DataKeys:
    """A service's data keys."""
    return DataKeys("sqs", {"DisabledException": Off})


def context(world: World, caller: Any = None) -> Any:
    """A context of the account's root, or of a caller."""
    if caller is None:
        return world.cloud.root_context()
    return world.cloud.context(
        caller, account=ACCOUNT, region=REGION, request_id=world.cloud.ids.uuid()
    )


@told
async def test_a_data_key_serves_one_caller_for_its_period(world: World) -> None:
    mine, made = (await key(world))["KeyId"], keys()
    ada = await user(world, "ada", allow("kms:*"))

    async def one(caller: Any = None) -> bytes:
        found = await made.for_sealing(context(world, caller), "q", mine, {"of": "q"}, REUSE)
        return found.wrapped

    first = await one()
    assert await one() == first
    assert await one(ada) != first
    await world.advance(61)
    assert await one() != first


@told
async def test_a_wrapped_key_opens_with_its_context_alone(world: World) -> None:
    mine, made = (await key(world))["KeyId"], keys()
    found = await made.for_sealing(context(world), "q", mine, {"of": "q"}, REUSE)
    plain = await made.for_opening(context(world), found.wrapped, {"of": "q"}, REUSE)
    assert plain == found.plain
    await world.advance(61)
    with pytest.raises(AwsError) as refused:
        await made.for_opening(context(world), found.wrapped, {"of": "other"}, REUSE)
    assert refused.value.code == "InvalidCiphertextException"


@told
async def test_what_kms_refuses_has_the_services_name_where_it_has_one(world: World) -> None:
    mine, made = (await key(world))["KeyId"], keys()
    await world.call("kms", "disable_key", KeyId=mine)
    with pytest.raises(Off, match="disabled"):
        await made.for_sealing(context(world), "q", mine, {}, REUSE)
    with pytest.raises(AwsError) as refused:
        await made.for_sealing(context(world), "q", "alias/none", {}, REUSE)
    assert refused.value.code == "NotFoundException"
