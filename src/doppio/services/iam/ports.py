"""Doors to IAM where AWS has no public operation: what STS needs to make and judge sessions."""

from __future__ import annotations

from datetime import datetime

from doppio.kernel.context import Context
from doppio.kernel.policy import compile_policy
from doppio.services.iam.common import role_of
from doppio.services.iam.identities import TRANSITIVE, managed_policy
from doppio.services.iam.mfa_devices import code_counts
from doppio.services.iam.oidc_providers import provider_arn, provider_of
from doppio.services.iam.records import AccessKey, OidcProvider, Role, SealingKey
from doppio.services.iam.sessions import NONCE_BYTES, Session, seal, secret_of

__all__ = [
    "TRANSITIVE", "AccessKey", "OidcProvider", "Role", "Session", "code_counts", "compile_policy",
    "credentials", "managed_policy", "provider_arn", "provider_of", "role_of",
]  # fmt: skip


async def credentials(ctx: Context, session: Session) -> dict[str, str | datetime]:
    """Temporary credentials for a session, as STS shows them."""
    found = await ctx.read().get(SealingKey, "sessions")
    assert found is not None, "made at the first start"
    access_key = ctx.new_id("session-key")
    nonce = ctx.kernel.ids.bytes(NONCE_BYTES)
    return {
        "AccessKeyId": access_key,
        "SecretAccessKey": secret_of(found.key, access_key),
        "SessionToken": seal(found.key, access_key, session, nonce),
        "Expiration": session.expires_at,
    }
