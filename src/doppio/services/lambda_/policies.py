"""Resource policies: whom else a function, a version or an alias lets in.

Each qualifier has a policy of its own, which hangs on the ARN with that qualifier: what lets somebody
call an alias lets nobody call the function without it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from doppio.kernel.authorise import check_policy_document, forget_resource, put_resource
from doppio.kernel.context import Context, Reader, Tx
from doppio.services.lambda_ import limits
from doppio.services.lambda_.errors import (
    InvalidParameterValue,
    PolicyLengthExceeded,
    PreconditionFailed,
    ResourceConflict,
    ResourceNotFound,
)
from doppio.services.lambda_.names import Named, function_of, named, version_of
from doppio.services.lambda_.records import LATEST, Policy

if TYPE_CHECKING:
    from doppio._stubs import lambda_ as w

_ACCOUNT = re.compile(r"\d{12}")
_SERVICE = re.compile(r"[a-z0-9.-]+\.amazonaws\.com(\.cn)?|\w+\.alexa\.com|\*\.amazonaws\.com")
_IDENTITY = re.compile(
    r"arn:aws[a-zA-Z-]*:(iam|sts)::\d{12}:(root|user/.+|role/.+|assumed-role/.+)"
)
# What a statement's condition asks, by the member of the request that says it.
_CONDITIONS = (
    ("SourceArn", "ArnLike", "AWS:SourceArn"),
    ("SourceAccount", "StringEquals", "AWS:SourceAccount"),
    ("EventSourceToken", "StringEquals", "lambda:EventSourceToken"),
    ("FunctionUrlAuthType", "StringEquals", "lambda:FunctionUrlAuthType"),
    ("PrincipalOrgID", "StringEquals", "aws:PrincipalOrgID"),
)


class Policies:
    """The operations on resource policies."""

    async def add_permission(
        self, ctx: Context, req: w.AddPermissionRequest
    ) -> w.AddPermissionResponse:
        """Let a service, an account or an organization use a function."""
        which = named(ctx, req)
        statement = _statement(which, req)
        async with ctx.write() as tx:
            await _check_there(tx, which)
            policy = await _policy_of(tx, which)
            if policy is None:
                policy = Policy(
                    account=which.account, region=which.region, function=which.name,
                    qualifier=which.qualifier or "", revision="", statements=(),
                )  # fmt: skip
            elif req.get("RevisionId") not in (None, policy.revision):
                raise PreconditionFailed
            if any(one["Sid"] == req["StatementId"] for one in policy.statements):
                raise ResourceConflict(
                    f"The statement id ({req['StatementId']}) provided already exists. Please "
                    "provide a new statement id, or remove the existing statement."
                )
            _put(tx, which, replace(policy, statements=(*policy.statements, statement)))
        return {"Statement": json.dumps(statement, separators=(",", ":"))}

    async def remove_permission(self, ctx: Context, req: w.RemovePermissionRequest) -> None:
        """Take a statement out of a policy."""
        which = named(ctx, req)
        async with ctx.write() as tx:
            await _check_there(tx, which)
            policy = await _policy_of(tx, which)
            if policy is None:
                raise ResourceNotFound("No policy is associated with the given resource.")
            if req.get("RevisionId") not in (None, policy.revision):
                raise PreconditionFailed
            left = tuple(one for one in policy.statements if one["Sid"] != req["StatementId"])
            if len(left) == len(policy.statements):
                raise ResourceNotFound(
                    f"Statement {req['StatementId']} is not found in resource policy."
                )
            if left:
                _put(tx, which, replace(policy, statements=left))
            else:
                forget_policy(tx, which, policy)

    async def get_policy(self, ctx: Context, req: w.GetPolicyRequest) -> w.GetPolicyResponse:
        """The policy of a function, a version or an alias."""
        which = named(ctx, req)
        reader = ctx.read()
        await _check_there(reader, which)
        policy = await _policy_of(reader, which)
        if policy is None:
            raise ResourceNotFound("The resource you requested does not exist.")
        return {"Policy": _document(policy), "RevisionId": policy.revision}


async def _check_there(reader: Reader, which: Named) -> None:
    await function_of(reader, which)
    if which.qualifier == LATEST:
        raise InvalidParameterValue("We currently do not support adding policies for $LATEST.")
    if which.qualifier is not None:
        await version_of(reader, which, which.qualifier)


async def _policy_of(reader: Reader, which: Named) -> Policy | None:
    place = (which.account, which.region, which.name, which.qualifier or "")
    return await reader.get(Policy, *place)


def _put(tx: Tx, which: Named, policy: Policy) -> None:
    policy = replace(policy, revision=tx.context.new_id())
    document = _document(policy)
    if len(document) > limits.POLICY_BYTES_MAX:
        raise PolicyLengthExceeded(
            f"The final policy size ({len(document)}) is bigger than the limit "
            f"({limits.POLICY_BYTES_MAX})."
        )
    try:
        check_policy_document(document, needs_principal=True)
    except ValueError as error:
        raise InvalidParameterValue(str(error)) from error
    tx.put(policy)
    put_resource(tx, which.qualified, which.account, document)


def forget_policy(tx: Tx, which: Named, policy: Policy) -> None:
    """Remove a policy that was read in this transaction."""
    tx.delete(policy)
    forget_resource(tx, which.qualified)


async def forget_policies(tx: Tx, which: Named) -> None:
    """Remove the policy of a qualifier, or all of a function where there is none."""
    place: tuple[str, ...] = (which.account, which.region, which.name)
    if which.qualifier is not None:
        policy = await _policy_of(tx, which)
        rows = [] if policy is None else [policy]
    else:
        rows = await tx.list(Policy, place, limit=limits.LISTED_ANY_MAX)
    for row in rows:
        forget_policy(tx, which._replace(qualifier=row.qualifier or None), row)


def _document(policy: Policy) -> str:
    document = {"Version": "2012-10-17", "Id": "default", "Statement": policy.statements}
    return json.dumps(document, separators=(",", ":"))


def _statement(which: Named, req: Mapping[str, Any]) -> dict[str, Any]:
    principal = req["Principal"]
    statement: dict[str, Any] = {
        "Sid": req["StatementId"],
        "Effect": "Allow",
        "Principal": _principal(which, principal),
        "Action": req["Action"],
        "Resource": which.qualified,
    }
    if req.get("FunctionUrlAuthType") and req["Action"] not in (
        "lambda:InvokeFunctionUrl", "lambda:InvokeFunction",
    ):  # fmt: skip
        raise InvalidParameterValue(
            "FunctionUrlAuthType is only supported for lambda:InvokeFunctionUrl action"
        )
    conditions: dict[str, dict[str, Any]] = {}
    for member, operator, key in _CONDITIONS:
        if req.get(member):
            conditions.setdefault(operator, {})[key] = req[member]
    if "InvokedViaFunctionUrl" in req:
        said = "true" if req["InvokedViaFunctionUrl"] else "false"
        conditions["Bool"] = {"lambda:InvokedViaFunctionUrl": said}
    if conditions:
        statement["Condition"] = conditions
    return statement


def _principal(which: Named, given: str) -> Any:
    if given == "*":
        return "*"
    if _ACCOUNT.fullmatch(given):
        return {"AWS": f"arn:{which.partition}:iam::{given}:root"}
    if _IDENTITY.fullmatch(given):
        return {"AWS": given}
    if _SERVICE.fullmatch(given):
        return {"Service": given}
    raise InvalidParameterValue(
        "The provided principal was invalid. Please check the principal and try again."
    )
