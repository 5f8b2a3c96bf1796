"""STS operations: identity, and temporary credentials."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from doppio.kernel import tags
from doppio.kernel.authorise import access_request
from doppio.kernel.context import Context
from doppio.kernel.policy import MalformedPolicy, PolicySet, evaluate
from doppio.kernel.policy.document import check
from doppio.kernel.service import Need
from doppio.services.iam.ports import (
    AccessKey,
    Role,
    Session,
    compile_policy,
    credentials,
    managed_policy,
)
from doppio.services.sts import limits
from doppio.services.sts.errors import (
    AccessDenied,
    InvalidParameterValue,
    MalformedPolicyDocument,
    PackedPolicyTooLarge,
    ValidationError,
)

if TYPE_CHECKING:
    from doppio._stubs import sts as w


class Sessions:
    """The STS operations."""

    async def get_caller_identity(
        self, ctx: Context, req: Mapping[str, Any]
    ) -> w.GetCallerIdentityResponse:
        """Who the caller is; nobody can be denied this."""
        caller = ctx.caller
        return {"UserId": caller.id, "Account": caller.account, "Arn": caller.arn}

    async def get_access_key_info(
        self, ctx: Context, req: w.GetAccessKeyInfoRequest
    ) -> w.GetAccessKeyInfoResponse:
        """The account that an access key belongs to."""
        key = await ctx.read().get(AccessKey, req["AccessKeyId"])
        if key is None:
            raise ValidationError(f"Invalid Access Key ID: {req['AccessKeyId']}")
        return {"Account": key.account}

    async def assume_role(self, ctx: Context, req: w.AssumeRoleRequest) -> w.AssumeRoleResponse:
        """Become a role that trusts the caller, for a while."""
        arn, name = req["RoleArn"], req["RoleSessionName"]
        parts = arn.split(":", 5)
        if len(parts) != 6 or parts[2] != "iam" or not parts[5].startswith("role/"):
            raise ValidationError(f"{arn} is invalid")
        role = await ctx.read().get(Role, parts[4], parts[5].rpartition("/")[2])
        # Whether a role is missing or does not trust the caller, AWS says the same.
        if role is None or role.arn != arn or not self._trusted(ctx, role, req):
            raise _refused(ctx, arn)
        chained = ctx.caller.kind == "assumed-role"
        session = Session(
            kind="role", account=role.account, role=role.name, name=name, issued_at=ctx.now,
            expires_at=ctx.now + _role_duration(req, role, chained=chained),
            policies=_policies(req), policy_arns=await _policy_arns(ctx, req), tags=_tags(req),
            transitive=tuple(req.get("TransitiveTagKeys", ())),
            source_identity=req.get("SourceIdentity", ""), chained=chained,
        )  # fmt: skip
        user_arn = f"arn:aws:sts::{role.account}:assumed-role/{role.name}/{name}"
        shown: dict[str, Any] = {
            "Credentials": await credentials(ctx, session),
            "AssumedRoleUser": {"AssumedRoleId": f"{role.id}:{name}", "Arn": user_arn},
        }
        if session.source_identity:
            shown["SourceIdentity"] = session.source_identity
        return shown  # type: ignore[return-value]

    async def get_session_token(
        self, ctx: Context, req: w.GetSessionTokenRequest
    ) -> w.GetSessionTokenResponse:
        """Temporary credentials for the caller itself."""
        _only_long_term(ctx, "GetSessionToken")
        root = ctx.caller.kind == "root"
        session = Session(
            kind="user", account=ctx.caller.account, name=ctx.caller.arn.rpartition("/")[2],
            user="" if root else ctx.caller.arn.rpartition("/")[2], issued_at=ctx.now,
            expires_at=ctx.now + _own_duration(req, root=root),
        )  # fmt: skip
        return {"Credentials": await credentials(ctx, session)}  # type: ignore[typeddict-item]

    async def get_federation_token(
        self, ctx: Context, req: w.GetFederationTokenRequest
    ) -> w.GetFederationTokenResponse:
        """Temporary credentials for somebody whom the caller vouches for."""
        _only_long_term(ctx, "GetFederationToken")
        root = ctx.caller.kind == "root"
        session = Session(
            kind="federated", account=ctx.caller.account, name=req["Name"],
            user="" if root else ctx.caller.arn.rpartition("/")[2], issued_at=ctx.now,
            expires_at=ctx.now + _own_duration(req, root=root), policies=_policies(req),
            policy_arns=await _policy_arns(ctx, req), tags=_tags(req),
        )  # fmt: skip
        arn = f"arn:aws:sts::{session.account}:federated-user/{session.name}"
        user_id = f"{session.account}:{session.name}"
        return {
            "Credentials": await credentials(ctx, session),  # type: ignore[typeddict-item]
            "FederatedUser": {"FederatedUserId": user_id, "Arn": arn},
        }

    def _trusted(self, ctx: Context, role: Any, req: Mapping[str, Any]) -> bool:
        """Whether the role's trust policy, and for other accounts the caller's own, allow it."""
        keys: dict[str, Any] = {"sts:rolesessionname": req["RoleSessionName"]}
        if "ExternalId" in req:
            keys["sts:externalid"] = req["ExternalId"]
        if "SourceIdentity" in req:
            keys["sts:sourceidentity"] = req["SourceIdentity"]
        given = _tags(req)
        keys.update({f"aws:requesttag/{key.lower()}": value for key, value in given.items()})
        if given:
            keys["aws:tagkeys"] = list(given)
        policies: PolicySet = ctx.caller.policies or PolicySet()
        trust = compile_policy(role.trust, "trust policy")
        need = Need("sts:AssumeRole", role.arn, keys)
        decision = evaluate(
            access_request(ctx, need, role.account), policies.with_resource(trust, role.arn)
        )
        # The caller's own policies may allow it, but it is the role that must trust.
        return decision.allowed and _trusts(trust, ctx, need, role)


def _trusts(trust: Any, ctx: Context, need: Need, role: Any) -> bool:
    request = access_request(ctx, need, role.account)
    for statement in trust.statements:
        named = statement.principal.kind(request.principal, request.account, request.principal_id)
        if (
            statement.allows
            and named is not None
            and statement.applies("sts:assumerole", role.arn, request.context)
        ):
            return True
    return False


def _refused(ctx: Context, arn: str) -> AccessDenied:
    return AccessDenied(
        f"User: {ctx.caller.arn} is not authorized to perform: sts:AssumeRole on resource: {arn}"
    )


def _only_long_term(ctx: Context, operation: str) -> None:
    if ctx.caller.kind not in ("root", "user") or (ctx.caller.access_key or "").startswith("ASIA"):
        raise AccessDenied(f"Cannot call {operation} with session credentials")


def _role_duration(req: Mapping[str, Any], role: Any, *, chained: bool) -> timedelta:
    seconds = req.get("DurationSeconds", limits.ROLE_SECONDS_DEFAULT)
    _at_least(seconds)
    if seconds > role.session_seconds_max:
        raise ValidationError(
            "The requested DurationSeconds exceeds the MaxSessionDuration set for this role."
        )
    if chained and seconds > limits.CHAINED_SECONDS_MAX:
        raise ValidationError(
            "The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by "
            "role chaining"
        )
    return timedelta(seconds=seconds)


def _own_duration(req: Mapping[str, Any], *, root: bool) -> timedelta:
    most = limits.ROOT_SECONDS_MAX if root else limits.USER_SECONDS_MAX
    seconds = req.get("DurationSeconds", limits.USER_SECONDS_DEFAULT)
    _at_least(seconds)
    if not root and seconds > most:
        raise ValidationError(
            f"1 validation error detected: Value '{seconds}' at 'durationSeconds' failed to satisfy "
            f"constraint: Member must have value less than or equal to {most}"
        )
    return timedelta(seconds=min(seconds, most))


def _at_least(seconds: int) -> None:
    if seconds < limits.SESSION_SECONDS_MIN:
        raise ValidationError(
            f"1 validation error detected: Value '{seconds}' at 'durationSeconds' failed to satisfy "
            f"constraint: Member must have value greater than or equal to "
            f"{limits.SESSION_SECONDS_MIN}"
        )


def _policies(req: Mapping[str, Any]) -> tuple[str, ...]:
    document = req.get("Policy")
    if document is None:
        return ()
    if len(document) > limits.SESSION_POLICY_CHARS_MAX:
        raise PackedPolicyTooLarge("Packed size of session policies and tags exceeds the limit")
    try:
        check(document, principal=False)
        compile_policy(document)
    except MalformedPolicy as error:
        raise MalformedPolicyDocument(str(error)) from error
    return (document,)


async def _policy_arns(ctx: Context, req: Mapping[str, Any]) -> tuple[str, ...]:
    arns = [one["arn"] for one in req.get("PolicyArns", ())]
    if len(arns) > limits.SESSION_POLICY_ARNS_MAX:
        raise ValidationError("You can pass at most 10 managed policy ARNs")
    for arn in arns:
        if await managed_policy(ctx.read(), arn) is None:
            raise ValidationError(f"The specified managed policy {arn} does not exist")
    return tuple(arns)


def _tags(req: Mapping[str, Any]) -> dict[str, str]:
    try:
        return tags.checked(tags.from_list(req.get("Tags", ())))
    except tags.BadTags as error:
        raise InvalidParameterValue(str(error)) from error
