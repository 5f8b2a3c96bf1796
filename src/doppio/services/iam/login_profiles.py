"""IAM login profiles: the password with which a user signs in (`sign_in`).

Only a salted hash of it is kept. What a password must be, the account's password policy says.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from doppio.kernel.context import Context, Reader, Tx
from doppio.services.iam import limits
from doppio.services.iam.common import acting_user
from doppio.services.iam.errors import (
    InvalidInput,
    InvalidUserType,
    NoSuchEntity,
    PasswordPolicyViolation,
    ValidationError,
    taken,
)
from doppio.services.iam.password_policy import check_password, policy_of
from doppio.services.iam.records import LoginProfile
from doppio.services.iam.root_access import ROOT_TASK

if TYPE_CHECKING:
    from doppio._stubs import iam as w

SALT_BYTES = 16
# Sixteen mebibytes and some hundredths of a second for each guess.
_COST = {"n": 2**14, "r": 8, "p": 1}


class LoginProfiles:
    """The password operations."""

    async def create_login_profile(
        self, ctx: Context, req: w.CreateLoginProfileRequest
    ) -> w.CreateLoginProfileResponse:
        """Give a user a password."""
        async with ctx.write() as tx:
            user = await _user(tx, ctx, req)
            if not user:
                return {"LoginProfile": _to_wire(await _recoverable(tx, ctx, req))}  # type: ignore[typeddict-item]
            if "Password" not in req:
                raise ValidationError("Must specify a password when creating a login profile")
            if await tx.get(LoginProfile, ctx.account, user) is not None:
                raise taken("Login Profile for User", user)
            check_password(await policy_of(tx, ctx.account), req["Password"], ctx.account)
            salt = ctx.kernel.ids.bytes(SALT_BYTES)
            profile = tx.put(
                LoginProfile(
                    account=ctx.account, user=user, created_at=ctx.now, salt=salt,
                    hash=_scrypt(req["Password"], salt), set_at=ctx.now,
                    reset_required=req.get("PasswordResetRequired", False),
                    sign_in_seconds=req.get("MaxSigninSessionDuration"),
                )
            )  # fmt: skip
        return {"LoginProfile": _to_wire(profile)}  # type: ignore[typeddict-item]

    async def get_login_profile(
        self, ctx: Context, req: w.GetLoginProfileRequest
    ) -> w.GetLoginProfileResponse:
        """Whether and since when a user has a password."""
        reader = ctx.read()
        profile = await _existing(reader, ctx, await _user(reader, ctx, req))
        return {"LoginProfile": _to_wire(profile)}  # type: ignore[typeddict-item]

    async def update_login_profile(self, ctx: Context, req: w.UpdateLoginProfileRequest) -> None:
        """Change a user's password, whether the user must, or how long a sign-in lasts from now on."""
        seconds, reset = req.get("MaxSigninSessionDuration"), _resets_sign_in(req)
        async with ctx.write() as tx:
            profile = await _existing(tx, ctx, await _user(tx, ctx, req))
            if "Password" in req:
                profile = await _with_password(tx, ctx, profile, req["Password"])
            if not profile.user:
                _check_not_roots(req)
            kept = None if reset else profile.sign_in_seconds
            tx.put(
                replace(
                    profile,
                    reset_required=req.get("PasswordResetRequired", profile.reset_required),
                    sign_in_seconds=kept if seconds is None else seconds,
                )
            )

    async def delete_login_profile(self, ctx: Context, req: w.DeleteLoginProfileRequest) -> None:
        """Take a user's password away; access keys go on."""
        async with ctx.write() as tx:
            tx.delete(await _existing(tx, ctx, await _user(tx, ctx, req)))

    async def change_password(self, ctx: Context, req: w.ChangePasswordRequest) -> None:
        """Change one's own password, knowing the old one."""
        if ctx.caller.kind != "user":
            raise InvalidUserType("Only IAM Users can change their own password")
        async with ctx.write() as tx:
            profile = await _existing(tx, ctx, ctx.caller.arn.rpartition("/")[2])
            if not password_is(profile, req["OldPassword"]):
                raise PasswordPolicyViolation("The old password was incorrect.")
            profile = await _with_password(tx, ctx, profile, req["NewPassword"])
            tx.put(replace(profile, reset_required=False))


def password_is(profile: LoginProfile, password: str) -> bool:
    """Whether a password is a user's."""
    return hmac.compare_digest(_scrypt(password, profile.salt), profile.hash)


async def _user(reader: Reader, ctx: Context, req: Any) -> str:
    user = await acting_user(reader, ctx, req)
    if not user and ROOT_TASK not in ctx.caller.session:
        raise ValidationError("Must specify userName when calling with non-User credentials")
    return user


async def _recoverable(tx: Tx, ctx: Context, req: Any) -> LoginProfile:
    """Root's profile without a password: from now on its owner may choose one."""
    if "Password" in req:
        raise ValidationError("The Password parameter must be omitted for a root user.")
    _check_not_roots(req)
    if await tx.get(LoginProfile, ctx.account, "") is not None:
        raise taken("Login Profile for User", "root")
    return tx.put(
        LoginProfile(account=ctx.account, user="", created_at=ctx.now, salt=b"", hash=b"")
    )


def _check_not_roots(req: Mapping[str, Any]) -> None:
    if "MaxSigninSessionDuration" in req or req.get("ResetMaxSigninSessionDuration"):
        raise InvalidInput("MaxSigninSessionDuration is not supported for the root user.")


def _resets_sign_in(req: Mapping[str, Any]) -> bool:
    """Whether the length of sign-ins goes back to the default. Raises InvalidInput."""
    reset = bool(req.get("ResetMaxSigninSessionDuration"))
    if reset and "MaxSigninSessionDuration" in req:
        raise InvalidInput(
            "You cannot specify MaxSigninSessionDuration and set ResetMaxSigninSessionDuration to "
            "true in the same request."
        )
    return reset


async def _existing(reader: Reader, ctx: Context, user: str) -> LoginProfile:
    profile = await reader.get(LoginProfile, ctx.account, user)
    if profile is None:
        raise NoSuchEntity(f"Login Profile for User {user} cannot be found.")
    return profile


async def _with_password(
    tx: Tx, ctx: Context, profile: LoginProfile, password: str
) -> LoginProfile:
    """The profile with another password; the policy may forbid those that were there before."""
    policy = await policy_of(tx, ctx.account)
    check_password(policy, password, ctx.account)
    digest = _scrypt(password, profile.salt)
    known = (profile.hash, *profile.before)
    remembered = 0 if policy is None else policy.remembered
    if any(hmac.compare_digest(digest, one) for one in known[:remembered]):
        raise PasswordPolicyViolation("Password should not be a previously used password")
    before = known[: limits.PASSWORDS_REMEMBERED_MAX - 1]
    return replace(profile, hash=digest, before=before, set_at=ctx.now)


def _scrypt(password: str, salt: bytes) -> bytes:
    return hashlib.scrypt(password.encode(), salt=salt, dklen=32, **_COST)


def _to_wire(profile: LoginProfile) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "UserName": profile.user or "root",
        "CreateDate": profile.created_at,
        "PasswordResetRequired": profile.reset_required,
    }
    if profile.sign_in_seconds is not None:
        shown["MaxSigninSessionDuration"] = profile.sign_in_seconds
    return shown
