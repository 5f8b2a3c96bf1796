"""IAM login profiles: the password with which a user will sign in to the console.

Only a salted hash of it is kept. What a password must be is AWS's default password policy.
"""

from __future__ import annotations

import hashlib
import hmac
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from doppio.kernel.context import Context, Reader
from doppio.services.iam import limits
from doppio.services.iam.common import acting_user
from doppio.services.iam.errors import (
    InvalidUserType,
    NoSuchEntity,
    PasswordPolicyViolation,
    ValidationError,
    taken,
)
from doppio.services.iam.records import LoginProfile

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
            if "Password" not in req:
                raise ValidationError("Must specify a password when creating a login profile")
            if await tx.get(LoginProfile, ctx.account, user) is not None:
                raise taken("Login Profile for User", user)
            salt, digest = _hashed(ctx, req["Password"])
            profile = tx.put(
                LoginProfile(
                    account=ctx.account, user=user, created_at=ctx.now, salt=salt, hash=digest,
                    reset_required=req.get("PasswordResetRequired", False),
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
        """Change a user's password, or whether the user must."""
        async with ctx.write() as tx:
            profile = await _existing(tx, ctx, await _user(tx, ctx, req))
            if "Password" in req:
                salt, digest = _hashed(ctx, req["Password"])
                profile = replace(profile, salt=salt, hash=digest)
            required = req.get("PasswordResetRequired", profile.reset_required)
            tx.put(replace(profile, reset_required=required))

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
            salt, digest = _hashed(ctx, req["NewPassword"])
            tx.put(replace(profile, salt=salt, hash=digest, reset_required=False))


def password_is(profile: LoginProfile, password: str) -> bool:
    """Whether a password is a user's."""
    return hmac.compare_digest(_scrypt(password, profile.salt), profile.hash)


async def _user(reader: Reader, ctx: Context, req: Any) -> str:
    user = await acting_user(reader, ctx, req)
    if not user:
        raise ValidationError("Must specify userName when calling with non-User credentials")
    return user


async def _existing(reader: Reader, ctx: Context, user: str) -> LoginProfile:
    profile = await reader.get(LoginProfile, ctx.account, user)
    if profile is None:
        raise NoSuchEntity(f"Login Profile for User {user} cannot be found.")
    return profile


def _hashed(ctx: Context, password: str) -> tuple[bytes, bytes]:
    _check(ctx, password)
    salt = ctx.kernel.ids.bytes(SALT_BYTES)
    return salt, _scrypt(password, salt)


def _scrypt(password: str, salt: bytes) -> bytes:
    return hashlib.scrypt(password.encode(), salt=salt, dklen=32, **_COST)


def _check(ctx: Context, password: str) -> None:
    if len(password) < limits.PASSWORD_CHARS_MIN:
        raise PasswordPolicyViolation(
            f"Password should have a minimum length of {limits.PASSWORD_CHARS_MIN}"
        )
    kinds = {
        any(char.isupper() for char in password) and "upper",
        any(char.islower() for char in password) and "lower",
        any(char.isdigit() for char in password) and "digit",
        any(not char.isalnum() for char in password) and "symbol",
    } - {False}
    if len(kinds) < limits.PASSWORD_KINDS_MIN or password == ctx.account:
        raise PasswordPolicyViolation(
            "Password should have at least three of the following: uppercase letters, lowercase "
            "letters, numbers, and symbols, and should not be the account's name"
        )


def _to_wire(profile: LoginProfile) -> dict[str, Any]:
    return {
        "UserName": profile.user,
        "CreateDate": profile.created_at,
        "PasswordResetRequired": profile.reset_required,
    }
