"""What IAM's operations share: names, paths, tags, documents, pages."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from doppio.kernel import tags
from doppio.kernel.context import Context, Tx
from doppio.kernel.paging import BadToken, page_token, token_key
from doppio.kernel.policy import MalformedPolicy, compile_policy
from doppio.kernel.policy.document import check
from doppio.services.iam import limits
from doppio.services.iam.errors import (
    InvalidInput,
    LimitExceeded,
    MalformedPolicyDocument,
    ValidationError,
)

T = TypeVar("T")
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


def checked_path(req: Mapping[str, Any]) -> str:
    """The path of a request, `/` by default. Raises ValidationError."""
    path = req.get("Path", "/")
    if not _PATH.fullmatch(path):
        raise ValidationError(
            "The specified value for path is invalid. It must begin and end with / and contain "
            "only alphanumeric characters and/or / characters."
        )
    return str(path)


def checked_document(document: str, *, most: int, principal: bool | None = False) -> str:
    """A policy document. Raises MalformedPolicyDocument and LimitExceeded."""
    try:
        check(document, principal=principal)
        compile_policy(document)
    except MalformedPolicy as error:
        raise MalformedPolicyDocument(str(error)) from error
    # White space does not count.
    size = len(re.sub(r"\s", "", document))
    if size > most:
        raise LimitExceeded(f"Cannot exceed quota for PolicySize: {most}")
    return document


def new_tags(req: Mapping[str, Any], old: Mapping[str, str] | None = None) -> dict[str, str]:
    """The request's tags over the old ones. Raises InvalidInput and LimitExceeded."""
    try:
        given = tags.from_list(req.get("Tags", ()))
        both = {**(old or {}), **tags.checked(given)}
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
