"""A role for one whom an OpenID Connect issuer vouches for."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from doppio.kernel.audit import Denial
from tests.services.iam.helpers import document, iam
from tests.services.sts.issuer import Issuer, issuing
from tests.services.world import ACCOUNT, World, finished, refusal, run

Story = Callable[[World, Issuer], Awaitable[None]]


def told(story: Story) -> Callable[[], None]:
    """A test that tells a story of a cloud and an issuer."""

    def test() -> None:
        with issuing() as issuer:
            run(lambda world: story(world, issuer))

    test.__name__ = story.__name__
    return test


def trusting(issuer: Issuer, **condition: str) -> str:
    """A trust policy for an issuer's tokens."""
    host = issuer.url.removeprefix("https://")
    statement: dict[str, Any] = {
        "Effect": "Allow",
        "Principal": {"Federated": f"arn:aws:iam::{ACCOUNT}:oidc-provider/{host}"},
        "Action": ["sts:AssumeRoleWithWebIdentity", "sts:TagSession"],
    }
    if condition:
        asked = {f"{host}:{name}": value for name, value in condition.items()}
        statement["Condition"] = {"StringEquals": asked}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


async def believed(world: World, issuer: Issuer, **more: Any) -> str:
    """Let the account believe the issuer; the provider's ARN."""
    req = {"ClientIDList": ["till"], "ThumbprintList": [issuer.thumbprint], **more}
    made = await iam(world, "create_open_id_connect_provider", Url=issuer.url, **req)
    arn: str = made["OpenIDConnectProviderArn"]
    return arn


def assume(world: World, arn: str, token: str) -> Awaitable[Any]:
    call = world.call(
        "sts", "assume_role_with_web_identity",
        RoleArn=arn, RoleSessionName="shift", WebIdentityToken=token,
    )  # fmt: skip
    return finished(world, call)


async def trusted_role(world: World, issuer: Issuer, **condition: str) -> str:
    made = await iam(
        world, "create_role", RoleName="brewing",
        AssumeRolePolicyDocument=trusting(issuer, **condition),
    )  # fmt: skip
    arn: str = made["Role"]["Arn"]
    await iam(
        world, "put_role_policy", RoleName="brewing", PolicyName="p",
        PolicyDocument=document("sqs:ListQueues"),
    )  # fmt: skip
    return arn


@told
async def test_a_genuine_token_opens_the_role_that_trusts_its_issuer(
    world: World, issuer: Issuer
) -> None:
    provider = await believed(world, issuer)
    arn = await trusted_role(world, issuer, aud="till", sub="barista-1")
    got = await assume(world, arn, issuer.token(now=world.now))
    assert got["Provider"] == provider
    assert (got["SubjectFromWebIdentityToken"], got["Audience"]) == ("barista-1", "till")
    session = await world.who(got["Credentials"])
    assert session.arn == f"arn:aws:sts::{ACCOUNT}:assumed-role/brewing/shift"
    assert session.session["aws:federatedprovider"] == provider
    await world.call("sqs", "list_queues", caller=session)
    with pytest.raises(Exception, match="not authorized"):
        await world.call("sqs", "create_queue", caller=session, QueueName="q")


@told
async def test_the_trust_policy_sees_the_tokens_claims(world: World, issuer: Issuer) -> None:
    await believed(world, issuer)
    arn = await trusted_role(world, issuer, sub="somebody-else")
    assert await refusal(assume(world, arn, issuer.token(now=world.now))) == (
        "AccessDenied", "Not authorized to perform sts:AssumeRoleWithWebIdentity",
    )  # fmt: skip
    await world.settle()
    [denial] = await world.cloud.root_context().read().list(Denial, limit=5)
    assert (denial.action, denial.resource) == ("sts:AssumeRoleWithWebIdentity", arn)
    assert denial.considered == ["resource-based policy trust policy"]


@told
async def test_what_the_issuer_did_not_sign_is_refused(world: World, issuer: Issuer) -> None:
    await believed(world, issuer)
    arn = await trusted_role(world, issuer)
    forger = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    forged = issuer.token(now=world.now, key=forger)
    genuine = issuer.token(now=world.now)
    for token in (forged, genuine[:-8] + "AAAAAAAA", "no token at all"):
        assert (await refusal(assume(world, arn, token)))[0] == "InvalidIdentityToken"


@told
async def test_an_unsigned_token_is_refused(world: World, issuer: Issuer) -> None:
    import jwt

    await believed(world, issuer)
    arn = await trusted_role(world, issuer)
    content = jwt.decode(issuer.token(now=world.now), options={"verify_signature": False})
    unsigned = jwt.encode(content, None, algorithm="none")
    by_secret = jwt.encode(content, "a secret of at least thirty-two bytes", algorithm="HS256")
    for token in (unsigned, by_secret):
        assert (await refusal(assume(world, arn, token)))[0] == "InvalidIdentityToken"


@told
async def test_tokens_end_and_are_for_the_clients_that_are_named(
    world: World, issuer: Issuer
) -> None:
    provider = await believed(world, issuer)
    arn = await trusted_role(world, issuer)
    old = issuer.token(now=world.now, exp=int(world.now.timestamp()) - 1)
    assert (await refusal(assume(world, arn, old)))[0] == "ExpiredTokenException"
    foreign = issuer.token(now=world.now, aud="bakery")
    assert await refusal(assume(world, arn, foreign)) == (
        "InvalidIdentityToken", "Incorrect token audience",
    )  # fmt: skip
    await iam(
        world, "add_client_id_to_open_id_connect_provider",
        OpenIDConnectProviderArn=provider, ClientID="bakery",
    )  # fmt: skip
    assert (await assume(world, arn, foreign))["Audience"] == "bakery"


@told
async def test_an_issuer_that_is_not_believed_opens_nothing(world: World, issuer: Issuer) -> None:
    arn = await trusted_role(world, issuer)
    code, text = await refusal(assume(world, arn, issuer.token(now=world.now)))
    assert code == "InvalidIdentityToken"
    assert text == f"No OpenIDConnect provider found in your account for {issuer.url}"
    provider = await believed(world, issuer, ThumbprintList=["0" * 40])
    # Its certificate is neither a known authority's nor the one that was named.
    code, _ = await refusal(assume(world, arn, issuer.token(now=world.now)))
    assert code == "IDPCommunicationError"
    await iam(
        world, "update_open_id_connect_provider_thumbprint",
        OpenIDConnectProviderArn=provider, ThumbprintList=[issuer.thumbprint],
    )  # fmt: skip
    assert (await assume(world, arn, issuer.token(now=world.now)))["Provider"] == provider


@told
async def test_a_token_brings_session_tags_where_the_role_lets_it(
    world: World, issuer: Issuer
) -> None:
    await believed(world, issuer)
    arn = await trusted_role(world, issuer)
    wishes = {"https://aws.amazon.com/tags": {"principal_tags": {"shop": ["harbour"]}}}
    got = await assume(world, arn, issuer.token(now=world.now, **wishes))
    session = await world.who(got["Credentials"])
    assert session.session["aws:principaltag/shop"] == "harbour"


@told
async def test_providers_are_kept_listed_tagged_and_deleted(world: World, issuer: Issuer) -> None:
    arn = await believed(world, issuer, Tags=[{"Key": "shop", "Value": "harbour"}])
    shown = await iam(world, "get_open_id_connect_provider", OpenIDConnectProviderArn=arn)
    assert shown["Url"] == issuer.url.removeprefix("https://")
    assert shown["ThumbprintList"] == [issuer.thumbprint]
    assert shown["Tags"] == [{"Key": "shop", "Value": "harbour"}]
    again = iam(world, "create_open_id_connect_provider", Url=issuer.url)
    assert (await refusal(again))[0] == "EntityAlreadyExists"
    plain = iam(world, "create_open_id_connect_provider", Url="http://127.0.0.1/")
    assert await refusal(plain) == ("ValidationError", "Invalid Open ID Connect Provider URL")
    named = {"OpenIDConnectProviderArn": arn}
    await iam(world, "tag_open_id_connect_provider", **named, Tags=[{"Key": "a", "Value": "b"}])
    await iam(world, "untag_open_id_connect_provider", **named, TagKeys=["shop"])
    tags = await iam(world, "list_open_id_connect_provider_tags", **named)
    assert tags["Tags"] == [{"Key": "a", "Value": "b"}]
    await iam(world, "remove_client_id_from_open_id_connect_provider", **named, ClientID="till")
    assert (await iam(world, "get_open_id_connect_provider", **named))["ClientIDList"] == []
    listed = await iam(world, "list_open_id_connect_providers")
    assert listed["OpenIDConnectProviderList"] == [{"Arn": arn}]
    await iam(world, "delete_open_id_connect_provider", **named)
    gone = iam(world, "get_open_id_connect_provider", **named)
    assert await refusal(gone) == (
        "NoSuchEntity", f"OpenIDConnect Provider not found for arn {arn}",
    )  # fmt: skip


@told
async def test_an_issuers_context_goes_with_the_session(world: World, issuer: Issuer) -> None:
    provider = await believed(
        world, issuer,
        ContextProvider={
            "SubjectSourceKey": "email", "SubjectTypeSourceKey": "kind",
            "KeyDefinitionList": [{"SourceKey": "dept"}, {"SourceKey": "staff"}],
        },
    )  # fmt: skip
    arn = await trusted_role(world, issuer)
    claims = {"email": "a@example.com", "kind": "user", "dept": "bar", "staff": True}
    got = await assume(world, arn, issuer.token(now=world.now, **claims))
    assert got["TrustedIdentityPropagationContext"] == {
        "OriginIdentity": {
            "Subject": "a@example.com", "SubjectType": "user",
            "Issuer": issuer.url.removeprefix("https://"), "FederatedProviderArn": provider,
        },
        "TransactionContext": {"IdentityProvider": {"dept": "bar", "staff": "true"}},
    }  # fmt: skip
    session = await world.who(got["Credentials"])
    assert session.session["aws:originidentity/subject"] == "a@example.com"
    assert session.session["aws:transactioncontext/identityprovider/dept"] == "bar"
    await iam(
        world, "update_open_id_connect_provider", OpenIDConnectProviderArn=provider,
        RemoveContextProvider=True,
    )  # fmt: skip
    got = await assume(world, arn, issuer.token(now=world.now))
    assert "TrustedIdentityPropagationContext" not in got
