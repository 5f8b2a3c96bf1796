"""GenerateOrganizationsAccessReport: what control policies let accounts use, and what they really did.

The caller's own permissions with Organizations count: it is asked as the caller. What the accounts
did is looked up when the report is read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from itertools import pairwise
from typing import TYPE_CHECKING, Any, NamedTuple

from doppio.kernel.context import Context, Reader
from doppio.kernel.guardrails import Guardrail, Place, place_of
from doppio.kernel.policy import Policy, compile_policy
from doppio.kernel.policy.reference import prefixes
from doppio.kernel.uses import uses_of
from doppio.services.iam import limits
from doppio.services.iam.common import page
from doppio.services.iam.errors import InvalidInput, NoSuchEntity
from doppio.services.iam.last_accessed import LOOKS_BACK
from doppio.services.iam.organizations import listed
from doppio.services.iam.records import OrganizationReport, Role, User
from doppio.wire.errors import AccessDenied

if TYPE_CHECKING:
    from doppio._stubs import iam as w

REPORTS_KEPT = timedelta(days=7)
_SCP = "SERVICE_CONTROL_POLICY"


class Seen(NamedTuple):
    """The last use of a service by an account."""

    account: str
    at: datetime
    region: str


class OrganizationReports:
    """The operations on an organisation's reports."""

    async def generate_organizations_access_report(
        self, ctx: Context, req: w.GenerateOrganizationsAccessReportRequest
    ) -> w.GenerateOrganizationsAccessReportResponse:
        """Ask for a report on a root, a unit or an account; it is there at once."""
        mine = await _management(ctx)
        path = await _checked_path(ctx, mine, req["EntityPath"])
        places = await _places(ctx.read(), mine.organization)
        services = set(prefixes())
        accounts = [place for place in places if place.path[: len(path)] == path]
        if path[-1] != mine.account:
            accounts = [place for place in accounts if not place.management]
            policy = req.get("OrganizationsPolicyId")
            if policy is None:
                for target in path:
                    services &= allowed_services(await _hanging(ctx, target))
            else:
                services &= allowed_services([await _content(ctx, policy)])
                on = await _targets(ctx, policy)
                accounts = [place for place in accounts if on & set(place.path)]
        async with ctx.write() as tx:
            for old in await tx.list(OrganizationReport, (ctx.account,), limit=limits.ROWS_MAX):
                if old.at < ctx.now - REPORTS_KEPT:
                    tx.delete(old)
            report = tx.put(
                OrganizationReport(
                    account=ctx.account, id=ctx.new_id(), at=ctx.now, services=sorted(services),
                    accounts={
                        place.account: "/".join((place.organization, *place.path))
                        for place in accounts
                    },
                )
            )  # fmt: skip
        return {"JobId": report.id}

    async def get_organizations_access_report(
        self, ctx: Context, req: w.GetOrganizationsAccessReportRequest
    ) -> w.GetOrganizationsAccessReportResponse:
        """A report: each service, and which account used it last."""
        await _management(ctx)
        reader = ctx.read()
        report = await reader.get(OrganizationReport, ctx.account, req["JobId"])
        if report is None or report.at < ctx.now - REPORTS_KEPT:
            raise NoSuchEntity(f"The job with id {req['JobId']} cannot be found.")
        seen = await _seen(ctx, reader, report)
        order = req.get("SortKey", "SERVICE_NAMESPACE_ASCENDING")
        rows = sorted(report.services)
        if order.startswith("LAST_AUTHENTICATED"):
            rows.sort(key=lambda prefix: _last(seen.get(prefix)))
        if order.endswith("DESCENDING"):
            rows.reverse()

        def show(prefix: str) -> dict[str, Any]:
            return _to_wire(report, prefix, seen.get(prefix, {}))

        shown = page(req, rows, "AccessDetails", show, f"organization/{report.id}/{order}")
        return {
            "JobStatus": "COMPLETED",
            "JobCreationDate": report.at,
            "JobCompletionDate": report.at,
            "NumberOfServicesAccessible": len(rows),
            "NumberOfServicesNotAccessed": len([one for one in rows if one not in seen]),
            **shown,  # type: ignore[typeddict-item]
        }


def allowed_services(policies: Sequence[Policy]) -> set[str]:
    """The services of which a level of control policies leaves anything at all.

    What is denied everywhere and always is taken away; what is denied here or there, or under a
    condition, is not.
    """
    allows = [one.action for policy in policies for one in policy.statements if one.allows]
    denies = [one for policy in policies for one in _denied_always(policy)]
    return {
        prefix
        for prefix, service in prefixes().items()
        if any(_left(f"{prefix}:{name}".lower(), allows, denies) for name in service.actions)
    }


def _left(
    action: str, allows: Iterable[Callable[[str], bool]], denies: Iterable[Callable[[str], bool]]
) -> bool:
    return any(one(action) for one in allows) and not any(one(action) for one in denies)


def _denied_always(policy: Policy) -> list[Callable[[str], bool]]:
    """What a policy denies on everything and without a condition."""
    found: list[Callable[[str], bool]] = []
    raw = policy.document["Statement"]
    statements = raw if isinstance(raw, list) else [raw]
    for statement, given in zip(policy.statements, statements, strict=True):
        resource = given.get("Resource", ())
        everything = "*" in ([resource] if isinstance(resource, str) else resource)
        if not statement.allows and everything and not given.get("Condition"):
            found.append(statement.action)
    return found


async def _management(ctx: Context) -> Place:
    """Where the caller's account stands. Raises AccessDenied unless it manages an organisation."""
    place = await place_of(ctx.read(), ctx.account)
    if place is None or not place.management:
        raise AccessDenied(
            "You must be signed in to the management account of an organization to do this."
        )
    return place


async def _checked_path(ctx: Context, mine: Place, given: str) -> tuple[str, ...]:
    """The ids of a root and of what is below it, down to an entity. Raises InvalidInput."""
    organization, *path = given.strip("/").split("/")
    root = mine.path[0]
    if organization != mine.organization or not path or path[0] != root:
        raise InvalidInput(f"The entity path {given} is not in your organization.")
    if await ctx.read().get(Guardrail, root, "scp") is None:
        raise InvalidInput("Service control policies are not enabled for your organization.")
    for parent, child in pairwise(path):
        found = await ctx.call("organizations", "list_parents", {"ChildId": child})
        if [one["Id"] for one in found["Parents"]] != [parent]:
            raise InvalidInput(f"The entity path {given} is not in your organization.")
    return tuple(path)


async def _places(reader: Reader, organization: str) -> list[Place]:
    rows = await reader.list(Place, (), limit=limits.ROWS_MAX)
    return [place for place in rows if place.organization == organization]


async def _hanging(ctx: Context, target: str) -> list[Policy]:
    """The service control policies on a target itself."""
    req = {"TargetId": target, "Filter": _SCP}
    found = await listed(ctx, "list_policies_for_target", req, "Policies")
    return [await _content(ctx, one["Id"]) for one in found]


async def _content(ctx: Context, policy: str) -> Policy:
    found = await ctx.call("organizations", "describe_policy", {"PolicyId": policy})
    shown = found["Policy"]
    if shown["PolicySummary"]["Type"] != _SCP:
        raise InvalidInput(f"The policy {policy} is not a service control policy.")
    return compile_policy(shown["Content"], policy)


async def _targets(ctx: Context, policy: str) -> set[str]:
    found = await listed(ctx, "list_targets_for_policy", {"PolicyId": policy}, "Targets")
    return {one["TargetId"] for one in found}


async def _seen(
    ctx: Context, reader: Reader, report: OrganizationReport
) -> dict[str, dict[str, Seen]]:
    """The last use of each service by each account."""
    await ctx.kernel.uses.flush()
    since = ctx.now - LOOKS_BACK
    found: dict[str, dict[str, Seen]] = {}
    for account in report.accounts:
        users = await reader.list(User, (account,), limit=limits.ROWS_MAX)
        roles = await reader.list(Role, (account,), limit=limits.ROWS_MAX)
        for entity in (*users, *roles):
            for use in await uses_of(reader, entity.id):
                prefix = use.action.partition(":")[0]
                if use.at < since:
                    continue
                by_account = found.setdefault(prefix, {})
                before = by_account.get(account)
                if before is None or before.at < use.at:
                    by_account[account] = Seen(account, use.at, use.region)
    return found


def _last(seen: Mapping[str, Seen] | None) -> float:
    """When a service was used last, as a number; before everything, where it never was."""
    return max((one.at.timestamp() for one in seen.values()), default=0.0) if seen else 0.0


def _to_wire(report: OrganizationReport, prefix: str, seen: Mapping[str, Seen]) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "ServiceName": prefixes()[prefix].name,
        "ServiceNamespace": prefix,
        "TotalAuthenticatedEntities": len(seen),
    }
    if seen:
        last = max(seen.values(), key=lambda one: one.at)
        shown["Region"] = last.region
        shown["EntityPath"] = report.accounts[last.account]
        shown["LastAuthenticatedTime"] = last.at
    return shown
