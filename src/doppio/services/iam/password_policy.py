"""The account's password policy, and what it says of a password.

Where an account has none of its own, AWS's default one counts: eight characters of three kinds. It
bears on passwords that are set from now on; those that are there stay until they expire.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from doppio.kernel.context import Context, Reader
from doppio.kernel.policy import Policy, compile_policy
from doppio.services.iam import limits
from doppio.services.iam.errors import NoSuchEntity, PasswordPolicyViolation
from doppio.services.iam.records import LoginProfile, PasswordPolicy

if TYPE_CHECKING:
    from doppio._stubs import iam as w

SYMBOLS = frozenset("!@#$%^&*()_+-=[]{}|'")


class PasswordPolicies:
    """The operations on the account's password policy."""

    async def update_account_password_policy(
        self, ctx: Context, req: w.UpdateAccountPasswordPolicyRequest
    ) -> None:
        """Say what passwords must be; what is left out goes back to its default."""
        async with ctx.write() as tx:
            tx.put(
                PasswordPolicy(
                    account=ctx.account,
                    chars_min=req.get("MinimumPasswordLength", limits.OWN_POLICY_CHARS_MIN),
                    symbols=req.get("RequireSymbols", False),
                    numbers=req.get("RequireNumbers", False),
                    uppercase=req.get("RequireUppercaseCharacters", False),
                    lowercase=req.get("RequireLowercaseCharacters", False),
                    users_may_change=req.get("AllowUsersToChangePassword", False),
                    age_days_max=req.get("MaxPasswordAge", 0),
                    remembered=req.get("PasswordReusePrevention", 0),
                    hard_expiry=req.get("HardExpiry"),
                )
            )

    async def get_account_password_policy(
        self, ctx: Context, req: Mapping[str, Any]
    ) -> w.GetAccountPasswordPolicyResponse:
        """What passwords must be, where the account has said so."""
        found = await policy_of(ctx.read(), ctx.account)
        if found is None:
            raise NoSuchEntity(
                f"The Password Policy with domain name {ctx.account} cannot be found."
            )
        return {"PasswordPolicy": _to_wire(found)}  # type: ignore[typeddict-item]

    async def delete_account_password_policy(self, ctx: Context, req: Mapping[str, Any]) -> None:
        """Go back to the default policy."""
        async with ctx.write() as tx:
            found = await policy_of(tx, ctx.account)
            if found is None:
                raise NoSuchEntity("The account policy with name PasswordPolicy cannot be found.")
            tx.delete(found)


async def policy_of(reader: Reader, account: str) -> PasswordPolicy | None:
    """The account's own password policy."""
    return await reader.get(PasswordPolicy, account)


def own_password_policy(arn: str) -> Policy:
    """What AllowUsersToChangePassword lets each user do, without a policy of its own."""
    return compile_policy(
        '{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": '
        f'"iam:ChangePassword", "Resource": "{arn}"}}, {{"Effect": "Allow", "Action": '
        '"iam:GetAccountPasswordPolicy", "Resource": "*"}]}',
        "account password policy",
    )


def check_password(policy: PasswordPolicy | None, password: str, account: str) -> None:
    """Raise PasswordPolicyViolation for a password that is too simple."""
    if policy is None:
        _check_default(password, account)
        return
    if len(password) < policy.chars_min:
        raise PasswordPolicyViolation(
            f"Password should have a minimum length of {policy.chars_min}"
        )
    for asked, there, kind in (
        (policy.uppercase, _any(password, "A", "Z"), "uppercase letter"),
        (policy.lowercase, _any(password, "a", "z"), "lowercase letter"),
        (policy.symbols, bool(SYMBOLS & set(password)), "symbol"),
        (policy.numbers, _any(password, "0", "9"), "number"),
    ):
        if asked and not there:
            raise PasswordPolicyViolation(f"Password should have at least one {kind}")


def expires_at(policy: PasswordPolicy | None, profile: LoginProfile) -> datetime | None:
    """When a password must be another one; None where never."""
    if policy is None or not policy.age_days_max:
        return None
    return profile.changed_at + timedelta(days=policy.age_days_max)


def _check_default(password: str, account: str) -> None:
    if len(password) < limits.PASSWORD_CHARS_MIN:
        raise PasswordPolicyViolation(
            f"Password should have a minimum length of {limits.PASSWORD_CHARS_MIN}"
        )
    kinds = (
        any(char.isupper() for char in password), any(char.islower() for char in password),
        any(char.isdigit() for char in password), any(not char.isalnum() for char in password),
    )  # fmt: skip
    if sum(kinds) < limits.PASSWORD_KINDS_MIN or password == account:
        raise PasswordPolicyViolation(
            "Password should have at least three of the following: uppercase letters, lowercase "
            "letters, numbers, and symbols, and should not be the account's name"
        )


def _any(password: str, first: str, last: str) -> bool:
    return any(first <= char <= last for char in password)


def _to_wire(policy: PasswordPolicy) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "MinimumPasswordLength": policy.chars_min,
        "RequireSymbols": policy.symbols,
        "RequireNumbers": policy.numbers,
        "RequireUppercaseCharacters": policy.uppercase,
        "RequireLowercaseCharacters": policy.lowercase,
        "AllowUsersToChangePassword": policy.users_may_change,
        "ExpirePasswords": bool(policy.age_days_max),
    }
    if policy.age_days_max:
        shown["MaxPasswordAge"] = policy.age_days_max
    if policy.remembered:
        shown["PasswordReusePrevention"] = policy.remembered
    if policy.hard_expiry is not None:
        shown["HardExpiry"] = policy.hard_expiry
    return shown
