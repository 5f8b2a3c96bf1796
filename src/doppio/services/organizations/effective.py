"""Effective policies: what of a management policy type counts for an account."""

from __future__ import annotations

import json
from contextlib import aclosing
from typing import TYPE_CHECKING, Any

from doppio.kernel.context import Context
from doppio.kernel.paging import every, page_token, place_of
from doppio.services.organizations import tree
from doppio.services.organizations.accounts import to_wire
from doppio.services.organizations.computed import effective
from doppio.services.organizations.errors import (
    EffectivePolicyNotFound,
    invalid,
)
from doppio.services.organizations.records import MEMBERS, Account
from doppio.services.organizations.validity import problems

if TYPE_CHECKING:
    from doppio._stubs import organizations as w


class EffectivePolicies:
    """The operations on effective policies."""

    async def describe_effective_policy(
        self, ctx: Context, req: w.DescribeEffectivePolicyRequest
    ) -> w.DescribeEffectivePolicyResponse:
        """What counts for an account: one's own, or one that the management account names."""
        reader = ctx.read()
        organization = await tree.own(reader, ctx)
        kind, name = req["PolicyType"], req.get("TargetId", ctx.account)
        if not tree.is_account(name):
            raise invalid(
                "TARGET_NOT_SUPPORTED",
                "You can't perform the specified operation on that target entity.",
            )
        await tree.target(reader, organization, name)
        found = await effective(reader, organization, name, kind)
        if found is None:
            raise EffectivePolicyNotFound()
        policy, updated_at = found
        return {
            "EffectivePolicy": {
                "PolicyContent": json.dumps(policy.document, separators=(",", ":")),
                "LastUpdatedTimestamp": updated_at,
                "TargetId": name,
                "PolicyType": kind,
            }
        }

    async def list_accounts_with_invalid_effective_policy(
        self, ctx: Context, req: w.ListAccountsWithInvalidEffectivePolicyRequest
    ) -> w.ListAccountsWithInvalidEffectivePolicyResponse:
        """The accounts for which the policies of a type do not fit together."""
        reader = ctx.read()
        organization = await tree.own(reader, ctx)
        kind = req["PolicyType"]
        if kind not in organization.enabled:
            raise EffectivePolicyNotFound()
        scope, most = f"invalid/{organization.id}/{kind}", tree.size(req)
        at = tree.after(req, scope)
        shown: list[Account] = []
        members = every(reader, MEMBERS, (organization.id,), step=most, after=at)
        async with aclosing(members):
            async for row in members:
                found = await effective(reader, organization, row.id, kind)
                if found is not None and problems(kind, found[0]):
                    shown.append(row)
                    if len(shown) > most:
                        break
        token = None
        if len(shown) > most:
            token = page_token(place_of(reader, MEMBERS, shown[most - 1]), scope)
        accounts = [await to_wire(reader, organization, row) for row in shown[:most]]
        answer: dict[str, Any] = {"Accounts": accounts, "PolicyType": kind}
        return answer | tree.next_token(token)  # type: ignore[return-value]

    async def list_effective_policy_validation_errors(
        self, ctx: Context, req: w.ListEffectivePolicyValidationErrorsRequest
    ) -> w.ListEffectivePolicyValidationErrorsResponse:
        """What is wrong with the effective policy of an account, and which policies made it so."""
        reader = ctx.read()
        organization = await tree.own(reader, ctx)
        kind, name = req["PolicyType"], req["AccountId"]
        await tree.member(reader, organization, name)
        found = await effective(reader, organization, name, kind)
        if found is None:
            raise EffectivePolicyNotFound()
        policy = found[0]
        rows = [
            (
                f"{number:06}",
                {
                    "ErrorCode": problem.code,
                    "ErrorMessage": problem.message,
                    "PathToError": "/".join(problem.path),
                    "ContributingPolicies": policy.behind(problem.path)
                    or policy.behind(problem.path[:-1]),
                },
            )
            for number, problem in enumerate(problems(kind, policy))
        ]
        scope = f"problems/{name}/{kind}"
        answer: dict[str, Any] = {
            "AccountId": name,
            "PolicyType": kind,
            "Path": await tree.path(reader, organization, name),
            "EvaluationTimestamp": ctx.now,
        }
        return answer | tree.page(req, rows, "EffectivePolicyValidationErrors", scope)  # type: ignore[return-value]
