"""AssumeRoot: a management account becomes a member's root user, for minutes and for one task."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from doppio.kernel.context import Context
from doppio.kernel.service import Need
from doppio.services.iam.ports import ROOT_TASK, Session, is_task, may_assume_root
from doppio.services.sts import grants, limits
from doppio.services.sts.errors import ValidationError

if TYPE_CHECKING:
    from doppio._stubs import sts as w

_TARGET = re.compile(
    r"(?P<id>\d{12})|arn:(?P<partition>[a-z-]+):iam::(?P<account>\d{12}):root", re.ASCII
)


class AssumingRoot:
    """The operation for who looks after the members of an organisation."""

    async def assume_root(self, ctx: Context, req: w.AssumeRootRequest) -> w.AssumeRootResponse:
        """A member's root user, held to what the task's policy does not deny."""
        grants.check_not_root(ctx)
        target, task = target_of(ctx, req), req["TaskPolicyArn"].get("arn", "")
        if not target:
            raise ValidationError(f"{req['TargetPrincipal']} is invalid")
        if not is_task(task, ctx.partition):
            raise ValidationError(f"The task policy {task} cannot be used to assume root.")
        if not await may_assume_root(ctx, target, task):
            raise grants.refused(ctx, root_arn(ctx, target), "sts:AssumeRoot")
        seconds = req.get("DurationSeconds", limits.ROOT_TASK_SECONDS_MAX)
        source = grants.source_identity(ctx, {})
        session = Session(
            kind="user", account=target, name="", issued_at=ctx.now,
            expires_at=ctx.now + timedelta(seconds=seconds), policy_arns=(task,),
            source_identity=source, claims={ROOT_TASK: task, "aws:assumedroot": "true"},
        )  # fmt: skip
        shown: dict[str, Any] = await grants.given(ctx, req, session)
        if source:
            shown["SourceIdentity"] = source
        return shown  # type: ignore[return-value]


def root_needs(ctx: Context, req: Mapping[str, Any]) -> tuple[Need, ...]:
    """The caller's own policies must allow it; a member's root user has none that could."""
    keys = {"sts:taskpolicyarn": req["TaskPolicyArn"].get("arn")}
    arn = root_arn(ctx, target_of(ctx, req) or "*")
    return (Need("sts:AssumeRoot", arn, keys, policy="*"),)


def target_of(ctx: Context, req: Mapping[str, Any]) -> str:
    """The account whose root user is meant; empty where none can be."""
    found = _TARGET.fullmatch(req["TargetPrincipal"])
    if found is None or found["partition"] not in (None, ctx.partition):
        return ""
    return found["id"] or found["account"]


def root_arn(ctx: Context, account: str) -> str:
    """The ARN of an account's root user."""
    return f"arn:{ctx.partition}:iam::{account}:root"
