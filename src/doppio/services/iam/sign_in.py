"""Signing in with a user's name and password, as the console does it.

AWS has pages for this, and no operation. `doppio signin` is that page here: it asks IAM by a call of the
cloud's own, and gets what the console works with, temporary credentials of the user. Passwords expire
in cloud time, a code of an MFA device counts once, and who must have a new password chooses it now.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace as caller_with
from datetime import timedelta
from typing import Any

from msgspec.structs import replace

from doppio.kernel.context import Context, Reader, Tx
from doppio.services.iam import limits
from doppio.services.iam.common import named
from doppio.services.iam.errors import SignInRefused
from doppio.services.iam.login_profiles import password_is
from doppio.services.iam.mfa_devices import code_counts
from doppio.services.iam.password_policy import expires_at, policy_of
from doppio.services.iam.ports import Session, credentials
from doppio.services.iam.records import DEVICES_OF, Alias, LoginProfile, User

SIGN_IN = "iam/signin"
_ACCOUNT = re.compile(r"\d{12}", re.ASCII)


async def sign_in(ctx: Context, form: Mapping[str, Any]) -> dict[str, Any]:
    """Temporary credentials for a user who knows the password. Raises SignInRefused.

    The form has `account` (its number or alias), `user`, `password`, and where they are asked for
    `code` and `new_password`; `region` is one of the partition whose account it is.
    """
    if form.get("region"):
        ctx = ctx.derive(ctx.caller, region=str(form["region"]))
    reader = ctx.read()
    account = await _account(reader, str(form.get("account", "")))
    name, password = str(form.get("user", "")), str(form.get("password", ""))
    user = await named(reader, User, account, name)
    profile = None if user is None else await reader.get(LoginProfile, account, name)
    if user is None or profile is None or not password_is(profile, password):
        raise SignInRefused()
    as_user = _as_user(ctx, account, user)
    lasts = timedelta(seconds=profile.sign_in_seconds or limits.SIGN_IN_SECONDS)
    session = Session(
        kind="user", account=account, name=name, user=name, owner=user.id, signed_in=True,
        mfa=await _checked_mfa(as_user, reader, user, str(form.get("code", ""))),
        issued_at=ctx.now, expires_at=ctx.now + lasts,
    )  # fmt: skip
    granted = await credentials(as_user, session)
    await _renew(as_user, granted, profile, form)
    await as_user.transact(lambda tx: _used(tx, account, name))
    return {**granted, "Expiration": session.expires_at.isoformat(), "Arn": user.arn}


async def _account(reader: Reader, name: str) -> str:
    if _ACCOUNT.fullmatch(name):
        return name
    alias = await reader.get(Alias, name)
    if alias is None:
        raise SignInRefused()
    return alias.account


def _as_user(ctx: Context, account: str, user: User) -> Context:
    """The call as the user, who has shown the password and may do nothing by that yet."""
    caller = caller_with(ctx.caller, account=account, arn=user.arn, id=user.id, kind="user")
    asking = ctx.derive(caller)
    asking.account = account
    return asking


async def _checked_mfa(ctx: Context, reader: Reader, user: User, code: str) -> bool:
    """Whether an MFA device has vouched for the user: one must where there is one."""
    where = (user.account, user.name)
    devices = await reader.find(DEVICES_OF, where, limit=limits.MFA_DEVICES_A_USER_MAX)
    if not devices:
        return False
    if not code:
        raise SignInRefused("Multi-factor authentication is required: enter an MFA code.")
    for device in devices:
        if await code_counts(ctx, user.name, device.arn, code):
            return True
    raise SignInRefused()


async def _renew(
    ctx: Context, granted: Mapping[str, Any], profile: LoginProfile, form: Mapping[str, Any]
) -> None:
    """Change a password that has expired, or that somebody else has chosen; the user must be let."""
    policy = await policy_of(ctx.read(), profile.account)
    ends = expires_at(policy, profile)
    expired = ends is not None and ctx.now >= ends
    if not expired and not profile.reset_required:
        return
    if expired and policy is not None and policy.hard_expiry:
        raise SignInRefused("Your password has expired. Ask your administrator to reset it.")
    if not form.get("new_password"):
        raise SignInRefused("You must change your password to continue.")
    key, token = granted["AccessKeyId"], granted["SessionToken"]
    changing = ctx.derive(
        (await ctx.kernel.identities.credential(key, token, ctx.partition)).caller
    )
    asked = {"OldPassword": form["password"], "NewPassword": form["new_password"]}
    await changing.call("iam", "change_password", asked)


async def _used(tx: Tx, account: str, name: str) -> None:
    """Note when the password was used; of uses within five minutes, the first."""
    profile = await tx.get(LoginProfile, account, name)
    now = tx.context.now
    if profile is None:
        raise SignInRefused()
    before = profile.used_at
    if before is None or now - before >= timedelta(minutes=limits.PASSWORD_USE_MINUTES):
        tx.put(replace(profile, used_at=now))
