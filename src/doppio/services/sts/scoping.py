"""GetScopedCredentials: a session gives up a part of what it may do, and stays who it is."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from doppio.kernel.context import Context
from doppio.services.iam.ports import Session, session_of
from doppio.services.sts import grants, limits
from doppio.services.sts.errors import (
    AccessDenied,
    InsufficientSessionLifetime,
    InvalidSubjectCredentials,
    ValidationError,
)

if TYPE_CHECKING:
    from doppio._stubs import sts as w


class Scoping:
    """The operation for who hands on less than it has."""

    async def get_scoped_credentials(
        self, ctx: Context, req: w.GetScopedCredentialsRequest
    ) -> w.GetScopedCredentialsResponse:
        """The caller's session with fewer permissions, for a shorter time, or both."""
        if "Policy" not in req and "DurationSeconds" not in req:
            raise ValidationError(
                "A request must provide at least one of Policy or DurationSeconds."
            )
        session = await session_of(ctx)
        if session is None or ctx.caller.kind == "root":
            raise InvalidSubjectCredentials()
        narrowed = narrower(session, grants.session_policies(ctx, req))
        ends = session.expires_at
        if "DurationSeconds" in req:
            ends = ctx.now + timedelta(seconds=req["DurationSeconds"])
            if ends > session.expires_at:
                raise InsufficientSessionLifetime()
        scoped = replace(session, narrowed=narrowed, expires_at=ends, padding="")
        shown: dict[str, Any] = {
            **await grants.given(ctx, req, scoped),
            "SessionInfo": {"ScopedSessionId": ctx.caller.id, "Arn": ctx.caller.arn},
            "ScopedPoliciesCount": len(narrowed),
        }
        if session.source_identity:
            shown["SourceIdentity"] = session.source_identity
        return shown  # type: ignore[return-value]


def narrower(session: Session, more: tuple[str, ...]) -> tuple[str, ...]:
    """A session's scope-down policies with one more. Raises AccessDenied for one too many."""
    if more and len(session.narrowed) >= limits.NARROWED_MAX:
        raise AccessDenied(f"A session can have at most {limits.NARROWED_MAX} scope down policies.")
    return (*session.narrowed, *more)
