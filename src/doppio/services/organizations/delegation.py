"""What others may do in an organisation: services, delegated administrators, and named members.

Members act on resources that are the management account's, so what lets them in hangs on the
organisation as its resource's policy: what the management account has written, and for delegated
administrators that they may read.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from doppio.kernel.authorise import put_resource
from doppio.kernel.context import Context, Reader, Tx
from doppio.services.organizations import limits, tree
from doppio.services.organizations.accounts import to_wire
from doppio.services.organizations.errors import (
    AccountAlreadyRegistered,
    AccountNotRegistered,
    ResourcePolicyNotFound,
    invalid,
    violation,
)
from doppio.services.organizations.policy_types import TYPES
from doppio.services.organizations.records import (
    ALL,
    FOR,
    SUSPENDED,
    Delegate,
    Organization,
    ResourcePolicy,
    Trusted,
)
from doppio.services.organizations.resource_policies import check_document
from doppio.services.organizations.tagging import new_tags
from doppio.services.organizations.trusted_services import SERVICES
from doppio.services.organizations.who import READS

if TYPE_CHECKING:
    from doppio._stubs import organizations as w


async def _whole(tx: Tx, ctx: Context) -> Organization:
    """The caller's organisation, which must have all features."""
    organization = await tree.own(tx, ctx)
    if organization.features != ALL:
        raise violation(
            "ORGANIZATION_NOT_IN_ALL_FEATURES_MODE",
            "The organization must have all features enabled.",
        )
    return organization


def _check_known(service: str) -> None:
    if service not in SERVICES:
        raise invalid(
            "UNRECOGNIZED_SERVICE_PRINCIPAL", "You specified an unrecognized service principal."
        )


class TrustedAccess:
    """The operations that let services work in an organisation."""

    async def enable_aws_service_access(
        self, ctx: Context, req: w.EnableAWSServiceAccessRequest
    ) -> None:
        """Let a service see the organisation and work in it; twice is no error."""
        service = req["ServicePrincipal"]
        _check_known(service)
        async with ctx.write() as tx:
            organization = await _whole(tx, ctx)
            if await tx.get(Trusted, organization.id, service) is None:
                tx.put(Trusted(organization=organization.id, service=service, at=ctx.now))

    async def disable_aws_service_access(
        self, ctx: Context, req: w.DisableAWSServiceAccessRequest
    ) -> None:
        """Let a service work in the organisation no more, nor those who administer it."""
        service = req["ServicePrincipal"]
        _check_known(service)
        async with ctx.write() as tx:
            organization = await _whole(tx, ctx)
            if any(TYPES[kind].service == service for kind in organization.enabled):
                raise violation(
                    "POLICY_TYPE_ENABLED_FOR_THIS_SERVICE",
                    "You must disable the policy type before you disable access of the service.",
                )
            found = await tx.get(Trusted, organization.id, service)
            if found is not None:
                tx.delete(found)
            for row in await tx.find(FOR, (organization.id, service), limit=limits.ROWS_MAX):
                tx.delete(row)
            await publish(tx, organization)

    async def list_aws_service_access_for_organization(
        self, ctx: Context, req: w.ListAWSServiceAccessForOrganizationRequest
    ) -> w.ListAWSServiceAccessForOrganizationResponse:
        """The services that have access."""
        reader = ctx.read()
        organization = await tree.own(reader, ctx)
        rows = await reader.list(Trusted, (organization.id,), limit=limits.ROWS_MAX)
        shown = [
            (row.service, {"ServicePrincipal": row.service, "DateEnabled": row.at}) for row in rows
        ]
        scope = f"trusted/{organization.id}"
        return tree.page(req, shown, "EnabledServicePrincipals", scope)  # type: ignore[return-value]


class Delegation:
    """The operations on delegated administrators."""

    async def register_delegated_administrator(
        self, ctx: Context, req: w.RegisterDelegatedAdministratorRequest
    ) -> None:
        """Let a member administer a service: it may read all of the organisation for that."""
        service, name = req["ServicePrincipal"], req["AccountId"]
        async with ctx.write() as tx:
            organization = await _whole(tx, ctx)
            if not SERVICES.get(service):
                raise invalid(
                    "UNRECOGNIZED_SERVICE_PRINCIPAL",
                    "You specified an unrecognized service principal.",
                )
            account = await tree.member(tx, organization, name)
            if name == organization.master:
                raise violation(
                    "CANNOT_REGISTER_MASTER_AS_DELEGATED_ADMINISTRATOR",
                    "You cannot register master account/yourself as delegated administrator for "
                    "your organization.",
                )
            if account.status == SUSPENDED:
                raise violation(
                    "CANNOT_REGISTER_SUSPENDED_ACCOUNT_AS_DELEGATED_ADMINISTRATOR",
                    "You cannot register a suspended account as a delegated administrator.",
                )
            if await tx.get(Delegate, organization.id, name, service) is not None:
                raise AccountAlreadyRegistered()
            if await tx.get(Trusted, organization.id, service) is None:
                raise violation(
                    "SERVICE_ACCESS_NOT_ENABLED",
                    "You must enable access of the service to your organization first.",
                )
            others = await tx.find(FOR, (organization.id, service), limit=limits.ROWS_MAX)
            _check_room(service, len(others))
            tx.put(
                Delegate(organization=organization.id, account=name, service=service, at=ctx.now)
            )
            await publish(tx, organization)

    async def deregister_delegated_administrator(
        self, ctx: Context, req: w.DeregisterDelegatedAdministratorRequest
    ) -> None:
        """Let a member administer a service no more."""
        async with ctx.write() as tx:
            organization = await _whole(tx, ctx)
            account = await tree.member(tx, organization, req["AccountId"])
            found = await tx.get(Delegate, organization.id, account.id, req["ServicePrincipal"])
            if found is None:
                raise AccountNotRegistered()
            tx.delete(found)
            await publish(tx, organization)

    async def list_delegated_administrators(
        self, ctx: Context, req: w.ListDelegatedAdministratorsRequest
    ) -> w.ListDelegatedAdministratorsResponse:
        """The accounts that administer some service, or the one that is asked for."""
        reader = ctx.read()
        organization = await tree.own(reader, ctx)
        service = req.get("ServicePrincipal")
        rows = await delegates(reader, organization)
        since: dict[str, Any] = {}
        for row in rows:
            if service in (None, row.service):
                since[row.account] = min(since.get(row.account, row.at), row.at)
        shown = []
        for name, at in sorted(since.items()):
            account = await tree.member(reader, organization, name)
            told = await to_wire(reader, organization, account, path=False)
            shown.append((name, {**told, "DelegationEnabledDate": at}))
        scope = f"delegates/{organization.id}/{service}"
        return tree.page(req, shown, "DelegatedAdministrators", scope)  # type: ignore[return-value]

    async def list_delegated_services_for_account(
        self, ctx: Context, req: w.ListDelegatedServicesForAccountRequest
    ) -> w.ListDelegatedServicesForAccountResponse:
        """The services that an account administers."""
        reader = ctx.read()
        organization = await tree.own(reader, ctx)
        account = await tree.member(reader, organization, req["AccountId"])
        rows = await delegates(reader, organization, account.id)
        if not rows:
            raise AccountNotRegistered()
        shown = [
            (row.service, {"ServicePrincipal": row.service, "DelegationEnabledDate": row.at})
            for row in rows
        ]
        return tree.page(req, shown, "DelegatedServices", f"services/{account.id}")  # type: ignore[return-value]


class ResourcePolicies:
    """The operations on the organisation's resource policy."""

    async def put_resource_policy(
        self, ctx: Context, req: w.PutResourcePolicyRequest
    ) -> w.PutResourcePolicyResponse:
        """Let members do what the management account alone may do else; counts at once."""
        content = req["Content"]
        async with ctx.write() as tx:
            organization = await _whole(tx, ctx)
            check_document(content, organization)
            old = await tx.get(ResourcePolicy, organization.id)
            given = req.get("Tags", ())
            if old is not None and given:
                raise invalid(
                    "INVALID_LIST_MEMBER",
                    "You can't specify tags when you update a resource policy: use TagResource.",
                )
            made = tx.put(
                ResourcePolicy(
                    organization=organization.id, content=content,
                    id=old.id if old else ctx.new_id("organization-resource-policy"),
                    tags=old.tags if old else new_tags(given),
                )
            )  # fmt: skip
            await publish(tx, organization)
        return {"ResourcePolicy": _to_wire(organization, made)}  # type: ignore[typeddict-item]

    async def describe_resource_policy(
        self, ctx: Context, req: dict[str, Any]
    ) -> w.DescribeResourcePolicyResponse:
        """What members may do."""
        reader = ctx.read()
        organization = await tree.own(reader, ctx)
        found = await reader.get(ResourcePolicy, organization.id)
        if found is None:
            raise ResourcePolicyNotFound()
        return {"ResourcePolicy": _to_wire(organization, found)}  # type: ignore[typeddict-item]

    async def delete_resource_policy(self, ctx: Context, req: dict[str, Any]) -> None:
        """Let members do nothing of it any more."""
        async with ctx.write() as tx:
            organization = await _whole(tx, ctx)
            found = await tx.get(ResourcePolicy, organization.id)
            if found is None:
                raise ResourcePolicyNotFound()
            tx.delete(found)
            await publish(tx, organization)


def _to_wire(organization: Organization, policy: ResourcePolicy) -> dict[str, Any]:
    arn = organization.arn_of("resourcepolicy", policy.id)
    return {"ResourcePolicySummary": {"Id": policy.id, "Arn": arn}, "Content": policy.content}


def _check_room(service: str, many: int) -> None:
    if many < SERVICES[service]:
        return
    if SERVICES[service] == 1:
        raise violation(
            "DELEGATED_ADMINISTRATOR_EXISTS_FOR_THIS_SERVICE",
            "A delegated administrator already exists for this service.",
        )
    raise violation(
        "MAX_DELEGATED_ADMINISTRATORS_FOR_SERVICE_LIMIT_EXCEEDED",
        "You have exceeded the allowed number of delegated administrators for the delegated "
        "service.",
    )


async def delegates(reader: Reader, organization: Organization, *account: str) -> list[Delegate]:
    """Who administers what, or what an account does."""
    return await reader.list(Delegate, (organization.id, *account), limit=limits.ROWS_MAX)


async def publish(tx: Tx, organization: Organization) -> None:
    """Hang on the organisation what lets members in, for the next call."""
    statements: list[Any] = []
    policy = await tx.get(ResourcePolicy, organization.id)
    if policy is not None:
        given = json.loads(policy.content)["Statement"]
        statements += given if isinstance(given, list) else [given]
    accounts = sorted({row.account for row in await delegates(tx, organization)})
    if accounts:
        statements.append(
            {
                "Effect": "Allow",
                "Principal": {"AWS": accounts},
                "Action": list(READS),
                "Resource": "*",
            }
        )
    document = json.dumps({"Version": "2012-10-17", "Statement": statements})
    put_resource(tx, organization.arn, organization.master, document if statements else None)
