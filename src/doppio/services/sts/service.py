"""STS: the table of contents."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from doppio.kernel.context import Context
from doppio.kernel.service import Need, Service
from doppio.services.sts.sessions import Sessions


def needs(ctx: Context, operation: str, req: Mapping[str, Any]) -> Sequence[Need]:
    """Most of STS needs no permission; AssumeRole asks the role's trust policy itself."""
    if operation == "GetFederationToken":
        arn = f"arn:aws:sts::{ctx.account}:federated-user/{req.get('Name', '')}"
        return (Need("sts:GetFederationToken", arn),)
    return ()


SERVICE = Service("sts", groups=[Sessions()], needs=needs)
