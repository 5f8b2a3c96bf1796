"""Resource policies: which other services may write to the account's log groups.

An account has up to ten in a Region, each naming the groups it speaks of. They hang together on
one resource, as one document, so that every call is judged by all of them.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, cast

from doppio.kernel.authorise import check_policy_document, put_resource
from doppio.kernel.context import Context, Tx
from doppio.kernel.paging import page_of
from doppio.services.logs import limits
from doppio.services.logs.errors import InvalidParameter, LimitExceeded, NotFound
from doppio.services.logs.groups import position
from doppio.services.logs.lookup import milliseconds
from doppio.services.logs.permissions import policies_arn
from doppio.services.logs.records import ResourcePolicy
from doppio.wire.errors import NotImplementedByDoppio

if TYPE_CHECKING:
    from doppio._stubs import logs as w


class Policies:
    """The operations on resource policies."""

    async def put_resource_policy(
        self, ctx: Context, req: w.PutResourcePolicyRequest
    ) -> w.PutResourcePolicyResponse:
        """Set a policy; it counts for the next call."""
        if req.get("resourceArn"):
            raise NotImplementedByDoppio(
                "logs: policies of single log groups exist in AWS and not yet here"
            )
        if not req.get("policyName") or not req.get("policyDocument"):
            raise InvalidParameter("policyName and policyDocument must be specified.")
        try:
            check_policy_document(
                req["policyDocument"], needs_principal=True, partition=ctx.partition
            )
        except ValueError as error:
            raise InvalidParameter(f"Invalid policy document: {error}") from error
        policy = ResourcePolicy(
            account=ctx.account,
            region=ctx.region,
            name=req["policyName"],
            document=req["policyDocument"],
            updated_at=milliseconds(ctx.now),
        )
        async with ctx.write() as tx:
            old = await _all(tx)
            if policy.name not in {one.name for one in old} and len(old) >= limits.POLICIES_MAX:
                raise LimitExceeded
            tx.put(policy)
            _hang(tx, [one for one in old if one.name != policy.name] + [policy])
        return {"resourcePolicy": _told(policy)}

    async def delete_resource_policy(
        self, ctx: Context, req: w.DeleteResourcePolicyRequest
    ) -> None:
        """Take a policy away."""
        async with ctx.write() as tx:
            old = await _all(tx)
            gone = [one for one in old if one.name == req.get("policyName")]
            if not gone:
                raise NotFound(
                    f"Policy with name [{req.get('policyName')}] does not exist."
                )  # fmt: skip
            tx.delete(gone[0])
            _hang(tx, [one for one in old if one is not gone[0]])

    async def describe_resource_policies(
        self, ctx: Context, req: w.DescribeResourcePoliciesRequest
    ) -> w.DescribeResourcePoliciesResponse:
        """The policies, by pages in the order of names."""
        if req.get("resourceArn") or req.get("policyScope") == "RESOURCE":
            return {"resourcePolicies": []}
        scope = f"policies/{ctx.account}/{ctx.region}"
        most = req.get("limit", limits.PAGE_MAX)
        shown, token = await page_of(
            ctx.read(), ResourcePolicy, (ctx.account, ctx.region), most=most, scope=scope,
            after=position(req, scope),
        )  # fmt: skip
        told: w.DescribeResourcePoliciesResponse = {
            "resourcePolicies": [_told(one) for one in shown]
        }
        if token is not None:
            told["nextToken"] = token
        return told


async def _all(reader: Any) -> list[ResourcePolicy]:
    ctx = reader.context
    found: list[ResourcePolicy] = await reader.list(
        ResourcePolicy, (ctx.account, ctx.region), limit=limits.POLICIES_MAX
    )
    return found


def _hang(tx: Tx, policies: list[ResourcePolicy]) -> None:
    ctx = tx.context
    statements: list[Any] = []
    for policy in policies:
        given = json.loads(policy.document)["Statement"]
        for number, statement in enumerate(given if isinstance(given, list) else [given]):
            # Statement ids need only be unique within the policy that was given.
            statements.append({**statement, "Sid": f"{len(statements)}x{number}"})
    document = json.dumps({"Version": "2012-10-17", "Statement": statements})
    put_resource(tx, policies_arn(ctx), ctx.account, document if statements else None)


def _told(policy: ResourcePolicy) -> w.ResourcePolicy:
    return cast(
        "w.ResourcePolicy",
        {
            "policyName": policy.name,
            "policyDocument": policy.document,
            "lastUpdatedTime": policy.updated_at,
            "policyScope": "ACCOUNT",
        },
    )
