"""Access key ids: whose a key is can be read out of it, as out of AWS's."""

from __future__ import annotations

import pytest

from doppio.kernel.ids import Ids
from doppio.services.iam.key_ids import LONG_TERM, TEMPORARY, account_of, new_key_id
from tests.services.iam.helpers import iam, role
from tests.services.world import ACCOUNT, World, refusal, told


@pytest.mark.parametrize("account", ["000000000000", "123456789012", "999999999999"])
@pytest.mark.parametrize("prefix", [LONG_TERM, TEMPORARY])
def test_an_id_tells_its_account_and_is_else_by_chance(prefix: str, account: str) -> None:
    ids = Ids(seed=7)
    made = {new_key_id(ids, prefix, account) for _ in range(1_000)}
    assert len(made) == 1_000
    assert all(len(one) == 20 and one.startswith(prefix) for one in made)
    assert {account_of(one) for one in made} == {account}


def test_an_id_of_aws_is_read_as_others_read_it() -> None:
    # The example that is told of wherever this is explained.
    assert account_of("ASIAQNZGKIQY56JQ7WML") == "029608264753"


@pytest.mark.parametrize(
    "wrong", ["AKIA", "test", "123456789012", "AKIA" + "1" * 16, "AKIA" + "A" * 16]
)
def test_what_is_no_key_has_no_account(wrong: str) -> None:
    assert account_of(wrong) is None


@told
async def test_keys_of_sessions_and_keys_that_are_gone_are_traced(world: World) -> None:
    arn = await role(world)
    got = await world.call("sts", "assume_role", RoleArn=arn, RoleSessionName="shift")
    await iam(world, "create_user", UserName="barista")
    key = (await iam(world, "create_access_key", UserName="barista"))["AccessKey"]["AccessKeyId"]
    await iam(world, "delete_access_key", UserName="barista", AccessKeyId=key)
    for one in (key, got["Credentials"]["AccessKeyId"]):
        found = await world.call("sts", "get_access_key_info", account="1" * 12, AccessKeyId=one)
        assert found == {"Account": ACCOUNT}
    assert await refusal(world.call("sts", "get_access_key_info", AccessKeyId="A" * 20)) == (
        "ValidationError", f"Invalid Access Key ID: {'A' * 20}"
    )  # fmt: skip
