"""Whom else a version of a layer lets in."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from doppio.kernel.context import Context
from doppio.services.lambda_.errors import ResourceNotFound
from doppio.services.lambda_.layers import existing, place_of
from doppio.services.lambda_.names import layer_named
from doppio.services.lambda_.policies import (
    add_statement,
    document_of,
    policy_at,
    principal_of,
    remove_statement,
)

if TYPE_CHECKING:
    from doppio._stubs import lambda_ as w


class LayerPolicies:
    """The operations on the policies of layers."""

    async def add_layer_version_permission(
        self, ctx: Context, req: w.AddLayerVersionPermissionRequest
    ) -> w.AddLayerVersionPermissionResponse:
        """Let an account, an organization or everybody use a version of a layer."""
        which = layer_named(ctx, req)
        statement: dict[str, Any] = {
            "Sid": req["StatementId"],
            "Effect": "Allow",
            "Principal": principal_of(which.partition, req["Principal"]),
            "Action": req["Action"],
            "Resource": which.version_arn,
        }
        if req.get("OrganizationId"):
            statement["Condition"] = {"StringEquals": {"aws:PrincipalOrgID": req["OrganizationId"]}}
        async with ctx.write() as tx:
            await existing(tx, which)
            policy = await add_statement(tx, place_of(which), statement, req.get("RevisionId"))
        return {
            "Statement": json.dumps(statement, separators=(",", ":")),
            "RevisionId": policy.revision,
        }

    async def remove_layer_version_permission(
        self, ctx: Context, req: w.RemoveLayerVersionPermissionRequest
    ) -> None:
        """Take a statement out of the policy of a layer's version."""
        which = layer_named(ctx, req)
        async with ctx.write() as tx:
            await existing(tx, which)
            await remove_statement(tx, place_of(which), req["StatementId"], req.get("RevisionId"))

    async def get_layer_version_policy(
        self, ctx: Context, req: w.GetLayerVersionPolicyRequest
    ) -> w.GetLayerVersionPolicyResponse:
        """The policy of a layer's version."""
        which = layer_named(ctx, req)
        reader = ctx.read()
        await existing(reader, which)
        policy = await policy_at(reader, place_of(which))
        if policy is None:
            raise ResourceNotFound("No policy is associated with the given resource.")
        return {"Policy": document_of(policy), "RevisionId": policy.revision}
