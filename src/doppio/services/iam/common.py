"""What IAM's operations share: names, paths, tags, documents, pages."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, TypeVar
from urllib.parse import quote

from doppio.kernel import tags
from doppio.kernel.context import Context, Reader, Tx
from doppio.kernel.paging import BadToken, page_token, token_key
from doppio.kernel.policy import MalformedPolicy
from doppio.kernel.policy.grammar import check_given
from doppio.services.iam import limits
from doppio.services.iam.errors import (
    InvalidInput,
    LimitExceeded,
    MalformedPolicyDocument,
    ValidationError,
    missing,
)
from doppio.services.iam.records import Closed, Founded, Named, Role, SealingKey, User

T = TypeVar("T")
N = TypeVar("N", bound=Named)
_NAME = re.compile(r"[\w+=,.@-]{1,128}", re.ASCII)
_PATH = re.compile(r"/|/[\x21-\x7f]{0,510}/")


def changed(tx: Tx, ctx: Context) -> None:
    """Say that principals or policies have changed: what is cached of them is forgotten."""
    tx.wake(f"iam/{ctx.account}")


def checked_name(name: str, member: str, most: int = 64) -> str:
    """A name in IAM's characters. Raises ValidationError."""
    if len(name) > most or not _NAME.fullmatch(name):
        raise ValidationError(
            f"The specified value for {member} is invalid. It must contain only alphanumeric "
            "characters and/or the following: +=,.@_-"
        )
    return name


async def named(reader: Reader, cls: type[N], account: str, name: str) -> N | None:
    """The user, group, role, policy or instance profile of a name."""
    found = await reader.get(cls, account, name.lower())
    return found if found is not None and found.name == name else None


async def founded_at(reader: Reader, account: str) -> datetime:
    """Since when there is an account, and its root user: if nobody made it, since the first start."""
    founded = await reader.get(Founded, account)
    if founded is not None:
        return founded.at
    key = await reader.get(SealingKey, "sessions")
    assert key is not None, "made at the first start"
    assert key.made_at is not None, "filled in at each start"
    return key.made_at


def own_part(reader: Reader, arn: str, service: str) -> str:
    """Account and resource of an ARN of the reader's partition; any other text as it is."""
    return arn.removeprefix(f"arn:{reader.context.partition}:{service}::")


async def role_of(reader: Reader, arn: str) -> Role | None:
    """The role of an ARN; those of a closed account are out of reach."""
    account, _, path = own_part(reader, arn, "iam").partition(":role/")
    role = await named(reader, Role, account, path.rpartition("/")[2])
    if role is None or role.arn != arn or await reader.get(Closed, account) is not None:
        return None
    return role


def document_to_wire(document: str) -> str:
    """A policy document as IAM shows it: percent-encoded (RFC 3986)."""
    return quote(document, safe="-_.~")


def entity_to_wire(kind: str, entity: Any) -> dict[str, Any]:
    """The members that users, groups, roles and instance profiles share: `UserName`, `UserId`, …"""
    return {
        "Path": entity.path,
        f"{kind}Name": entity.name,
        f"{kind}Id": entity.id,
        "Arn": entity.arn,
        "CreateDate": entity.created_at,
    }


# Of reports, which are the only things that are told to the millisecond.
_EXACT = frozenset({"JobCreationDate", "JobCompletionDate"})


def whole_seconds(shown: Any) -> Any:
    """An answer as IAM gives it: what it keeps has dates to the second."""
    if isinstance(shown, dict):
        return {
            name: value if name in _EXACT else whole_seconds(value) for name, value in shown.items()
        }
    if isinstance(shown, list):
        return [whole_seconds(one) for one in shown]
    return shown.replace(microsecond=0) if isinstance(shown, datetime) else shown


async def check_room(tx: Tx, account: str, cls: type[Named], quota: str, most: int) -> None:
    """Raise LimitExceeded where an account has no room for one more."""
    if len(await tx.list(cls, (account,), limit=most)) >= most:
        raise LimitExceeded(f"Cannot exceed quota for {quota}: {most}")


async def acting_user(reader: Reader, ctx: Context, req: Mapping[str, Any]) -> str:
    """The name of the user that is meant: the caller where none is named; root's is empty."""
    name = req.get("UserName")
    if name is not None:
        if await named(reader, User, ctx.account, name) is None:
            raise missing("user", name)
        return str(name)
    if ctx.caller.kind == "root":
        return ""
    if ctx.caller.kind == "user":
        return ctx.caller.arn.rpartition("/")[2]
    raise ValidationError("Must specify userName when calling with non-User credentials")


def checked_path(req: Mapping[str, Any], member: str = "Path", default: str = "/") -> str:
    """The path of a request. Raises ValidationError."""
    path = req.get(member, default)
    if not _PATH.fullmatch(path):
        raise ValidationError(
            "The specified value for path is invalid. It must begin and end with / and contain "
            "only alphanumeric characters and/or / characters."
        )
    return str(path)


def checked_document(
    ctx: Context, document: str, *, principal: bool | None = False, current: bool = False
) -> str:
    """A policy document; `current`: of the current version. Raises MalformedPolicyDocument."""
    try:
        check_given(document, principal=principal, current=current, partition=ctx.partition)
    except MalformedPolicy as error:
        raise MalformedPolicyDocument(str(error)) from error
    return document


def document_chars(document: str) -> int:
    """The size of a document; white space does not count."""
    return len("".join(document.split()))


def new_tags(req: Mapping[str, Any], old: Mapping[str, str] | None = None) -> dict[str, str]:
    """The request's tags over the old ones; keys that differ in case alone are the same.

    Raises InvalidInput and LimitExceeded.
    """
    both = dict(old or {})
    keys = {key.lower(): key for key in both}
    given = req.get("Tags", ())
    if len({tag["Key"].lower() for tag in given}) < len(given):
        raise InvalidInput(
            "Duplicate tag keys found. Please note that Tag keys are case insensitive."
        )
    try:
        for key, value in tags.checked(tags.from_list(given)).items():
            both.pop(keys.get(key.lower(), key), None)
            both[key] = value
    except tags.BadTags as error:
        raise InvalidInput(str(error)) from error
    if len(both) > limits.TAGS_MAX:
        raise LimitExceeded(
            f"The number of tags has reached the maximum limit of {limits.TAGS_MAX}."
        )
    return both


def page(
    req: Mapping[str, Any], rows: Sequence[T], member: str, show: Callable[[T], Any], scope: str
) -> dict[str, Any]:
    """One page of rows that are sorted by name. Raises ValidationError for a foreign marker."""
    most = req.get("MaxItems") or limits.LIST_ITEMS_DEFAULT
    first = 0
    if req.get("Marker"):
        try:
            first = int(token_key(req["Marker"], scope))
        except (BadToken, ValueError) as error:
            raise ValidationError("Invalid Marker.") from error
    shown = [show(row) for row in rows[first : first + most]]
    result: dict[str, Any] = {member: shown, "IsTruncated": first + most < len(rows)}
    if result["IsTruncated"]:
        result["Marker"] = page_token(str(first + most).encode(), scope)
    return result


def under(req: Mapping[str, Any], rows: Sequence[Any]) -> list[Any]:
    """The rows whose path begins with the request's `PathPrefix`."""
    prefix = req.get("PathPrefix", "/")
    return [row for row in rows if row.path.startswith(prefix)]
