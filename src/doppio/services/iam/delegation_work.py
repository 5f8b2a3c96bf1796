"""What becomes of delegation requests behind their operations: who is told, what is traded in, what ends.

A token is sealed and not stored: it names its request, and what the request allows is looked up when
somebody comes with it.
"""

from __future__ import annotations

import base64
import binascii
import logging

import msgspec
from msgspec.structs import replace

from doppio.kernel.context import Context, Tx
from doppio.kernel.identity import TOKEN, service_caller
from doppio.kernel.jobs import Job
from doppio.kernel.own_keys import Damaged, own_cipher, seal, unseal
from doppio.services.iam import sessions
from doppio.services.iam.common import named
from doppio.services.iam.delegation_records import DelegationRequest
from doppio.services.iam.delegation_rules import FINALIZED
from doppio.services.iam.records import Role, SealingKey, User
from doppio.services.iam.sessions import Session
from doppio.wire.errors import AccessDenied, AwsError

_log = logging.getLogger("doppio.iam")
TELL = "iam.tell_requestor"
FORGET = "iam.forget_delegation"
# In a session's claims: the request by which it came about. No condition key of AWS's has this name.
DELEGATED = "doppio:delegated"
_KEY = "iam.delegation"
# So often it is tried to tell a requestor who cannot be told.
TRIES_MAX = 20


async def approving_session(ctx: Context) -> Session:
    """The caller as a session that could be taken up again. Raises AccessDenied for who has none."""
    caller = ctx.caller
    token = caller.session.get(TOKEN)
    if token is not None and caller.access_key is not None:
        found = await ctx.read().get(SealingKey, "sessions")
        assert found is not None, "made at the first start"
        return sessions.unseal(found.key, caller.access_key, token)
    if caller.kind not in ("root", "user"):
        raise AccessDenied("Only a user, a role or the root user can accept a delegation request.")
    name, owner = "", ""
    if caller.kind == "user":
        name, owner = caller.arn.rpartition("/")[2], caller.id
    return Session(
        kind="user", account=caller.account, name=name, user=name, owner=owner,
        issued_at=ctx.now, expires_at=ctx.now,
    )  # fmt: skip


async def tell_requestor(ctx: Context, job: Job) -> None:
    """Publish what a request has come to on its requestor's topic; with the token, when it is sent."""
    wanted = job.key.partition("/")[0]
    found = await ctx.read().get(DelegationRequest, wanted)
    if found is None or job.failures >= TRIES_MAX:
        return
    state = job.arguments["state"]
    said = {
        "DelegationRequestId": found.id,
        "RequestorWorkflowId": found.workflow,
        "State": state,
        "OwnerAccountId": found.owner_account,
        "OwnerId": found.owner,
    }
    if state == FINALIZED:
        said["ExchangeToken"] = await exchange_token(ctx, found)
    _, _, _, region, _, _ = found.channel.split(":", 5)
    speaker = ctx.derive(service_caller("iam", found.owner_account, found.arn), region=region)
    message = msgspec.json.encode(said).decode()
    try:
        await speaker.call("sns", "publish", {"TopicArn": found.channel, "Message": message})
    except AwsError as error:
        _log.info("%s does not hear of %s: %s", found.channel, found.arn, error)
        raise


async def forget_delegation(ctx: Context, job: Job) -> None:
    """Forget a request that has expired a while ago."""

    async def forget(tx: Tx) -> None:
        found = await tx.get(DelegationRequest, job.key)
        if found is not None and found.expires_at <= ctx.now:
            tx.delete(found)

    await ctx.transact(forget)


async def exchange_token(ctx: Context, request: DelegationRequest) -> str:
    """The token by which the requestor comes to its credentials."""
    cipher = await own_cipher(ctx, _KEY)
    return base64.urlsafe_b64encode(seal(ctx, cipher, request.id.encode())).decode()


async def traded_in(ctx: Context, token: str) -> DelegationRequest | None:
    """The request of a token, to whom it was sent; None for a token that is none, or another's."""
    cipher = await own_cipher(ctx, _KEY)
    try:
        wanted = unseal(cipher, base64.urlsafe_b64decode(token)).decode()
    except (Damaged, binascii.Error, ValueError):
        return None
    found = await ctx.read().get(DelegationRequest, wanted)
    return found if found is not None and found.requestor == ctx.account else None


async def delegated(ctx: Context, request: DelegationRequest) -> tuple[Session, str] | None:
    """As whom a requestor acts, and that identity's ARN; None where the approver is gone."""
    approver = request.approver_session
    assert approver is not None, "what is sent has been accepted"
    arn = request.approver
    if approver.kind == "role":
        role = await named(ctx.read(), Role, approver.account, approver.role)
        if role is None or role.id != approver.owner:
            return None
        arn = role.arn
    elif approver.user:
        user = await named(ctx.read(), User, approver.account, approver.user)
        if user is None or user.id != approver.owner:
            return None
    session = replace(
        approver, issued_at=ctx.now, expires_at=request.expires_at,
        narrowed=(*approver.narrowed, request.policy), padding="",
        claims={**approver.claims, DELEGATED: request.id},
    )  # fmt: skip
    return session, arn
