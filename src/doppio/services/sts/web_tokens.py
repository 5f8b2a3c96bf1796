"""GetWebIdentityToken: STS vouches for the caller to somebody outside, in a signed token.

Who reads a token lives in host time, so that is the token's; the keys are replaced in cloud time.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from doppio.kernel import tags
from doppio.kernel.context import Context
from doppio.kernel.guardrails import place_of
from doppio.kernel.service import Need
from doppio.services.iam.ports import Session, federation_of, issuer_url, principal_of, session_of
from doppio.services.sts import limits
from doppio.services.sts.errors import (
    InvalidParameterValue,
    OutboundFederationDisabled,
    SessionDurationEscalation,
    ValidationError,
)
from doppio.services.sts.grants import tag_conditions
from doppio.services.sts.origins import origin_subject
from doppio.services.sts.token_keys import ALGORITHMS, signed, signing_key

if TYPE_CHECKING:
    from doppio._stubs import sts as w

_NAMESPACE = "https://sts.amazonaws.com/"
_OWN, _ORIGIN = "AWSIdentity", "OriginIdentity"


class WebTokens:
    """The operation for those who go elsewhere with a token."""

    async def get_web_identity_token(
        self, ctx: Context, req: w.GetWebIdentityTokenRequest
    ) -> w.GetWebIdentityTokenResponse:
        """A token that says who the caller is, for the audiences that it names."""
        _check(req)
        federation = await federation_of(ctx.read(), ctx.account)
        if federation is None:
            raise OutboundFederationDisabled()
        session = await session_of(ctx)
        seconds = req.get("DurationSeconds", limits.WEB_TOKEN_SECONDS_DEFAULT)
        if session is not None and ctx.now + timedelta(seconds=seconds) > session.expires_at:
            raise SessionDurationEscalation()
        key = await signing_key(ctx, req["SigningAlgorithm"])
        now = ctx.clock.host_now().replace(microsecond=0)
        ends = now + timedelta(seconds=seconds)
        audience = list(req["Audience"])
        principal, owned = await principal_of(ctx, session)
        said, subject = about(ctx, session), principal
        if req.get("SubjectMode") == _ORIGIN:
            subject = origin_subject({} if session is None else session.claims)
            said["subject_mode"] = _ORIGIN
        said["principal_id"] = principal
        place = await place_of(ctx.read(), ctx.account)
        if place is not None:
            said["org_id"] = place.organization
            # The account itself is no part of it.
            said["ou_path"] = ["/".join([place.organization, *place.path[:-1], ""])]
        if owned:
            said["principal_tags"] = owned
        if req.get("Tags"):
            said["request_tags"] = tags.from_list(req["Tags"])
        claims = {
            "aud": audience[0] if len(audience) == 1 else audience,
            "sub": subject,
            _NAMESPACE: said,
            "iss": issuer_url(ctx, federation),
            "exp": int(ends.timestamp()),
            "iat": int(now.timestamp()),
            "jti": ctx.new_id(),
        }
        if "Scope" in req:
            claims["scope"] = req["Scope"]
        return {"WebIdentityToken": signed(key, claims), "Expiration": ends}


def token_needs(req: Mapping[str, Any]) -> Sequence[Need]:
    """A permission for the token, and one more for what it says beside the caller's name."""
    tagged = tag_conditions(req)
    keys: dict[str, Any] = {
        "sts:identitytokenaudience": list(req["Audience"]),
        "sts:signingalgorithm": req["SigningAlgorithm"],
        "sts:durationseconds": str(req.get("DurationSeconds", limits.WEB_TOKEN_SECONDS_DEFAULT)),
        "sts:subjectmode": req.get("SubjectMode", _OWN),
        **tagged,
    }
    actions = ["GetWebIdentityToken"]
    if tagged:
        actions.append("TagGetWebIdentityToken")
    if "Scope" in req:
        actions.append("SetWebIdentityTokenScope")
        keys["sts:identitytokenscope"] = req["Scope"].split(" ")
    return [Need(f"sts:{action}", "*", keys) for action in actions]


def about(ctx: Context, session: Session | None) -> dict[str, Any]:
    """Where a caller comes from, and what its session says of itself."""
    found: dict[str, Any] = {"aws_account": ctx.caller.account, "source_region": ctx.region}
    if session is not None:
        found["original_session_exp"] = session.expires_at.strftime("%Y-%m-%dT%H:%M:%SZ")
        provider = session.claims.get("aws:federatedprovider")
        if provider is not None:
            found["federated_provider"] = provider
        if session.source_identity:
            found["source_identity"] = session.source_identity
    return found


def _check(req: Mapping[str, Any]) -> None:
    """Raise ValidationError for what no token can be made of."""
    if req["SigningAlgorithm"] not in ALGORITHMS:
        raise ValidationError(
            "Invalid value for parameter SigningAlgorithm. Valid values are RS256 and ES384."
        )
    if "Scope" in req:
        if req.get("SubjectMode") != _ORIGIN or len(req["Audience"]) != 1:
            raise ValidationError(
                "Scope can be specified only when SubjectMode is OriginIdentity and there is "
                "exactly one audience."
            )
        scopes = req["Scope"].split(" ")
        if len(set(scopes)) < len(scopes):
            raise ValidationError("A scope value cannot be repeated.")
    given = req.get("Tags", ())
    if len({tag["Key"].lower() for tag in given}) < len(given):
        raise InvalidParameterValue(
            "Duplicate tag keys found. Please note that Tag keys are case insensitive."
        )
    try:
        tags.checked(tags.from_list(given))
    except tags.BadTags as error:
        raise InvalidParameterValue(str(error)) from error
