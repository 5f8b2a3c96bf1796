"""What a request for credentials asks for: whether its role lets it, how long, with what less."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from math import ceil
from typing import Any

from doppio.kernel import tags
from doppio.kernel.authorise import judge, keep_denial
from doppio.kernel.context import Context
from doppio.kernel.policy import MalformedPolicy, PolicySet
from doppio.kernel.policy.grammar import check_given
from doppio.kernel.service import Need
from doppio.services.iam.ports import (
    TRANSITIVE,
    Role,
    Session,
    code_counts,
    credentials,
    managed_policy,
    trusted_policy,
)
from doppio.services.sts import limits
from doppio.services.sts.errors import (
    AccessDenied,
    InvalidParameterValue,
    MalformedPolicyDocument,
    PackedPolicyTooLarge,
    ValidationError,
)


async def check_trust(ctx: Context, role: Role, req: Mapping[str, Any], *, mfa: bool) -> None:
    """Raise AccessDenied unless the role trusts the caller with all that it asks for.

    A session that is tagged, or has a source identity, takes a permission of its own for each,
    also where they are only handed on from the caller's session.
    """
    keys: dict[str, Any] = {"sts:rolesessionname": req["RoleSessionName"], **tag_conditions(req)}
    if mfa:
        keys |= {"aws:multifactorauthpresent": "true", "aws:multifactorauthage": "0"}
    if "ExternalId" in req:
        keys["sts:externalid"] = req["ExternalId"]
    if req.get("TransitiveTagKeys"):
        keys["sts:transitivetagkeys"] = list(req["TransitiveTagKeys"])
    source = source_identity(ctx, req)
    if source:
        keys["sts:sourceidentity"] = source
    actions = ["sts:AssumeRole"]
    if req.get("Tags") or ctx.caller.session.get(TRANSITIVE):
        actions.append("sts:TagSession")
    if source:
        actions.append("sts:SetSourceIdentity")
    trust = trusted_policy(role)
    policies = (ctx.caller.policies or PolicySet()).with_resource(trust, role.arn)
    for action in actions:
        # The caller's own policies may allow it, but it is the role that must trust.
        need = Need(action, role.arn, keys, decisive=True)
        decision = await judge(ctx, need, role.account, policies)
        if not decision.allowed:
            # AWS tells the caller no reason; the cloud's owner may know it.
            keep_denial(ctx, need, decision)
            raise refused(ctx, role.arn, action)
    asked = req.get("SourceIdentity", source)
    if asked != source:
        raise refused(ctx, role.arn, "sts:SetSourceIdentity")


def refused(ctx: Context, arn: str, action: str = "sts:AssumeRole") -> AccessDenied:
    """What AWS says to one whom a role does not trust, and of roles that are not there."""
    return AccessDenied(
        f"User: {ctx.caller.arn} is not authorized to perform: {action} on resource: {arn}"
    )


def check_not_root(ctx: Context) -> None:
    """Raise AccessDenied for an account's root user.

    The convenience keys are root too, and may: in this cloud they are everybody's everyday keys.
    """
    if ctx.caller.kind == "root" and (ctx.caller.access_key or "").startswith(("AKIA", "ASIA")):
        raise AccessDenied("Roles may not be assumed by root accounts.")


def check_long_term(ctx: Context, operation: str) -> None:
    """Raise AccessDenied for one who comes with temporary credentials."""
    if ctx.caller.kind not in ("root", "user") or (ctx.caller.access_key or "").startswith("ASIA"):
        raise AccessDenied(f"Cannot call {operation} with session credentials")


async def checked_mfa(ctx: Context, req: Mapping[str, Any]) -> bool:
    """Whether the caller comes with an MFA code. Raises AccessDenied for one that does not count."""
    if ("SerialNumber" in req) != ("TokenCode" in req):
        raise AccessDenied(
            "MultiFactorAuthentication failed, must provide both MFA serial number and one time "
            "pass code."
        )
    if "SerialNumber" not in req:
        return False
    user = ctx.caller.arn.rpartition("/")[2] if ctx.caller.kind == "user" else ""
    if not await code_counts(ctx, user, req["SerialNumber"], req["TokenCode"]):
        raise AccessDenied(
            "MultiFactorAuthentication failed, unable to validate MFA code.  Please verify your "
            "MFA serial number is valid and associated with this user."
        )
    return True


def source_identity(ctx: Context, req: Mapping[str, Any]) -> str:
    """Who is behind the session: once said, it stays through a chain of roles."""
    handed_on = ctx.caller.session.get("aws:sourceidentity")
    return str(handed_on or req.get("SourceIdentity", ""))


def role_duration(ctx: Context, req: Mapping[str, Any], role: Role) -> timedelta:
    """How long a role's session lasts; one that a role's session asks for, an hour at most."""
    seconds = req.get("DurationSeconds", limits.ROLE_SECONDS_DEFAULT)
    if seconds > role.session_seconds_max:
        raise ValidationError(
            "The requested DurationSeconds exceeds the MaxSessionDuration set for this role."
        )
    if ctx.caller.kind == "assumed-role" and seconds > limits.CHAINED_SECONDS_MAX:
        raise ValidationError(
            "The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by "
            "role chaining"
        )
    return timedelta(seconds=seconds)


def own_duration(ctx: Context, req: Mapping[str, Any]) -> timedelta:
    """How long a user's own session lasts; root's ends after an hour, whatever it asks for."""
    seconds = req.get("DurationSeconds", limits.USER_SECONDS_DEFAULT)
    if ctx.caller.kind == "root":
        seconds = min(seconds, limits.ROOT_SECONDS_MAX)
    return timedelta(seconds=seconds)


def session_policies(ctx: Context, req: Mapping[str, Any]) -> tuple[str, ...]:
    """The session policy of a request, if there is one. Raises MalformedPolicyDocument."""
    document = req.get("Policy")
    if document is None:
        return ()
    try:
        check_given(document, partition=ctx.partition)
    except MalformedPolicy as error:
        raise MalformedPolicyDocument(str(error)) from error
    return (document,)


async def session_policy_arns(
    ctx: Context, req: Mapping[str, Any], account: str
) -> tuple[str, ...]:
    """The managed policies that act as session policies: the account's own, or AWS's."""
    arns = [one["arn"] for one in req.get("PolicyArns", ())]
    if len(arns) > limits.SESSION_POLICY_ARNS_MAX:
        raise ValidationError("You can pass at most 10 managed policy ARNs")
    begin = f"arn:{ctx.partition}:iam::"
    for arn in arns:
        own = arn.startswith((f"{begin}{account}:policy/", f"{begin}aws:policy/"))
        if not own or await managed_policy(ctx.read(), arn) is None:
            raise ValidationError(f"The specified managed policy {arn} does not exist")
    return tuple(arns)


def session_tags(ctx: Context, req: Mapping[str, Any]) -> tuple[dict[str, str], tuple[str, ...]]:
    """The session's tags, with those that the caller's session hands on; and which stay on."""
    handed_on: Mapping[str, str] = ctx.caller.session.get(TRANSITIVE, {})
    given = req.get("Tags", ())
    folded = [tag["Key"].lower() for tag in given]
    if len(set(folded)) < len(folded):
        raise InvalidParameterValue("Duplicate tag keys found. Please note that Tag keys are "
                                    "case insensitive.")  # fmt: skip
    if {key.lower() for key in handed_on} & set(folded):
        raise InvalidParameterValue(
            "One of the specified transitive tag keys can't be set because it conflicts with a "
            "transitive tag key from the calling session."
        )
    try:
        asked = tags.checked(tags.from_list(given))
    except tags.BadTags as error:
        raise InvalidParameterValue(str(error)) from error
    staying = {key.lower() for key in req.get("TransitiveTagKeys", ())}
    if not staying <= set(folded):
        raise InvalidParameterValue(
            "The specified transitive tag key must be included in the requested tags."
        )
    both = {**handed_on, **asked}
    if len(both) > limits.SESSION_TAGS_MAX:
        raise InvalidParameterValue("You can pass up to 50 session tags")
    return both, tuple(key for key in both if key in handed_on or key.lower() in staying)


def tag_conditions(req: Mapping[str, Any]) -> dict[str, Any]:
    """The condition keys of the tags that a request brings."""
    given = req.get("Tags", ())
    keys: dict[str, Any] = {f"aws:requesttag/{tag['Key'].lower()}": tag["Value"] for tag in given}
    if given:
        keys["aws:tagkeys"] = [tag["Key"] for tag in given]
    return keys


async def given(ctx: Context, req: Mapping[str, Any], session: Session) -> dict[str, Any]:
    """A session's credentials and the size of their token, as operations answer with them."""
    shown = await credentials(ctx, session, req.get("MinimumSessionTokenSize", 0))
    size = len(str(shown["SessionToken"]))
    return {
        "Credentials": shown,
        "SessionTokenSize": size,
        "SessionTokenUtilization": ceil(100 * size / limits.TOKEN_BYTES_MAX),
    }


def packed_percent(req: Mapping[str, Any]) -> int:
    """How much of the room for policies and tags a session takes. Raises PackedPolicyTooLarge."""
    chars = len(req.get("Policy", ""))
    chars += sum(len(one["arn"]) for one in req.get("PolicyArns", ()))
    tags_chars = sum(len(tag["Key"]) + len(tag["Value"]) for tag in req.get("Tags", ()))
    percent = ceil(100 * (chars + tags_chars) / limits.PACKED_CHARS_MAX)
    if percent > 100:
        raise PackedPolicyTooLarge(
            f"Packed policy consumes {percent}% of allotted space, please use smaller policy."
        )
    return percent
