from __future__ import annotations

from doppio.kernel.condition_keys import Conditions
from doppio.kernel.identity import Caller
from tests.services.world import ACCOUNT, World, told


@told
async def test_conditions_are_worked_out_when_a_policy_asks(world: World) -> None:
    caller = Caller(ACCOUNT, f"arn:aws:iam::{ACCOUNT}:user/barista", "AIDA", "user")
    context = world.cloud.context(
        caller, account=ACCOUNT, region="eu-west-1", request_id="r", source_ip="10.0.0.9",
        user_agent="cup", secure="TLSv1.3",
    )  # fmt: skip
    found = Conditions(context, {"s3:prefix": "menu/"})
    assert found["s3:prefix"] == "menu/"
    assert found["aws:sourceip"] == "10.0.0.9"
    assert found["aws:securetransport"] == "true"
    assert found["aws:requestedregion"] == "eu-west-1"
    assert found["aws:username"] == "barista"
    assert found["aws:currenttime"] == "2030-01-01T00:00:00Z"
    assert "aws:sourcearn" not in found
    assert found["s3:tlsversion"] == "1.3"
    assert "s3:authtype" not in found
    assert "s3:signatureage" not in found
    assert "aws:resourceaccount" not in found
    owned = Conditions(context, {"s3:prefix": None}, None, "111111111111")
    assert owned["aws:resourceaccount"] == owned["s3:resourceaccount"] == "111111111111"
    assert "s3:prefix" not in owned
    assert set(found) >= {"s3:prefix", "aws:useragent", "aws:principalaccount"}
    assert len(found) == len(list(found))


@told
async def test_a_session_counts_as_its_role(world: World) -> None:
    arn = f"arn:aws:sts::{ACCOUNT}:assumed-role/brewing/alice"
    caller = Caller(ACCOUNT, arn, "AROA:alice", "assumed-role")
    context = world.cloud.context(caller, account=ACCOUNT, region="r", request_id="r")
    assert Conditions(context, {})["aws:principalarn"] == f"arn:aws:iam::{ACCOUNT}:role/brewing"
