"""Forward access: what a caller may outlives the process that knew it, and no more than that."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from doppio.kernel import forward
from doppio.kernel.identity import Caller, root_of
from doppio.kernel.policy import PolicySet, compile_policy
from doppio.wire.errors import AccessDenied
from tests.services.world import ACCOUNT, REGION, World, run, told


def allowing(*actions: str) -> Any:
    """A policy that allows some actions."""
    statement = {"Effect": "Allow", "Action": list(actions), "Resource": "*"}
    return compile_policy({"Version": "2012-10-17", "Statement": [statement]}, "work")


def through_a_record(caller: Caller) -> dict[str, Any]:
    """What a record would give back."""
    kept: dict[str, Any] = msgspec.msgpack.decode(
        msgspec.msgpack.encode(forward.keep(caller, "dynamodb"))
    )
    return kept


@pytest.mark.parametrize(
    ("narrowed", "allowed"),
    [
        ({}, {"s3:PutObject", "s3:GetObject"}),
        ({"boundary": allowing("s3:PutObject")}, {"s3:PutObject"}),
        ({"session": (allowing("s3:Get*"),)}, {"s3:GetObject"}),
        ({"session": ()}, set()),
    ],
)
def test_a_caller_may_what_it_might(narrowed: dict[str, Any], allowed: set[str]) -> None:
    run(lambda world: may_what_it_might(world, narrowed, allowed))


async def may_what_it_might(world: World, narrowed: dict[str, Any], allowed: set[str]) -> None:
    """What is allowed, and nothing else."""
    policies = PolicySet(identity=(allowing("s3:PutObject", "s3:GetObject"),), **narrowed)
    caller = Caller(
        account=ACCOUNT, arn=f"arn:aws:iam::{ACCOUNT}:user/barista", id="AIDA1", kind="user",
        access_key="AKIA1", policies=policies, session={"aws:multifactorauthpresent": "true"},
    )  # fmt: skip
    kept = through_a_record(caller)
    assert "AKIA1" not in repr(kept)
    home = world.cloud.context(root_of(ACCOUNT), account=ACCOUNT, region=REGION, request_id="r")
    acting = forward.again(home, kept)
    assert (acting.caller.arn, acting.account) == (caller.arn, ACCOUNT)
    assert acting.caller.session["aws:multifactorauthpresent"] == "true"
    assert acting.caller.session["aws:calledvialast"] == "dynamodb.amazonaws.com"
    found = set()
    for action in ("s3:PutObject", "s3:GetObject", "s3:DeleteObject"):
        try:
            await acting.authorise(action, "arn:aws:s3:::bucket/key")
        except AccessDenied:
            continue
        found.add(action)
    assert found == allowed


@told
async def test_the_root_stays_the_root(world: World) -> None:
    home = world.cloud.context(root_of("1" * 12), account="1" * 12, region=REGION, request_id="r")
    acting = forward.again(home, through_a_record(root_of(ACCOUNT)))
    assert (acting.caller.kind, acting.account) == ("root", ACCOUNT)
    await acting.authorise("s3:PutObject", "*")
