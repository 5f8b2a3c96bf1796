"""Who else may put events on a bus: its policy, statement by statement or as a whole."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from doppio.kernel.authorise import check_policy_document, put_resource, resource_policy
from doppio.kernel.context import Context, Tx
from doppio.services.events import limits
from doppio.services.events.errors import PolicyLengthExceeded, ResourceNotFound, Validation
from doppio.services.events.lookup import existing_bus, place_of
from doppio.services.events.records import Bus

if TYPE_CHECKING:
    from doppio._stubs import events as w


class BusPolicies:
    """PutPermission and RemovePermission."""

    async def put_permission(self, ctx: Context, req: w.PutPermissionRequest) -> None:
        """Let an account put events on a bus, or replace the bus's policy."""
        async with ctx.write() as tx:
            bus = await existing_bus(tx, place_of(ctx, req.get("EventBusName")))
            if req.get("Policy"):
                _put(tx, bus, req["Policy"])
                return
            statement = _statement(bus, req)
            text = await resource_policy(tx, bus.arn)
            policy = json.loads(text) if text else {"Version": "2012-10-17", "Statement": []}
            kept = [one for one in _statements(policy) if one.get("Sid") != statement["Sid"]]
            _put(tx, bus, json.dumps({**policy, "Statement": [*kept, statement]}))

    async def remove_permission(self, ctx: Context, req: w.RemovePermissionRequest) -> None:
        """Take one statement, or all, out of a bus's policy."""
        async with ctx.write() as tx:
            bus = await existing_bus(tx, place_of(ctx, req.get("EventBusName")))
            text = await resource_policy(tx, bus.arn)
            if req.get("RemoveAllPermissions"):
                put_resource(tx, bus.arn, bus.account)
                return
            if text is None:
                raise ResourceNotFound("EventBus does not have a policy.")
            policy = json.loads(text)
            statements = _statements(policy)
            kept = [one for one in statements if one.get("Sid") != req.get("StatementId")]
            if len(kept) == len(statements):
                raise ResourceNotFound("Statement with the provided id does not exist.")
            left = json.dumps({**policy, "Statement": kept}) if kept else None
            put_resource(tx, bus.arn, bus.account, left)


def _statements(policy: dict[str, Any]) -> list[dict[str, Any]]:
    found = policy.get("Statement") or []
    return [found] if isinstance(found, dict) else found


def _statement(bus: Bus, req: w.PutPermissionRequest) -> dict[str, Any]:
    for name in ("Action", "Principal", "StatementId"):
        if not req.get(name):
            raise Validation(
                f"Parameter {name} is not valid. Reason: it must be specified without Policy."
            )
    if req["Action"] != "events:PutEvents":
        raise Validation("Provided value in parameter 'action' is not supported.")
    principal = req["Principal"]
    statement: dict[str, Any] = {
        "Sid": req["StatementId"],
        "Effect": "Allow",
        "Principal": "*"
        if principal == "*"
        else {"AWS": f"arn:{bus.partition}:iam::{principal}:root"},
        "Action": req["Action"],
        "Resource": bus.arn,
    }
    condition = req.get("Condition")
    if condition:
        if (condition["Type"], condition["Key"]) != ("StringEquals", "aws:PrincipalOrgID"):
            raise Validation("Provided value in parameter 'condition' is not supported.")
        statement["Condition"] = {condition["Type"]: {condition["Key"]: condition["Value"]}}
    return statement


def _put(tx: Tx, bus: Bus, document: str) -> None:
    if len(document.encode()) > limits.POLICY_BYTES_MAX:
        raise PolicyLengthExceeded
    try:
        check_policy_document(document, needs_principal=True, partition=bus.partition)
    except ValueError as error:
        raise Validation(f"Parameter Policy is not valid. Reason: {error}") from error
    put_resource(tx, bus.arn, bus.account, document)
