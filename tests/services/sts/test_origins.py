"""For whom a session acts: what a provider's claims say, and what comes of it."""

from __future__ import annotations

from typing import Any

import pytest

from doppio.services.sts.errors import AccessDenied, ValidationError
from doppio.services.sts.origins import ISSUER, SUBJECT, origin_subject
from tests.services.iam.helpers import document, iam
from tests.services.sts.issuer import Issuer
from tests.services.sts.test_web_identity import assume, believed, told, trusted_role
from tests.services.sts.test_web_tokens import SPACE, enabled, read, token
from tests.services.world import World, refusal, refused

CONTEXT: dict[str, Any] = {
    "SubjectSourceKey": "email", "SubjectTypeValue": "user",
    "KeyDefinitionList": [{"SourceKey": "shift"}, {"SourceKey": "desk", "TargetKey": "Till"}],
}  # fmt: skip


@told
async def test_claims_become_context_that_policies_and_tokens_know(
    world: World, issuer: Issuer
) -> None:
    await believed(world, issuer, ContextProvider=CONTEXT)
    arn = await trusted_role(world, issuer)
    host = issuer.url.removeprefix("https://")
    alice = {
        "aws:OriginIdentity/Subject": "alice@shop.example", "aws:OriginIdentity/Issuer": host,
        "aws:TransactionContext/IdentityProvider/Till": "3",
    }  # fmt: skip
    await iam(
        world, "put_role_policy", RoleName="brewing", PolicyName="q",
        PolicyDocument=document("sqs:CreateQueue", "sts:*", Condition={"StringEquals": alice}),
    )  # fmt: skip
    issuer_url = await enabled(world)

    async def session(**claims: Any) -> Any:
        text = issuer.token(now=world.now, shift="early", desk="3", **claims)
        return await world.who((await assume(world, arn, text))["Credentials"])

    caller = await session(email="alice@shop.example")
    await world.call("sqs", "create_queue", caller=caller, QueueName="orders")
    asked = {"SubjectMode": "OriginIdentity", "Scope": "read write"}
    claims = await read(
        world, issuer_url, (await token(world, caller, **asked))["WebIdentityToken"]
    )
    assert (claims["sub"], claims["scope"]) == ("alice@shop.example", "read write")
    assert (claims[SPACE]["subject_mode"], claims[SPACE]["principal_id"]) == ("OriginIdentity", arn)
    own = await read(world, issuer_url, (await token(world, caller))["WebIdentityToken"])
    assert own["sub"] == arn

    bob = await session(email="bob@shop.example")
    error = await refused(world.call("sqs", "create_queue", caller=bob, QueueName="orders"))
    assert error.status == 403


@told
async def test_a_scope_takes_a_permission_of_its_own(world: World, issuer: Issuer) -> None:
    await believed(world, issuer, ContextProvider={"SubjectSourceKey": "sub"})
    arn = await trusted_role(world, issuer)
    await enabled(world)
    await iam(
        world, "put_role_policy", RoleName="brewing", PolicyName="q",
        PolicyDocument=document("sts:GetWebIdentityToken"),
    )  # fmt: skip
    got = await assume(world, arn, issuer.token(now=world.now))
    caller = await world.who(got["Credentials"])
    mode = {"SubjectMode": "OriginIdentity"}
    assert await token(world, caller, **mode)
    _, text = await refusal(token(world, caller, Scope="read", **mode))
    assert "sts:SetWebIdentityTokenScope" in text
    allowed = document(
        "sts:SetWebIdentityTokenScope",
        Condition={"ForAllValues:StringEquals": {"sts:IdentityTokenScope": ["read"]}},
    )
    await iam(world, "put_role_policy", RoleName="brewing", PolicyName="r", PolicyDocument=allowed)
    caller = await world.who(got["Credentials"])
    assert await token(world, caller, Scope="read", **mode)
    assert (await refused(token(world, caller, Scope="read write", **mode))).status == 403


@pytest.mark.parametrize(
    "subject", ["arn:aws:iam::1:user/x", "ARN:x", " a", "a ", "a\u200bb", "a\tb"]
)
def test_a_subject_that_could_be_taken_for_another_is_denied(subject: str) -> None:
    with pytest.raises(AccessDenied):
        origin_subject({SUBJECT: subject, ISSUER: "issuer.example"})


@pytest.mark.parametrize(
    "keys", [{}, {SUBJECT: "alice"}, {SUBJECT: "  ", ISSUER: "i"}, {ISSUER: "i"}]
)
def test_a_session_that_acts_for_nobody_has_no_such_subject(keys: dict[str, str]) -> None:
    with pytest.raises(ValidationError):
        origin_subject(keys)
    assert origin_subject({SUBJECT: "alice b", ISSUER: "issuer.example"}) == "alice b"
