"""Passwords: random ones, of the kinds of characters that are wanted."""

from __future__ import annotations

import string
from collections.abc import Callable
from typing import TYPE_CHECKING

from doppio.kernel.context import Context
from doppio.services.secretsmanager import limits
from doppio.services.secretsmanager.errors import InvalidParameter, InvalidRequest

if TYPE_CHECKING:
    from doppio._stubs import secretsmanager as w

_KINDS = (
    ("ExcludeLowercase", string.ascii_lowercase),
    ("ExcludeUppercase", string.ascii_uppercase),
    ("ExcludeNumbers", string.digits),
    ("ExcludePunctuation", string.punctuation),
)


class Passwords:
    """GetRandomPassword."""

    async def get_random_password(
        self, ctx: Context, req: w.GetRandomPasswordRequest
    ) -> w.GetRandomPasswordResponse:
        """A password that nobody has."""
        length = req.get("PasswordLength", limits.PASSWORD_CHARS)
        if not 1 <= length <= limits.PASSWORD_CHARS_MAX:
            raise InvalidParameter("PasswordLength must be between 1 and 4096.")
        barred = set(req.get("ExcludeCharacters", ""))
        kinds = [kept for member, kept in _KINDS if not req.get(member)]
        if req.get("IncludeSpace"):
            kinds.append(" ")
        alphabets = ["".join(one for one in kind if one not in barred) for kind in kinds]
        alphabets = [alphabet for alphabet in alphabets if alphabet]
        if not alphabets:
            raise InvalidRequest("No characters are left to make a password of.")
        each = req.get("RequireEachIncludedType", True)
        if each and length < len(alphabets):
            raise InvalidRequest(
                "The password is too short to have a character of each included type."
            )
        ctx.read().meter("SecretsManager-Requests")
        return {"RandomPassword": _password(ctx.kernel.ids.bytes, length, alphabets, each)}


def _password(random: Callable[[int], bytes], length: int, alphabets: list[str], each: bool) -> str:
    every = "".join(alphabets)
    chosen = [_one(random, alphabet) for alphabet in alphabets] if each else []
    chosen += [_one(random, every) for _ in range(length - len(chosen))]
    # In a random order, so that no place is known to be of a kind.
    for at in range(len(chosen) - 1, 0, -1):
        other = _below(random, at + 1)
        chosen[at], chosen[other] = chosen[other], chosen[at]
    return "".join(chosen)


def _one(random: Callable[[int], bytes], alphabet: str) -> str:
    return alphabet[_below(random, len(alphabet))]


def _below(random: Callable[[int], bytes], most: int) -> int:
    # Eight bytes: what one remainder is likelier than another is immeasurable.
    return int.from_bytes(random(8), "big") % most
