"""AssumeRoleWithWebIdentity: a role for one whom an OpenID Connect provider vouches for.

The token's signature is checked against the keys that its issuer shows at this moment. Its times
are the issuer's, so they are judged by host time; the session that comes of it ends in cloud time.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import msgspec

from doppio.kernel.context import Context
from doppio.services.iam.ports import (
    OidcProvider,
    Session,
    propagated_to_wire,
    provider_arn,
    provider_of,
    role_of,
)
from doppio.services.sts import grants, limits
from doppio.services.sts.errors import (
    ExpiredToken,
    IdpCommunicationError,
    InvalidIdentityToken,
)
from doppio.services.sts.federation import check_trust, claims_of, context_of, denied
from doppio.wire.errors import NotImplementedByDoppio

if TYPE_CHECKING:
    from doppio._stubs import sts as w

ACTION = "sts:AssumeRoleWithWebIdentity"
ALGORITHMS = ["RS256", "RS384", "RS512", "ES256", "ES384", "ES512"]
_TAGS = "https://aws.amazon.com/tags"
_SOURCE_IDENTITY = "https://aws.amazon.com/source_identity"
_decode = msgspec.json.Decoder(dict[str, Any]).decode


class WebIdentities:
    """The operation for those who come with an identity token."""

    async def assume_role_with_web_identity(
        self, ctx: Context, req: w.AssumeRoleWithWebIdentityRequest
    ) -> w.AssumeRoleWithWebIdentityResponse:
        """Become a role that trusts a token's issuer; the caller needs no keys."""
        if "ProviderId" in req:
            raise NotImplementedByDoppio(
                "sts:AssumeRoleWithWebIdentity with access tokens of OAuth 2.0 (ProviderId) exists "
                "in AWS and not yet in this cloud"
            )
        arn, token, name = req["RoleArn"], req["WebIdentityToken"], req["RoleSessionName"]
        account = arn.split(":")[4] if arn.count(":") >= 5 else ""
        believed, claims = await verified(ctx, account, token)
        provider = believed.arn
        asked = {**req, **_session_wishes(claims)}
        role = await role_of(ctx.read(), arn)
        if role is None:
            raise denied(ACTION)
        keys = condition_keys(claims)
        context = context_of(believed, _host(claims), lambda name: _claim(claims, name))
        await check_trust(ctx, ACTION, role, provider, keys, asked)
        session_tags, transitive = grants.session_tags(ctx, asked)
        packed = grants.packed_percent(asked)
        session = Session(
            kind="role", account=role.account, role=role.name, owner=role.id, name=name,
            issued_at=ctx.now, expires_at=ctx.now + grants.role_duration(ctx, req, role),
            policies=grants.session_policies(ctx, req),
            policy_arns=await grants.session_policy_arns(ctx, req, role.account),
            tags=session_tags, transitive=transitive,
            source_identity=asked.get("SourceIdentity", ""),
            claims=claims_of(provider, keys, context),
        )  # fmt: skip
        shown: dict[str, Any] = {
            **await grants.given(ctx, req, session),
            "SubjectFromWebIdentityToken": claims["sub"],
            "AssumedRoleUser": {
                "AssumedRoleId": f"{role.id}:{name}",
                "Arn": f"arn:{ctx.partition}:sts::{role.account}:assumed-role/{role.name}/{name}",
            },
            "Provider": provider,
            "Audience": keys[f"{_host(claims)}:aud"],
            **propagated_to_wire(context),
        }
        if packed:
            shown["PackedPolicySize"] = packed
        if session.source_identity:
            shown["SourceIdentity"] = session.source_identity
        return shown  # type: ignore[return-value]


async def verified(ctx: Context, account: str, token: str) -> tuple[OidcProvider, dict[str, Any]]:
    """The issuer and the claims of a token that is genuine, current, and for a client that the account knows."""
    import jwt  # Imported when somebody comes with a token.

    try:
        head = jwt.get_unverified_header(token)
        claimed = jwt.decode(token, options={"verify_signature": False})
    except jwt.PyJWTError as error:
        raise InvalidIdentityToken("The ID Token provided is not a valid JWT.") from error
    issuer, subject = claimed.get("iss"), claimed.get("sub")
    if not isinstance(issuer, str) or not isinstance(subject, str):
        raise InvalidIdentityToken("Missing a required claim: iss, sub")
    provider = await provider_of(ctx.read(), account, provider_arn(ctx.partition, account, issuer))
    if provider is None:
        raise InvalidIdentityToken(f"No OpenIDConnect provider found in your account for {issuer}")
    key = await _key(ctx, provider, head.get("kid"))
    try:
        claims: dict[str, Any] = jwt.decode(
            token, key, algorithms=ALGORITHMS,
            options={"verify_aud": False, "verify_exp": False, "verify_nbf": False,
                     "verify_iat": False},
        )  # fmt: skip
    except jwt.PyJWTError as error:
        raise InvalidIdentityToken("Provided Token is not signed by the provider's key") from error
    _check_time(ctx, claims)
    audiences = claims.get("aud", [])
    known = {audiences} if isinstance(audiences, str) else set(audiences)
    if not known & set(provider.client_ids):
        raise InvalidIdentityToken("Incorrect token audience")
    return provider, claims


def _check_time(ctx: Context, claims: Mapping[str, Any]) -> None:
    now = ctx.clock.host_now()
    try:
        ends = datetime.fromtimestamp(int(claims["exp"]), UTC)
        begins = datetime.fromtimestamp(int(claims.get("nbf", claims.get("iat", 0))), UTC)
    except (KeyError, ValueError, TypeError, OverflowError) as error:
        raise InvalidIdentityToken("Missing a required claim: exp") from error
    if now >= ends:
        raise ExpiredToken(
            f"Token expired: current date/time {int(now.timestamp())} must be before the expiration "
            f"date/time {int(ends.timestamp())}"
        )
    if begins > now + timedelta(seconds=limits.TOKEN_SKEW_SECONDS_MAX):
        raise InvalidIdentityToken("The ID Token provided is not valid yet.")


async def _key(ctx: Context, provider: OidcProvider, name: str | None) -> Any:
    """The issuer's key of a name, as it shows it now."""
    import jwt

    about = await _fetched(
        ctx, provider, f"https://{provider.url}/.well-known/openid-configuration"
    )
    place = about.get("jwks_uri")
    if not isinstance(place, str) or not place.startswith("https://"):
        raise _no_key()
    listed = await _fetched(ctx, provider, place)
    try:
        keys = jwt.PyJWKSet.from_dict(listed).keys
    except jwt.PyJWTError as error:
        raise _no_key() from error
    for key in keys:
        if name is None or key.key_id == name:
            return key.key
    raise _no_key()


async def _fetched(ctx: Context, provider: OidcProvider, url: str) -> dict[str, Any]:
    """A document of the issuer's: its certificate is a known authority's, or named by thumbprint."""
    for fingerprint in (None, *provider.thumbprints):
        answer = await ctx.machine.http.send(
            "GET", url, headers={"accept": "application/json"}, body=b"",
            seconds_max=limits.ISSUER_SECONDS_MAX, fingerprint=fingerprint,
        )  # fmt: skip
        if answer.ok:
            try:
                return _decode(answer.body)
            except msgspec.DecodeError as error:
                raise _no_key() from error
        if answer.status:
            break
    raise IdpCommunicationError()


def condition_keys(claims: Mapping[str, Any]) -> dict[str, str]:
    """What a trust policy may ask of a token: `ISSUER:sub`, `ISSUER:aud`, and further claims."""
    audience = claims.get("azp") or claims.get("aud", "")
    if not isinstance(audience, str):
        audience = next(iter(audience), "")
    host = _host(claims)
    keys = {f"{host}:sub": str(claims["sub"]), f"{host}:aud": str(audience)}
    for name in ("amr", "email", "oaud"):
        if isinstance(claims.get(name), str):
            keys[f"{host}:{name}"] = claims[name]
    return keys


def _host(claims: Mapping[str, Any]) -> str:
    return str(claims["iss"]).partition("://")[2].rstrip("/").lower()


def _claim(claims: Mapping[str, Any], name: str) -> str | None:
    """A claim as a value of a condition key; lists and objects are none."""
    value = claims.get(name)
    if isinstance(value, bool):
        return str(value).lower()
    return str(value) if isinstance(value, str | int | float) else None


def _session_wishes(claims: Mapping[str, Any]) -> dict[str, Any]:
    """Tags and source identity that a token asks for, in the form of AssumeRole's request."""
    wishes: dict[str, Any] = {}
    given = claims.get(_TAGS)
    if isinstance(given, Mapping):
        values = given.get("principal_tags", {})
        wishes["Tags"] = [
            {"Key": key, "Value": value[0] if isinstance(value, list) else value}
            for key, value in values.items()
        ]
        wishes["TransitiveTagKeys"] = list(given.get("transitive_tag_keys", ()))
    if isinstance(claims.get(_SOURCE_IDENTITY), str):
        wishes["SourceIdentity"] = claims[_SOURCE_IDENTITY]
    return wishes


def _no_key() -> InvalidIdentityToken:
    return InvalidIdentityToken(
        "Couldn't retrieve verification key from your identity provider,  please reference "
        "AssumeRoleWithWebIdentity documentation for requirements"
    )
