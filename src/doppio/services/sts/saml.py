"""AssumeRoleWithSAML: a role for one whom a SAML identity provider vouches for.

The response bears the provider's signature, names role and provider, and is for AWS alone. Its times
are the provider's, so they are judged by host time; the session that comes of it ends in cloud time.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from doppio.kernel.context import Context
from doppio.services.iam.ports import (
    Role,
    SamlProvider,
    Session,
    key_hash,
    opened_saml_keys,
    propagated_to_wire,
    role_of,
    saml_provider_of,
)
from doppio.services.sts import grants, limits
from doppio.services.sts.errors import ExpiredToken, InvalidIdentityToken
from doppio.services.sts.federation import check_trust, claims_of, context_of, denied
from doppio.services.sts.saml_response import Assertion, genuine, parsed_response

if TYPE_CHECKING:
    from doppio._stubs import sts as w

ACTION = "sts:AssumeRoleWithSAML"
AWS = "https://aws.amazon.com/SAML/Attributes/"
_SIGN_IN = re.compile(
    r"https://(?:[a-z0-9-]+\.)?signin\.aws\.amazon\.com/(?:static/)?saml(?:/acs/[A-Z0-9]+)?"
)
AUDIENCE = "urn:amazon:webservices"
_NAME = re.compile(r"[\w+=,.@-]{2,64}", re.ASCII)
# Condition keys that go by the session, too: with which a resource's policy knows a subject.
_STAYING = ("saml:namequalifier", "saml:sub", "saml:sub_type")

# The attributes that are condition keys. Source: "Available keys for SAML-based AWS STS federation".
_EDU_PERSON = (
    "affiliation", "nickname", "orgdn", "orgunitdn", "primaryaffiliation", "principalname",
    "entitlement", "primaryorgunitdn", "scopedaffiliation", "targetedid", "assurance",
)  # fmt: skip
_EDU_ORG = ("homepageuri", "identityauthnpolicyuri", "legalname", "superioruri", "whitepagesuri")
_LISTS = {
    **{f"urn:oid:1.3.6.1.4.1.5923.1.1.1.{number}": f"saml:eduperson{name}"
       for number, name in enumerate(_EDU_PERSON, 1)},
    **{f"urn:oid:1.3.6.1.4.1.5923.1.2.1.{number}": f"saml:eduorg{name}"
       for number, name in enumerate(_EDU_ORG, 2)},
    "urn:oid:2.5.4.3": "saml:cn",
}  # fmt: skip
_CLAIMS = "http://schemas.xmlsoap.org/ws/2005/05/identity/claims"
_SINGLE = {
    f"{_CLAIMS}/name": "saml:name",
    f"{_CLAIMS}/givenname": "saml:givenname",
    f"{_CLAIMS}/surname": "saml:surname",
    f"{_CLAIMS}/emailaddress": "saml:mail",
    "http://schemas.xmlsoap.org/claims/CommonName": "saml:commonname",
    "http://schemas.microsoft.com/ws/2008/06/identity/claims/primarygroupsid":
        "saml:primarygroupsid",
    "urn:oid:2.5.4.4": "saml:surname",
    "urn:oid:2.5.4.42": "saml:givenname",
    "urn:oid:2.5.4.45": "saml:x500uniqueidentifier",
    "urn:oid:0.9.2342.19200300.100.1.1": "saml:uid",
    "urn:oid:0.9.2342.19200300.100.1.3": "saml:mail",
    "urn:oid:0.9.2342.19200300.100.1.45": "saml:organizationstatus",
}  # fmt: skip


class SamlIdentities:
    """The operation on SAML responses."""

    async def assume_role_with_saml(
        self, ctx: Context, req: w.AssumeRoleWithSAMLRequest
    ) -> w.AssumeRoleWithSAMLResponse:
        """Become a role that trusts a response's provider; the caller needs no keys."""
        root = parsed_response(req["SAMLAssertion"])
        provider = await saml_provider_of(ctx.read(), req["PrincipalArn"])
        if provider is None:
            raise InvalidIdentityToken("Specified provider doesn't exist")
        assertion = genuine(
            root, provider.certificates, await opened_saml_keys(ctx, provider),
            encrypted=provider.encryption == "Required",
        )  # fmt: skip
        _check(ctx, provider, assertion)
        role = await role_of(ctx.read(), req["RoleArn"])
        if role is None or not _offered(assertion, req["RoleArn"], provider.arn):
            raise denied(ACTION)
        wishes = _session_wishes(assertion)
        asked: dict[str, Any] = {**req, **wishes}
        keys = condition_keys(provider, assertion)
        context = context_of(
            provider, key_hash(assertion.signer),
            lambda name: _first(assertion.attributes, name),
        )  # fmt: skip
        await check_trust(ctx, ACTION, role, provider.arn, keys, asked)
        session_tags, transitive = grants.session_tags(ctx, asked)
        packed = grants.packed_percent(asked)
        name = asked["RoleSessionName"]
        session = Session(
            kind="role", account=role.account, role=role.name, owner=role.id, name=name,
            issued_at=ctx.now, expires_at=ctx.now + _duration(ctx, role, assertion, asked),
            policies=grants.session_policies(ctx, req),
            policy_arns=await grants.session_policy_arns(ctx, req, role.account),
            tags=session_tags, transitive=transitive,
            source_identity=asked.get("SourceIdentity", ""),
            claims=claims_of(provider.arn, {key: keys[key] for key in _STAYING}, context),
        )  # fmt: skip
        shown: dict[str, Any] = {
            **await grants.given(ctx, req, session),
            "AssumedRoleUser": {
                "AssumedRoleId": f"{role.id}:{name}",
                "Arn": f"arn:{ctx.partition}:sts::{role.account}:assumed-role/{role.name}/{name}",
            },
            "Subject": assertion.subject,
            "SubjectType": assertion.subject_type,
            "Issuer": assertion.issuer,
            "Audience": assertion.recipient,
            "NameQualifier": keys["saml:namequalifier"],
            **propagated_to_wire(context),
        }
        if packed:
            shown["PackedPolicySize"] = packed
        if session.source_identity:
            shown["SourceIdentity"] = session.source_identity
        return shown  # type: ignore[return-value]


def condition_keys(provider: SamlProvider, assertion: Assertion) -> dict[str, Any]:
    """What a trust policy may ask of an assertion."""
    place = f"{provider.account}/{provider.name}"
    qualifier = f"{assertion.issuer}{place}".encode()
    keys: dict[str, Any] = {
        "saml:aud": assertion.recipient,
        "saml:iss": assertion.issuer,
        "saml:doc": place,
        "saml:sub": assertion.subject,
        "saml:sub_type": assertion.subject_type,
        "saml:namequalifier": base64.b64encode(
            hashlib.sha1(qualifier, usedforsecurity=False).digest()
        ).decode(),
    }
    for name, values in assertion.attributes.items():
        if name in _LISTS:
            keys[_LISTS[name]] = list(values)
        elif name in _SINGLE and values:
            keys[_SINGLE[name]] = values[0]
    return keys


def _check(ctx: Context, provider: SamlProvider, assertion: Assertion) -> None:
    """Raise unless the assertion is the provider's, for AWS, and fresh."""
    if assertion.issuer != provider.entity_id:
        raise InvalidIdentityToken("Issuer not present in specified provider")
    now = ctx.clock.host_now()
    if provider.valid_until is not None and now >= provider.valid_until:
        raise InvalidIdentityToken("The metadata of the specified provider has expired")
    if not _SIGN_IN.fullmatch(assertion.recipient) or not any(
        one == AUDIENCE or _SIGN_IN.fullmatch(one) for one in assertion.audiences
    ):
        raise InvalidIdentityToken("Response does not contain the required audience.")
    skew = timedelta(seconds=limits.TOKEN_SKEW_SECONDS_MAX)
    begins = (assertion.issued_at, assertion.begins)
    if any(one is not None and one > now + skew for one in begins):
        raise InvalidIdentityToken("The SAML response is not valid yet.")
    late = assertion.issued_at + timedelta(seconds=limits.RESPONSE_SECONDS_MAX)
    ends = (late, assertion.ends, assertion.subject_ends, assertion.session_ends)
    if any(one is not None and now >= one for one in ends):
        raise ExpiredToken("Token must be redeemed within 5 minutes of issuance")


def _offered(assertion: Assertion, role: str, provider: str) -> bool:
    """Whether the assertion offers a role by this provider; the two may stand in either order."""
    for value in assertion.attributes.get(f"{AWS}Role", ()):
        if {part.strip() for part in value.split(",")} == {role, provider}:
            return True
    return False


def _session_wishes(assertion: Assertion) -> dict[str, Any]:
    """Name, tags and source identity that an assertion asks for, in the form of AssumeRole's."""
    attributes = assertion.attributes
    name = _first(attributes, f"{AWS}RoleSessionName")
    if name is None:
        raise InvalidIdentityToken("RoleSessionName is required in AuthnResponse")
    if not _NAME.fullmatch(name):
        raise InvalidIdentityToken(
            "RoleSessionName in AuthnResponse must match [a-zA-Z_0-9+=,.@-]{2,64}"
        )
    wishes: dict[str, Any] = {"RoleSessionName": name}
    tag = f"{AWS}PrincipalTag:"
    found = [
        {"Key": one.removeprefix(tag), "Value": values[0]}
        for one, values in attributes.items()
        if one.startswith(tag) and values
    ]
    if found:
        wishes["Tags"] = found
    if f"{AWS}TransitiveTagKeys" in attributes:
        wishes["TransitiveTagKeys"] = list(attributes[f"{AWS}TransitiveTagKeys"])
    source = _first(attributes, f"{AWS}SourceIdentity")
    if source is not None:
        if not _NAME.fullmatch(source) or source.startswith("aws:"):
            raise InvalidIdentityToken(
                'Source Identity must match [a-zA-Z_0-9+=,.@-]{2,64} and not begin with "aws:"'
            )
        wishes["SourceIdentity"] = source
    said = _first(attributes, f"{AWS}SessionDuration")
    if said is not None:
        wishes["SessionDuration"] = _seconds(said)
    return wishes


def _duration(
    ctx: Context, role: Role, assertion: Assertion, asked: Mapping[str, Any]
) -> timedelta:
    """As long as is asked for, and no longer than the provider's own session."""
    seconds = asked.get("DurationSeconds") or asked.get("SessionDuration")
    wanted = {} if seconds is None else {"DurationSeconds": seconds}
    found = grants.role_duration(ctx, wanted, role)
    if assertion.session_ends is None:
        return found
    return min(found, _rest(ctx, assertion.session_ends))


def _rest(ctx: Context, ends: datetime) -> timedelta:
    return ends - ctx.clock.host_now()


def _seconds(text: str) -> int:
    least, most = limits.SESSION_SECONDS_MIN, limits.ROLE_SECONDS_MAX
    if not text.isdecimal() or not least <= int(text) <= most:
        raise InvalidIdentityToken(
            f"SessionDuration in AuthnResponse must be an integer between {least} and {most}"
        )
    return int(text)


def _first(attributes: Mapping[str, tuple[str, ...]], name: str) -> str | None:
    values = attributes.get(name, ())
    return values[0] if values else None
