"""Visitors of websites: anonymous reads of objects, with pages for errors and redirects.

Each read passes the door as any other, so policies and the block of public access hold here too.
"""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from http import HTTPStatus
from typing import Any
from urllib.parse import unquote

from doppio.kernel.context import Context
from doppio.kernel.web import Shown, Visit
from doppio.services.s3.errors import (
    IncorrectEndpoint,
    MethodNotAllowed,
    NoSuchBucket,
    NoSuchWebsiteConfiguration,
)
from doppio.services.s3.lookup import bucket_id
from doppio.services.s3.records import Bucket
from doppio.services.s3.settings import setting
from doppio.services.s3.website import KIND
from doppio.services.s3.website_rules import placed, quoted_key, redirect_of, rule_for
from doppio.wire.errors import AwsError, InternalFailure, Throttled

_HTML = ("content-type", "text/html; charset=utf-8")
_METHODS = {"GET": "get_object", "HEAD": "head_object"}
_OPERATIONS = {"GET": "GetObject", "HEAD": "HeadObject"}
_NOT_FOUND = frozenset({403, 404})


async def visit(ctx: Context, visit: Visit) -> Shown:
    """The page that a visitor gets."""
    try:
        return await _answer(ctx, visit)
    except AwsError as error:
        return _error_page(ctx, error)


async def _answer(ctx: Context, visit: Visit) -> Shown:
    if visit.method not in _METHODS:
        raise MethodNotAllowed(Method=visit.method, ResourceType="OBJECT")
    reader = ctx.read()
    bucket = await reader.get(Bucket, bucket_id(ctx, visit.site))
    if bucket is None:
        raise NoSuchBucket(BucketName=visit.site)
    if visit.region not in {"", bucket.region}:
        place = f"{bucket.name}.s3-website-{bucket.region}.amazonaws.com"
        raise IncorrectEndpoint(Endpoint=place)
    website = await setting(reader, bucket, KIND)
    if website is None:
        raise NoSuchWebsiteConfiguration(BucketName=bucket.name)
    everything = website.get("RedirectAllRequestsTo")
    if everything is not None:
        rest = visit.path.removeprefix("/") + (f"?{visit.query}" if visit.query else "")
        return _redirect(301, placed(everything, visit.origin, rest))
    here = ctx.derive(ctx.caller, region=bucket.region)
    return await _Site(here, visit, bucket, website).answer()


class _Site:
    """One visit to a website that is there."""

    def __init__(
        self, ctx: Context, visit: Visit, bucket: Bucket, website: Mapping[str, Any]
    ) -> None:
        self._ctx = ctx
        self._visit = visit
        self._bucket = bucket
        self._website = website
        self._suffix: str = website["IndexDocument"]["Suffix"]
        self._rules = website.get("RoutingRules") or []
        self._key = unquote(visit.path.removeprefix("/"))

    async def answer(self) -> Shown:
        """The object, the index of a folder, a redirect, or an error page."""
        key = self._key
        rule = rule_for(self._rules, key, None)
        if rule is not None:
            return _redirect(*redirect_of(rule, key, self._visit.origin))
        wanted = key if key and not key.endswith("/") else key + self._suffix
        try:
            result = await self._read(wanted, self._visit.asked)
        except AwsError as error:
            return await self._failed(_plain(error))
        location = result.get("WebsiteRedirectLocation")
        if location is not None:
            return _redirect(301, location)
        return Shown(200, [], operation=_OPERATIONS[self._visit.method], result=result)

    async def _read(self, key: str, asked: Mapping[str, Any]) -> Mapping[str, Any]:
        req = {**asked, "Bucket": self._bucket.name, "Key": key}
        found: Mapping[str, Any] = await self._ctx.derive(self._ctx.caller).call(
            "s3", _METHODS[self._visit.method], req
        )
        return found

    async def _failed(self, error: AwsError) -> Shown:
        if error.status < 400 or error.status >= 500:
            raise error
        key = self._key
        if error.status in _NOT_FOUND and await self._is_folder(key):
            named = {"Code": "Found", "Message": "Resource Found"}
            place = ("location", f"/{quoted_key(key)}/")
            return Shown(302, [place, *_told(named), _HTML], _page(302, named, self._ctx))
        rule = rule_for(self._rules, key, error.status)
        if rule is not None:
            return _redirect(*redirect_of(rule, key, self._visit.origin))
        document = self._website.get("ErrorDocument")
        if document is None:
            raise error
        try:
            result = await self._read(document["Key"], {})
        except AwsError as second:
            return _error_page(self._ctx, error, beside=_plain(second))
        headers = _told(_fields(error))
        operation = _OPERATIONS[self._visit.method]
        return Shown(error.status, headers, operation=operation, result=result)

    async def _is_folder(self, key: str) -> bool:
        if not key or key.endswith("/"):
            return False
        req = {"Bucket": self._bucket.name, "Key": f"{key}/{self._suffix}"}
        try:
            await self._ctx.derive(self._ctx.caller).call("s3", "head_object", req)
        except AwsError:
            return False
        return True


def _redirect(status: int, place: str) -> Shown:
    return Shown(status, [("location", place)])


def _plain(error: AwsError) -> AwsError:
    """What visitors hear of an error: not what was missing, and whose fault it is."""
    if error.status == 403 and error.code.startswith("AccessDenied"):
        return _refusal("AccessDenied", 403, "Access Denied")
    if isinstance(error, Throttled):
        return _refusal("SlowDown", 503, "Please reduce your request rate.")
    if isinstance(error, InternalFailure):
        return _refusal("InternalError", 500, "We encountered an internal error. Please try again.")
    return error


def _refusal(code: str, status: int, text: str) -> AwsError:
    error = AwsError(text)
    error.code, error.status = code, status  # type: ignore[misc]
    return error


def _fields(error: AwsError) -> dict[str, str]:
    fields = {name: str(text) for name, text in error.fields.items()}
    return {"Code": error.code, "Message": error.message, **fields}


def _told(fields: Mapping[str, str]) -> list[tuple[str, str]]:
    """An error's code, text and details as headers; what does not fit into one is left out."""
    told = [("x-amz-error-code", fields["Code"]), ("x-amz-error-message", fields["Message"])]
    told += [
        (f"x-amz-error-detail-{name}", text)
        for name, text in fields.items()
        if name not in {"Code", "Message"}
    ]
    return [(name, text) for name, text in told if text.isprintable() and text.isascii()]


def _error_page(ctx: Context, error: AwsError, beside: AwsError | None = None) -> Shown:
    error = _plain(error)
    headers = [(name.lower(), value) for name, value in error.headers.items()]
    if error.status == 304:
        return Shown(304, headers)
    fields = _fields(error)
    page = _page(error.status, fields, ctx, beside)
    return Shown(error.status, [*headers, *_told(fields), _HTML], page)


def _page(
    status: int, fields: Mapping[str, str], ctx: Context, beside: AwsError | None = None
) -> bytes:
    title = f"{status} {HTTPStatus(status).phrase}"
    lines = [*fields.items(), ("RequestId", ctx.request_id), ("HostId", ctx.request_id)]
    parts = [
        f"<html>\n<head><title>{title}</title></head>\n<body>\n<h1>{title}</h1>\n",
        _list(lines),
    ]
    if beside is not None:
        parts.append("<h3>An Error Occurred While Attempting to Retrieve a Custom Error Document")
        parts.append(f"</h3>\n{_list(list(_fields(beside).items()))}")
    parts.append("<hr/>\n</body>\n</html>\n")
    return "".join(parts).encode()


def _list(lines: list[tuple[str, str]]) -> str:
    items = "".join(f"<li>{escape(name)}: {escape(text)}</li>\n" for name, text in lines)
    return f"<ul>\n{items}</ul>\n"
