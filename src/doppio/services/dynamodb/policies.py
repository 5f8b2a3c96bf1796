"""The policies that hang on tables and streams, and act through the one engine."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from doppio.kernel.authorise import (
    check_policy_document,
    forget_resource,
    put_resource,
    resource_policy,
    would_allow,
)
from doppio.kernel.context import Context, Reader, Tx
from doppio.kernel.service import Need
from doppio.services.dynamodb.access import find_table
from doppio.services.dynamodb.errors import (
    LimitExceededException,
    PolicyNotFoundException,
    ResourceInUseException,
    ResourceNotFoundException,
    ValidationException,
)
from doppio.services.dynamodb.limits import POLICY_BYTES_MAX
from doppio.services.dynamodb.records import Revision
from doppio.services.dynamodb.streams import find_stream

if TYPE_CHECKING:
    from doppio._stubs import dynamodb as w

_NO_POLICY = "NO_POLICY"


class Policies:
    """The operations on resource policies."""

    async def put_resource_policy(
        self, ctx: Context, req: w.PutResourcePolicyInput
    ) -> w.PutResourcePolicyOutput:
        """Hang a policy on a table or stream; the same again keeps its revision."""
        arn = req["ResourceArn"]
        check_document(req["Policy"], ctx.partition)
        async with ctx.write() as tx:
            account = await _owner(tx, ctx, arn)
            if not req.get("ConfirmRemoveSelfResourceAccess"):
                await _check_still_allowed(ctx, arn, account, req["Policy"])
            revision = await tx.get(Revision, arn)
            _check_expected(arn, req.get("ExpectedRevisionId"), revision)
            if revision is None or await resource_policy(tx, arn) != req["Policy"]:
                revision = await hang(tx, arn, account, req["Policy"])
        return {"RevisionId": revision.id}

    async def get_resource_policy(
        self, ctx: Context, req: w.GetResourcePolicyInput
    ) -> w.GetResourcePolicyOutput:
        """The policy of a table or stream."""
        reader, arn = ctx.read(), req["ResourceArn"]
        await _owner(reader, ctx, arn)
        revision = await reader.get(Revision, arn)
        document = await resource_policy(reader, arn)
        if revision is None or document is None:
            raise _not_found(arn)
        return {"Policy": document, "RevisionId": revision.id}

    async def delete_resource_policy(
        self, ctx: Context, req: w.DeleteResourcePolicyInput
    ) -> w.DeleteResourcePolicyOutput:
        """Take the policy off a table or stream; none is no error."""
        arn = req["ResourceArn"]
        async with ctx.write() as tx:
            await _owner(tx, ctx, arn)
            revision = await tx.get(Revision, arn)
            _check_expected(arn, req.get("ExpectedRevisionId"), revision)
            if revision is None:
                return {"RevisionId": ""}
            await take_down(tx, arn)
        return {"RevisionId": revision.id}


def check_document(document: str, partition: str) -> None:
    """Raise ValidationException or LimitExceededException for what is no resource policy."""
    if len(document.encode()) > POLICY_BYTES_MAX:
        raise LimitExceededException(
            f"The resource-based policy document exceeds the maximum size of {POLICY_BYTES_MAX} "
            "bytes"
        )
    try:
        check_policy_document(document, needs_principal=True, partition=partition)
    except ValueError as error:
        raise ValidationException(f"Invalid policy document: {error}") from error


async def hang(tx: Tx, arn: str, account: str, document: str) -> Revision:
    """Put a policy on a resource, with a revision later than the one before."""
    before = await tx.get(Revision, arn)
    number = int(tx.context.now.timestamp() * 1_000)
    if before is not None:
        number = max(number, int(before.id) + 1)
    put_resource(tx, arn, account, document)
    return tx.put(Revision(arn=arn, id=str(number)))


async def take_down(tx: Tx, arn: str) -> None:
    """Take the policy off a resource, or forget that of a deleted one."""
    revision = await tx.get(Revision, arn)
    if revision is not None:
        tx.delete(revision)
        forget_resource(tx, arn)


async def _owner(reader: Reader, ctx: Context, arn: str) -> str:
    """Whose a table or stream is. Raises ResourceNotFoundException."""
    stream = await find_stream(reader, arn)
    if stream is not None:
        return stream.account
    table = await find_table(reader, ctx, arn)
    if table is None or table.arn != arn:
        raise ResourceNotFoundException(
            f"Requested resource not found: ResourceArn: {arn} not found"
        )
    if table.status in ("CREATING", "DELETING"):
        raise ResourceInUseException(
            f"Attempt to change a resource which is still in use: Table: {table.name}"
        )
    return table.account


async def _check_still_allowed(ctx: Context, arn: str, account: str, document: str) -> None:
    """Who would lock themselves out must say that they want to."""
    need = Need("dynamodb:PutResourcePolicy", arn)
    if not await would_allow(ctx, need, document, account):
        raise ValidationException(
            "The policy would remove your permissions to change the policy of this resource in the "
            "future. Set ConfirmRemoveSelfResourceAccess to true to confirm that you want this."
        )


def _check_expected(arn: str, expected: str | None, revision: Revision | None) -> None:
    if expected is not None and expected != (_NO_POLICY if revision is None else revision.id):
        raise _not_found(arn)


def _not_found(arn: Any) -> PolicyNotFoundException:
    return PolicyNotFoundException(
        f"Resource-based policy not found for the provided ResourceArn: {arn}"
    )
