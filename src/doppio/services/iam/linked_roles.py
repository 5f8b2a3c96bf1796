"""Service-linked roles: made for a service, changed by nobody, deleted when the service lets go.

A deletion is a task of its own: it asks the service what still hangs on the role, and fails while
there is something.
"""

from __future__ import annotations

import re
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec.structs import replace

from doppio.kernel.context import Context, Reader, Tx
from doppio.kernel.jobs import Job
from doppio.kernel.uses import forget_uses
from doppio.services.iam import limits
from doppio.services.iam.attachments import attached_to
from doppio.services.iam.common import changed, check_room, checked_name, named
from doppio.services.iam.errors import InvalidInput, NoSuchEntity, missing
from doppio.services.iam.linked_services import Linked, linked_services
from doppio.services.iam.linked_uses import uses_of_service
from doppio.services.iam.records import LINKED_PATH, Attachment, DeletionTask, Role
from doppio.services.iam.roles import to_wire

if TYPE_CHECKING:
    from doppio._stubs import iam as w

JOB = "iam.delete_linked_role"
_TASK = re.compile(r"task/aws-service-role/(?P<service>[^/]+)/(?P<role>[^/]+)/[0-9a-f-]{36}")


class LinkedRoles:
    """CreateServiceLinkedRole and what undoes it."""

    async def create_service_linked_role(
        self, ctx: Context, req: w.CreateServiceLinkedRoleRequest
    ) -> w.CreateServiceLinkedRoleResponse:
        """Make the role of a service, with the service's policy on it."""
        service, suffix = _service(req["AWSServiceName"]), req.get("CustomSuffix")
        if suffix and not service.several:
            raise InvalidInput(f"Custom suffix is not allowed for {service.principal}")
        name = checked_name(linked_name(service, suffix), "roleName")
        async with ctx.write() as tx:
            if await tx.get(Role, ctx.account, name.lower()) is not None:
                raise InvalidInput(
                    f"Service role name {name} has been taken in this account, please try a "
                    "different suffix."
                )
            await check_room(tx, ctx.account, Role, "RolesPerAccount", limits.ROLES_MAX)
            role = await _make(tx, ctx.account, service, name, req.get("Description"))
            changed(tx, ctx)
        return {"Role": to_wire(role)}  # type: ignore[typeddict-item]

    async def delete_service_linked_role(
        self, ctx: Context, req: w.DeleteServiceLinkedRoleRequest
    ) -> w.DeleteServiceLinkedRoleResponse:
        """Ask for the deletion of a service's role; a task that has not ended is the answer again."""
        async with ctx.write() as tx:
            role = await named(tx, Role, ctx.account, req["RoleName"])
            if role is None or not role.linked:
                raise missing("role", req["RoleName"])
            for old in await _tasks(tx, ctx.account, role.name):
                if old.status == "IN_PROGRESS":
                    return {"DeletionTaskId": old.id}
                if old.started_at < ctx.now - timedelta(days=limits.DELETION_TASK_DAYS):
                    tx.delete(old)
            principal = role.path.removeprefix(LINKED_PATH).rstrip("/")
            task = tx.put(
                DeletionTask(
                    account=ctx.account, role=role.name, started_at=ctx.now,
                    id=f"task{LINKED_PATH}{principal}/{role.name}/{ctx.new_id()}",
                )
            )  # fmt: skip
            await tx.schedule(ctx.now, JOB, role.arn, task=task.id)
        return {"DeletionTaskId": task.id}

    async def get_service_linked_role_deletion_status(
        self, ctx: Context, req: w.GetServiceLinkedRoleDeletionStatusRequest
    ) -> w.GetServiceLinkedRoleDeletionStatusResponse:
        """What has become of a deletion, and what it failed of."""
        task = await _task(ctx.read(), ctx.account, req["DeletionTaskId"])
        shown: dict[str, Any] = {"Status": task.status}
        if task.status == "FAILED":
            shown["Reason"] = {
                "Reason": task.reason,
                "RoleUsageList": [
                    {"Region": region, "Resources": arns} for region, arns in task.usage.items()
                ],
            }
        return shown  # type: ignore[return-value]


async def make_linked_role(tx: Tx, account: str, principal: str) -> None:
    """Make the role of a service in an account; it is no error if there is one."""
    service = _service(principal)
    name = linked_name(service, None)
    if await tx.get(Role, account, name.lower()) is None:
        await _make(tx, account, service, name, None)
        tx.wake(f"iam/{account}")


async def _make(tx: Tx, account: str, service: Linked, name: str, description: str | None) -> Role:
    ctx = tx.context
    role = tx.put(
        Role(
            account=account, name=name, id=ctx.new_id("iam-role"), path=service.path,
            created_at=ctx.now, trust=_trust(service), description=description,
            partition=ctx.partition,
        )
    )  # fmt: skip
    policy = service.policy_arn(ctx.partition)
    await tx.get(Attachment, account, "Role", name, policy)
    tx.put(Attachment(account=account, kind="Role", holder=name, policy=policy))
    return role


async def delete_linked_role(ctx: Context, job: Job) -> None:
    """Delete a service's role, unless the service still uses it. Twice is as good as once."""
    wanted = job.arguments["task"]
    task = await _task(ctx.read(), job.account, wanted)
    if task.status != "IN_PROGRESS":
        return
    principal = task.id.split("/")[2]
    used = await uses_of_service(ctx, principal)

    async def settle(tx: Tx) -> None:
        now = await tx.get(DeletionTask, task.account, task.role, task.id)
        role = await named(tx, Role, task.account, task.role)
        if now is None or now.status != "IN_PROGRESS":
            return
        if used:
            reason = f"A service-linked role of {principal} that is in use cannot be deleted."
            tx.put(replace(now, status="FAILED", reason=reason, usage=used))
            return
        if role is not None:
            for attachment in await attached_to(tx, role.account, "Role", role.name):
                tx.delete(attachment)
            tx.delete(role)
            await forget_uses(tx, role.id)
            changed(tx, ctx)
        tx.put(replace(now, status="SUCCEEDED"))

    await ctx.transact(settle)


def linked_name(service: Linked, suffix: str | None) -> str:
    """What a service's role is called, with the suffix that an account has given it."""
    return f"{service.name}_{suffix}" if suffix else service.name


def linked_arn(partition: str, account: str, principal: str, suffix: str | None) -> str:
    """The ARN of a service's role; of a service that we do not know, where it would lie."""
    service = linked_services().get(principal)
    name = linked_name(service, suffix) if service is not None else "*"
    return f"arn:{partition}:iam::{account}:role{LINKED_PATH}{principal}/{name}"


def task_arn(partition: str, account: str, task: str) -> str:
    """The ARN of the role that a deletion is about."""
    found = _TASK.fullmatch(task)
    return f"arn:{partition}:iam::{account}:role{task[4:].rpartition('/')[0]}" if found else "*"


def _service(principal: str) -> Linked:
    found = linked_services().get(principal)
    if found is None:
        raise InvalidInput(f"Service {principal} does not have a service-linked role.")
    return found


def _trust(service: Linked) -> str:
    statement = {
        "Action": ["sts:AssumeRole"],
        "Effect": "Allow",
        "Principal": {"Service": [service.principal]},
    }
    return msgspec.json.encode({"Version": "2012-10-17", "Statement": [statement]}).decode()


async def _tasks(reader: Reader, account: str, role: str) -> list[DeletionTask]:
    return await reader.list(DeletionTask, (account, role), limit=limits.ROWS_MAX)


async def _task(reader: Reader, account: str, wanted: str) -> DeletionTask:
    found = _TASK.fullmatch(wanted)
    if found is None:
        raise InvalidInput(f"DeletionTaskId {wanted} is not valid.")
    task = await reader.get(DeletionTask, account, found["role"], wanted)
    if task is None:
        raise NoSuchEntity(f"DeletionTask with id {wanted} cannot be found.")
    return task
