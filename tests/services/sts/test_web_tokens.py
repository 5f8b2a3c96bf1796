"""Tokens by which STS vouches for a caller outside: read by a library that is not ours."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import jwt
import pytest

from doppio.kernel.identity import Caller
from doppio.testing import Cloud
from tests.services.iam.helpers import document, iam, role, user
from tests.services.organizations.helpers import organization
from tests.services.sts.test_chains import assume
from tests.services.world import ACCOUNT, REGION, World, refusal, refused, told

AUDIENCE = "https://kitchen.example"
SPACE = "https://sts.amazonaws.com/"


async def enabled(world: World) -> str:
    """The issuer of the account, of whom tokens may be asked."""
    made = await iam(world, "enable_outbound_web_identity_federation")
    return str(made["IssuerIdentifier"])


async def token(world: World, caller: Caller | None = None, **more: Any) -> Any:
    """A token for the kitchen."""
    req = {"Audience": [AUDIENCE], "SigningAlgorithm": "ES384", **more}
    return await world.call("sts", "get_web_identity_token", caller=caller, **req)


async def page(world: World, url: str) -> Any:
    """What anybody reads at an issuer's URL."""
    name = url.partition("/_aws/")[2]
    shown = world.cloud.services["sts"].pages["sts/issuers/"]
    found = await shown(world.cloud.context_for("", ""), name.removeprefix("sts/issuers/"))
    return None if found is None else json.loads(found[0])


async def keys(world: World, issuer: str) -> jwt.PyJWKSet:
    """The issuer's keys, found as OpenID Connect says."""
    about = await page(world, f"{issuer}/.well-known/openid-configuration")
    assert about["issuer"] == issuer
    return jwt.PyJWKSet.from_dict(await page(world, about["jwks_uri"]))


async def read(world: World, issuer: str, text: str, audience: str = AUDIENCE) -> dict[str, Any]:
    """The claims of a token, checked by the keys that the issuer shows."""
    head = jwt.get_unverified_header(text)
    (key,) = [one for one in (await keys(world, issuer)).keys if one.key_id == head["kid"]]
    # The world's host clock is in 2030: the times are judged by the tests.
    loose = {"verify_exp": False, "verify_iat": False, "require": ["exp", "iat", "jti"]}
    return jwt.decode(
        text, key.key, algorithms=[head["alg"]], audience=audience, issuer=issuer, options=loose
    )


@told
async def test_an_account_has_one_issuer_for_good(world: World) -> None:
    ask = "get_outbound_web_identity_federation_info"
    for method in (ask, "disable_outbound_web_identity_federation"):
        error = await refused(iam(world, method))
        assert (error.code, error.status) == ("FeatureDisabled", 404)
    issuer = await enabled(world)
    assert await iam(world, ask) == {"IssuerIdentifier": issuer, "JwtVendingEnabled": True}
    error = await refused(enabled(world))
    assert (error.code, error.status) == ("FeatureEnabled", 409)
    assert "already enabled" in error.message
    await iam(world, "disable_outbound_web_identity_federation")
    assert (await refused(iam(world, ask))).code == "FeatureDisabled"
    assert await enabled(world) == issuer
    other = await world.call("iam", "enable_outbound_web_identity_federation", account="1" * 12)
    assert other["IssuerIdentifier"] != issuer


@pytest.mark.parametrize("algorithm", ["RS256", "ES384"])
def test_a_token_is_verified_by_the_keys_that_its_issuer_shows(algorithm: str) -> None:
    @told
    async def story(world: World) -> None:
        issuer = await enabled(world)
        barista = await user(world, "barista", document("sts:*"))
        await iam(world, "tag_user", UserName="barista", Tags=[{"Key": "Team", "Value": "bar"}])
        got = await token(
            world, barista, SigningAlgorithm=algorithm, DurationSeconds=60,
            Tags=[{"Key": "Order", "Value": "7"}],
        )  # fmt: skip
        assert jwt.get_unverified_header(got["WebIdentityToken"])["alg"] == algorithm
        claims = await read(world, issuer, got["WebIdentityToken"])
        now = int(world.host.seconds())
        assert (claims["iat"], claims["exp"]) == (now, now + 60)
        assert got["Expiration"].timestamp() == now + 60
        assert (claims["sub"], claims["aud"]) == (barista.arn, AUDIENCE)
        assert claims[SPACE] == {
            "aws_account": ACCOUNT,
            "source_region": REGION,
            "principal_id": barista.arn,
            "principal_tags": {"Team": "bar"},
            "request_tags": {"Order": "7"},
        }

    story()


@told
async def test_a_session_is_its_role_and_says_when_it_ends(world: World) -> None:
    issuer = await enabled(world)
    arn = await role(world, "brewing", Path="/team/")
    await iam(
        world, "put_role_policy", RoleName="brewing", PolicyName="p", PolicyDocument=document("*")
    )
    session = await assume(world, arn, DurationSeconds=900)
    got = await token(world, session, Audience=["a", "b"])
    claims = await read(world, issuer, got["WebIdentityToken"], "b")
    assert (claims["sub"], claims["aud"]) == (arn, ["a", "b"])
    assert claims[SPACE]["principal_id"] == arn
    assert claims[SPACE]["original_session_exp"] == "2030-01-01T00:15:00Z"
    error = await refused(token(world, session, DurationSeconds=901))
    assert (error.code, error.status) == ("SessionDurationEscalationException", 403)
    assert (await token(world, session, DurationSeconds=900))["WebIdentityToken"]


@told
async def test_an_account_of_an_organisation_says_where_it_stands(world: World) -> None:
    issuer = await enabled(world)
    org, root = await organization(world)
    claims = await read(world, issuer, (await token(world))["WebIdentityToken"])
    assert (claims[SPACE]["org_id"], claims[SPACE]["ou_path"]) == (org, [f"{org}/{root}/"])


@told
async def test_nobody_is_vouched_for_where_the_account_has_not_said_so(world: World) -> None:
    error = await refused(token(world))
    assert (error.code, error.status) == ("OutboundWebIdentityFederationDisabledException", 403)
    issuer = await enabled(world)
    text = (await token(world))["WebIdentityToken"]
    await iam(world, "disable_outbound_web_identity_federation")
    assert (await refused(token(world))).code == error.code
    assert (await read(world, issuer, text))["sub"] == f"arn:aws:iam::{ACCOUNT}:root"
    stranger = issuer.rpartition("/")[0] + "/0000"
    assert await page(world, f"{stranger}/.well-known/openid-configuration") is None
    assert await page(world, f"{issuer}/keys") is None


@pytest.mark.parametrize(
    ("more", "code"),
    [
        ({"SigningAlgorithm": "HS256"}, "ValidationError"),
        ({"Scope": "read"}, "ValidationError"),
        ({"SubjectMode": "OriginIdentity"}, "ValidationError"),
        ({"SubjectMode": "OriginIdentity", "Scope": "read read"}, "ValidationError"),
        (
            {"SubjectMode": "OriginIdentity", "Scope": "read", "Audience": ["a", "b"]},
            "ValidationError",
        ),
        ({"DurationSeconds": 59}, "ValidationException"),
        ({"DurationSeconds": 3601}, "ValidationException"),
        ({"Tags": [{"Key": "a", "Value": ""}, {"Key": "A", "Value": ""}]}, "InvalidParameterValue"),
        ({"Tags": [{"Key": "aws:a", "Value": ""}]}, "InvalidParameterValue"),
    ],
)
def test_a_token_that_cannot_be_is_refused(more: dict[str, Any], code: str) -> None:
    @told
    async def story(world: World) -> None:
        await enabled(world)
        assert (await refused(token(world, **more))).code == code

    story()


@told
async def test_what_a_token_takes_is_asked_with_its_audience_time_and_algorithm(
    world: World,
) -> None:
    await enabled(world)
    allowed = document(
        "sts:GetWebIdentityToken",
        Condition={
            "ForAllValues:StringEquals": {"sts:IdentityTokenAudience": [AUDIENCE]},
            "NumericLessThanEquals": {"sts:DurationSeconds": "300"},
            "StringEquals": {"sts:SigningAlgorithm": "ES384"},
        },
    )
    barista = await user(world, "barista", allowed)
    assert await token(world, barista)
    for more in (
        {"Audience": [AUDIENCE, "https://elsewhere.example"]},
        {"DurationSeconds": 301},
        {"SigningAlgorithm": "RS256"},
        {"Tags": [{"Key": "team", "Value": "bar"}]},
    ):
        code, _ = await refusal(token(world, barista, **more))
        assert code.startswith("AccessDenied"), more


@told
async def test_keys_are_replaced_in_time_and_shown_until_no_token_of_theirs_counts(
    world: World,
) -> None:
    issuer = await enabled(world)
    first = (await token(world))["WebIdentityToken"]
    name = jwt.get_unverified_header(first)["kid"]
    await world.advance(days=89)
    assert jwt.get_unverified_header((await token(world))["WebIdentityToken"])["kid"] == name
    await world.advance(days=1)
    second = (await token(world))["WebIdentityToken"]
    assert jwt.get_unverified_header(second)["kid"] != name
    assert await read(world, issuer, first)
    assert await read(world, issuer, second)
    await world.advance(days=1)
    assert name not in {one.key_id for one in (await keys(world, issuer)).keys}
    assert await read(world, issuer, second)


@told
async def test_a_crash_loses_no_key(world: World) -> None:
    issuer = await enabled(world)
    text = (await token(world))["WebIdentityToken"]
    again = world.again()
    await again.start()
    try:
        assert await read(again, issuer, text)
        later = (await token(again))["WebIdentityToken"]
        assert jwt.get_unverified_header(later)["kid"] == jwt.get_unverified_header(text)["kid"]
    finally:
        await again.close()


@pytest.fixture(scope="module")
def cloud() -> Iterator[Cloud]:
    with Cloud() as running:
        yield running


def test_a_stranger_with_a_library_of_his_own_verifies_a_token_over_http(cloud: Cloud) -> None:
    account = cloud.account()
    issuer = account.client("iam").enable_outbound_web_identity_federation()["IssuerIdentifier"]
    text = account.client("sts").get_web_identity_token(
        Audience=[AUDIENCE], SigningAlgorithm="RS256"
    )["WebIdentityToken"]
    finder = jwt.PyJWKClient(f"{issuer}/.well-known/jwks.json")
    key = finder.get_signing_key_from_jwt(text).key
    claims = jwt.decode(text, key, algorithms=["RS256"], audience=AUDIENCE, issuer=issuer)
    assert claims["sub"] == f"arn:aws:iam::{account.account_id}:root"
    with pytest.raises(jwt.InvalidAudienceError):
        jwt.decode(text, key, algorithms=["RS256"], audience="https://elsewhere.example")
