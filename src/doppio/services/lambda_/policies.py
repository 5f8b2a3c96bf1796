"""Resource policies: whom else a function, a version or an alias lets in.

Each qualifier has a policy of its own, which hangs on the ARN with that qualifier: what lets somebody
call an alias lets nobody call the function without it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

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
            await add_statement(tx, _place(which), statement, req.get("RevisionId"))
        return {"Statement": json.dumps(statement, separators=(",", ":"))}

    async def remove_permission(self, ctx: Context, req: w.RemovePermissionRequest) -> None:
        """Take a statement out of a policy."""
        which = named(ctx, req)
        async with ctx.write() as tx:
            await _check_there(tx, which)
            await remove_statement(tx, _place(which), req["StatementId"], req.get("RevisionId"))

    async def get_policy(self, ctx: Context, req: w.GetPolicyRequest) -> w.GetPolicyResponse:
        """The policy of a function, a version or an alias."""
        which = named(ctx, req)
        reader = ctx.read()
        await _check_there(reader, which)
        policy = await policy_at(reader, _place(which))
        if policy is None:
            raise ResourceNotFound("The resource you requested does not exist.")
        return {"Policy": document_of(policy), "RevisionId": policy.revision}


async def _check_there(reader: Reader, which: Named) -> None:
    await function_of(reader, which)
    if which.qualifier == LATEST:
        raise InvalidParameterValue("We currently do not support adding policies for $LATEST.")
    if which.qualifier is not None:
        await version_of(reader, which, which.qualifier)


class Place(NamedTuple):
    """Where a policy hangs: its row's key, and the ARN of what it lets into."""

    account: str
    region: str
    name: str
    qualifier: str
    arn: str


def _place(which: Named) -> Place:
    return Place(which.account, which.region, which.name, which.qualifier or "", which.qualified)


async def policy_at(reader: Reader, place: Place) -> Policy | None:
    """The policy that hangs there."""
    return await reader.get(Policy, *place[:4])


async def add_statement(
    tx: Tx, place: Place, statement: dict[str, Any], revision: str | None
) -> Policy:
    """Put a statement into the policy that hangs there, or into a new one."""
    policy = await policy_at(tx, place)
    if policy is None:
        policy = Policy(
            account=place.account, region=place.region, function=place.name,
            qualifier=place.qualifier, revision="", statements=(),
        )  # fmt: skip
    elif revision not in (None, policy.revision):
        raise PreconditionFailed
    if any(one["Sid"] == statement["Sid"] for one in policy.statements):
        raise ResourceConflict(
            f"The statement id ({statement['Sid']}) provided already exists. Please provide a new "
            "statement id, or remove the existing statement."
        )
    return _put(tx, place, replace(policy, statements=(*policy.statements, statement)))


async def remove_statement(tx: Tx, place: Place, sid: str, revision: str | None) -> None:
    """Take a statement out of the policy that hangs there."""
    policy = await policy_at(tx, place)
    if policy is None:
        raise ResourceNotFound("No policy is associated with the given resource.")
    if revision not in (None, policy.revision):
        raise PreconditionFailed
    left = tuple(one for one in policy.statements if one["Sid"] != sid)
    if len(left) == len(policy.statements):
        raise ResourceNotFound(f"Statement {sid} is not found in resource policy.")
    if left:
        _put(tx, place, replace(policy, statements=left))
    else:
        forget_policy(tx, place.arn, policy)


def _put(tx: Tx, place: Place, policy: Policy) -> Policy:
    policy = replace(policy, revision=tx.context.new_id())
    document = document_of(policy)
    if len(document) > limits.POLICY_BYTES_MAX:
        raise PolicyLengthExceeded(
            f"The final policy size ({len(document)}) is bigger than the limit "
            f"({limits.POLICY_BYTES_MAX})."
        )
    try:
        check_policy_document(document, needs_principal=True)
    except ValueError as error:
        raise InvalidParameterValue(str(error)) from error
    put_resource(tx, place.arn, place.account, document)
    return tx.put(policy)


def forget_policy(tx: Tx, arn: str, policy: Policy) -> None:
    """Remove a policy that was read in this transaction."""
    tx.delete(policy)
    forget_resource(tx, arn)


async def forget_policies(tx: Tx, which: Named) -> None:
    """Remove the policy of a qualifier, or all of a function where there is none."""
    if which.qualifier is not None:
        policy = await policy_at(tx, _place(which))
        rows = [] if policy is None else [policy]
    else:
        place = (which.account, which.region, which.name)
        rows = await tx.list(Policy, place, limit=limits.LISTED_ANY_MAX)
    for row in rows:
        forget_policy(tx, which._replace(qualifier=row.qualifier or None).qualified, row)


def document_of(policy: Policy) -> str:
    """A policy as the engine reads it."""
    document = {"Version": "2012-10-17", "Id": "default", "Statement": policy.statements}
    return json.dumps(document, separators=(",", ":"))


def _statement(which: Named, req: Mapping[str, Any]) -> dict[str, Any]:
    statement: dict[str, Any] = {
        "Sid": req["StatementId"],
        "Effect": "Allow",
        "Principal": principal_of(which.partition, req["Principal"]),
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


def principal_of(partition: str, given: str) -> Any:
    """Whom a statement lets in. Raises InvalidParameterValueException."""
    if given == "*":
        return "*"
    if _ACCOUNT.fullmatch(given):
        return {"AWS": f"arn:{partition}:iam::{given}:root"}
    if _IDENTITY.fullmatch(given):
        return {"AWS": given}
    if _SERVICE.fullmatch(given):
        return {"Service": given}
    raise InvalidParameterValue(
        "The provided principal was invalid. Please check the principal and try again."
    )
