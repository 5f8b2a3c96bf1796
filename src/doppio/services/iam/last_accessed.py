"""Which services somebody may use, and which they really have: for who wants to take away the rest.

A report is made at once, of what the engine has let pass (`kernel.uses`). It looks back as far as
IAM does.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Any, NamedTuple

from doppio.kernel.context import Context, Reader
from doppio.kernel.policy import Policy
from doppio.kernel.policy.reference import prefixes
from doppio.kernel.uses import Use, uses_of
from doppio.services.iam import limits
from doppio.services.iam.attachments import managed
from doppio.services.iam.aws_managed import aws_managed
from doppio.services.iam.common import named, page
from doppio.services.iam.errors import InvalidInput, NoSuchEntity
from doppio.services.iam.identities import managed_policy
from doppio.services.iam.records import BY_POLICY, AccessReport, Group, Membership, Role, User
from doppio.services.iam.simulation import Held, existing_entity, policies_held

if TYPE_CHECKING:
    from doppio._stubs import iam as w

LOOKS_BACK = timedelta(days=400)
REPORTS_KEPT = timedelta(days=7)
ACTION_LEVEL = "ACTION_LEVEL"


class Touched(NamedTuple):
    """What somebody has done."""

    entity: User | Role
    use: Use


class LastAccessed:
    """GenerateServiceLastAccessedDetails and its like."""

    async def generate_service_last_accessed_details(
        self, ctx: Context, req: w.GenerateServiceLastAccessedDetailsRequest
    ) -> w.GenerateServiceLastAccessedDetailsResponse:
        """Ask for a report on a user, group, role or managed policy; it is there at once."""
        await _subject(ctx.read(), ctx, req["Arn"])
        async with ctx.write() as tx:
            for old in await tx.list(AccessReport, (ctx.account,), limit=limits.ROWS_MAX):
                if old.at < ctx.now - REPORTS_KEPT:
                    tx.delete(old)
            report = tx.put(
                AccessReport(
                    account=ctx.account, id=ctx.new_id(), at=ctx.now, arn=req["Arn"],
                    actions=req.get("Granularity") == ACTION_LEVEL,
                )
            )  # fmt: skip
        return {"JobId": report.id}

    async def get_service_last_accessed_details(
        self, ctx: Context, req: w.GetServiceLastAccessedDetailsRequest
    ) -> w.GetServiceLastAccessedDetailsResponse:
        """A report: each service that the policies let somebody use, and when they did."""
        reader = ctx.read()
        report = await _report(reader, ctx, req["JobId"])
        policies, entities = await _subject(reader, ctx, report.arn)
        touched = await _touched(ctx, reader, entities)
        services = sorted({name for policy in policies for name in granted_services(policy)})

        def show(prefix: str) -> dict[str, Any]:
            return _service(prefix, touched, actions=report.actions)

        found = page(req, services, "ServicesLastAccessed", show, f"accessed/{report.id}")
        kind = ACTION_LEVEL if report.actions else "SERVICE_LEVEL"
        return {**_completed(report), "JobType": kind, **found}  # type: ignore[typeddict-item]

    async def get_service_last_accessed_details_with_entities(
        self, ctx: Context, req: w.GetServiceLastAccessedDetailsWithEntitiesRequest
    ) -> w.GetServiceLastAccessedDetailsWithEntitiesResponse:
        """Who may use a service by the report's group or policy, and when they did."""
        reader = ctx.read()
        report = await _report(reader, ctx, req["JobId"])
        _, entities = await _subject(reader, ctx, report.arn)
        touched = await _touched(ctx, reader, entities)
        prefix = req["ServiceNamespace"]

        def show(entity: User | Role) -> dict[str, Any]:
            times = [one.use.at for one in _of_service(touched, prefix) if one.entity == entity]
            shown: dict[str, Any] = {"EntityInfo": _entity(entity)}
            if times:
                shown["LastAuthenticated"] = max(times)
            return shown

        found = page(req, entities, "EntityDetailsList", show, f"entities/{report.id}/{prefix}")
        return {**_completed(report), **found}  # type: ignore[typeddict-item]

    async def list_policies_granting_service_access(
        self, ctx: Context, req: w.ListPoliciesGrantingServiceAccessRequest
    ) -> w.ListPoliciesGrantingServiceAccessResponse:
        """The policies by which somebody may use services."""
        reader = ctx.read()
        entity = await existing_entity(reader, ctx, req["Arn"])
        held = await policies_held(reader, ctx.account, entity)
        for prefix in req["ServiceNamespaces"]:
            if prefix not in prefixes():
                raise InvalidInput(f"Service {prefix} is not a valid service namespace.")
        return {
            "PoliciesGrantingServiceAccess": [
                {
                    "ServiceNamespace": prefix,
                    "Policies": [
                        _granting(one)  # type: ignore[misc]
                        for one in held
                        if prefix in granted_services(one.source.policy)
                    ],
                }
                for prefix in req["ServiceNamespaces"]
            ],
            "IsTruncated": False,
        }


def granted_services(policy: Policy) -> set[str]:
    """The services of which a policy allows anything at all."""
    allowing = [statement.action for statement in policy.statements if statement.allows]
    return {
        prefix
        for prefix, service in prefixes().items()
        if any(
            allows(f"{prefix}:{name}".lower()) for allows in allowing for name in service.actions
        )
    }


async def _subject(
    reader: Reader, ctx: Context, arn: str
) -> tuple[list[Policy], list[User | Role]]:
    """The policies that a report is about, and the users and roles to whom they give something."""
    if ":policy/" in arn:
        policy = await managed_policy(reader, arn)
        own = await managed(reader, arn)
        if policy is None or (arn not in aws_managed(ctx.partition) and own is None):
            raise NoSuchEntity(f"Policy {arn} does not exist or is not attachable.")
        return [policy], await _attached(reader, ctx, arn)
    entity = await existing_entity(reader, ctx, arn)
    held = await policies_held(reader, ctx.account, entity)
    policies = [one.source.policy for one in held]
    if isinstance(entity, Group):
        return policies, await _members(reader, ctx, entity.name)
    return policies, [entity]


async def _attached(reader: Reader, ctx: Context, arn: str) -> list[User | Role]:
    found: dict[str, User | Role] = {}
    for one in await reader.find(BY_POLICY, (ctx.account, arn), limit=limits.ROWS_MAX):
        if one.kind == "Group":
            found.update((user.id, user) for user in await _members(reader, ctx, one.holder))
            continue
        cls: type[User | Role] = User if one.kind == "User" else Role
        entity = await named(reader, cls, ctx.account, one.holder)
        if entity is not None:
            found[entity.id] = entity
    return list(found.values())


async def _members(reader: Reader, ctx: Context, group: str) -> list[User | Role]:
    rows = await reader.list(Membership, (ctx.account, group), limit=limits.ROWS_MAX)
    users = [await named(reader, User, ctx.account, row.user) for row in rows]
    return [user for user in users if user is not None]


async def _touched(ctx: Context, reader: Reader, entities: Iterable[User | Role]) -> list[Touched]:
    await ctx.kernel.uses.flush()
    since = ctx.now - LOOKS_BACK
    return [
        Touched(entity, use)
        for entity in entities
        for use in await uses_of(reader, entity.id)
        if use.at >= since
    ]


async def _report(reader: Reader, ctx: Context, job: str) -> AccessReport:
    report = await reader.get(AccessReport, ctx.account, job)
    if report is None or report.at < ctx.now - REPORTS_KEPT:
        raise NoSuchEntity(f"The job with id {job} cannot be found.")
    return report


def _completed(report: AccessReport) -> dict[str, Any]:
    return {
        "JobStatus": "COMPLETED",
        "JobCreationDate": report.at,
        "JobCompletionDate": report.at,
    }


def _of_service(touched: Iterable[Touched], prefix: str) -> list[Touched]:
    return [one for one in touched if one.use.action.partition(":")[0] == prefix]


def _service(prefix: str, touched: list[Touched], *, actions: bool) -> dict[str, Any]:
    mine = _of_service(touched, prefix)
    shown: dict[str, Any] = {
        "ServiceName": prefixes()[prefix].name,
        "ServiceNamespace": prefix,
        "TotalAuthenticatedEntities": len({one.entity.id for one in mine}),
    }
    if mine:
        last = max(mine, key=lambda one: one.use.at)
        shown["LastAuthenticated"] = last.use.at
        shown["LastAuthenticatedEntity"] = last.entity.arn
        shown["LastAuthenticatedRegion"] = last.use.region
    if actions and mine:
        shown["TrackedActionsLastAccessed"] = [
            {
                "ActionName": one.use.action.partition(":")[2],
                "LastAccessedEntity": one.entity.arn,
                "LastAccessedTime": one.use.at,
                "LastAccessedRegion": one.use.region,
            }
            for one in _latest(mine).values()
        ]
    return shown


def _latest(touched: Iterable[Touched]) -> Mapping[str, Touched]:
    """Of each action, who used it last."""
    found: dict[str, Touched] = {}
    for one in sorted(touched, key=lambda one: (one.use.action, one.use.at)):
        found[one.use.action] = one
    return found


def _entity(entity: User | Role) -> dict[str, Any]:
    kind = "USER" if isinstance(entity, User) else "ROLE"
    return {
        "Arn": entity.arn, "Name": entity.name, "Type": kind, "Id": entity.id, "Path": entity.path,
    }  # fmt: skip


def _granting(held: Held) -> dict[str, Any]:
    if held.arn is not None:
        return {"PolicyName": held.source.id, "PolicyType": "MANAGED", "PolicyArn": held.arn}
    kind, name = held.holder
    return {
        "PolicyName": held.source.id, "PolicyType": "INLINE", "EntityType": kind.upper(),
        "EntityName": name,
    }  # fmt: skip
