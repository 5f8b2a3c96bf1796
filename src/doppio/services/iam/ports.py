"""Doors to IAM where AWS has no public operation.

What STS needs to make and judge sessions, and Organizations to let people into accounts and lock them.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from msgspec.structs import replace

from doppio.kernel.context import Context, Tx
from doppio.kernel.identity import BY_GLOBAL_ENDPOINT, TOKEN
from doppio.kernel.policy import compile_policy
from doppio.services.iam.account import token_version
from doppio.services.iam.common import named, role_of
from doppio.services.iam.context_providers import propagated, propagated_to_wire
from doppio.services.iam.delegation_work import delegated, traded_in
from doppio.services.iam.identities import TRANSITIVE, managed_policy
from doppio.services.iam.key_ids import TEMPORARY, account_of, new_key_id
from doppio.services.iam.linked_roles import linked_arn, make_linked_role
from doppio.services.iam.mfa_devices import code_counts
from doppio.services.iam.oidc_providers import provider_arn, provider_of
from doppio.services.iam.outbound_federation import (
    ISSUERS_PAGE,
    federation_of,
    issuer_of,
    issuer_url,
)
from doppio.services.iam.provider_records import OidcProvider, SamlProvider
from doppio.services.iam.records import (
    AccessKey,
    Attachment,
    Closed,
    Founded,
    Role,
    SealingKey,
    User,
)
from doppio.services.iam.root_access import ROOT_TASK, is_task, may_assume_root
from doppio.services.iam.saml_metadata import BadMetadata, BadXml, key_hash, parsed_time, parsed_xml
from doppio.services.iam.saml_providers import opened_saml_keys, saml_provider_of
from doppio.services.iam.sessions import NONCE_BYTES, Session, padding, seal, secret_of, unseal
from doppio.services.iam.trust import trusted_policy

__all__ = [
    "ISSUERS_PAGE", "ROOT_TASK", "TRANSITIVE", "AccessKey", "BadMetadata", "BadXml",
    "OidcProvider", "Role", "SamlProvider", "Session", "account_of", "close_account", "code_counts",
    "compile_policy", "credentials", "delegated", "federation_of", "found_account", "is_task", "issuer_of", "issuer_url",
    "key_hash", "linked_arn", "make_linked_role", "make_role", "managed_policy",
    "may_assume_root", "opened_saml_keys", "parsed_time", "parsed_xml", "principal_of",
    "propagated", "propagated_to_wire", "provider_arn", "provider_of", "role_of",
    "saml_provider_of", "session_of", "traded_in", "trusted_policy",
]  # fmt: skip


async def credentials(
    ctx: Context, session: Session, bytes_min: int = 0
) -> dict[str, str | datetime]:
    """Temporary credentials for a session, as STS shows them; the token is so long at least."""
    found = await ctx.read().get(SealingKey, "sessions")
    assert found is not None, "made at the first start"
    access_key = new_key_id(ctx.kernel.ids, TEMPORARY, session.account)
    nonce = ctx.kernel.ids.bytes(NONCE_BYTES)
    # STS tells when they end to the second, and that is when they do.
    ends = session.expires_at.replace(microsecond=0)
    session = replace(session, partition=ctx.partition, expires_at=ends)
    if BY_GLOBAL_ENDPOINT in ctx.caller.session:
        version = await token_version(ctx.read(), session.account)
        session = replace(session, default_regions=version == 1)
    if bytes_min:
        lacking = bytes_min - len(seal(found.key, access_key, session, nonce))
        session = replace(session, padding=padding(lacking))
    return {
        "AccessKeyId": access_key,
        "SecretAccessKey": secret_of(found.key, access_key),
        "SessionToken": seal(found.key, access_key, session, nonce),
        "Expiration": session.expires_at,
    }


async def session_of(ctx: Context) -> Session | None:
    """The session as which the caller comes; None for one who comes with a key of his own."""
    token, access_key = ctx.caller.session.get(TOKEN), ctx.caller.access_key
    if token is None or access_key is None:
        return None
    found = await ctx.read().get(SealingKey, "sessions")
    assert found is not None, "made at the first start"
    return unseal(found.key, access_key, token)


async def principal_of(ctx: Context, session: Session | None) -> tuple[str, dict[str, str]]:
    """Who is behind the caller, by the ARN with its path, and the tags of both him and his session."""
    caller, reader = ctx.caller, ctx.read()
    of_session = {} if session is None else session.tags
    if session is not None and session.kind == "role":
        role = await named(reader, Role, session.account, session.role)
        return (caller.arn, of_session) if role is None else (role.arn, {**role.tags, **of_session})
    name = caller.arn.rpartition("/")[2] if session is None else session.user
    user = await named(reader, User, caller.account, name)
    of_user = {} if user is None else user.tags
    return caller.arn, {**of_user, **of_session}


async def make_role(tx: Tx, account: str, name: str, trust: str, policies: Sequence[str]) -> None:
    """Make a role in an account, with managed policies; it is no error if there is one."""
    if await tx.get(Role, account, name.lower()) is not None:
        return
    ctx = tx.context
    tx.add(
        Role(
            account=account, name=name, id=ctx.new_id("iam-role"), path="/",
            created_at=ctx.now, trust=trust, partition=ctx.partition,
        )
    )  # fmt: skip
    for policy in policies:
        await tx.get(Attachment, account, "Role", name, policy)
        tx.put(Attachment(account=account, kind="Role", holder=name, policy=policy))
    tx.wake(f"iam/{account}")


def found_account(tx: Tx, account: str) -> None:
    """Say that an account was made at this moment."""
    tx.put(Founded(account=account, at=tx.context.now))


async def close_account(tx: Tx, account: str) -> None:
    """Refuse everybody in an account from the commit on."""
    tx.put(Closed(account=account))
    tx.wake(f"iam/{account}")
