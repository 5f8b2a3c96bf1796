"""Objects that browsers post in forms: what the policy allows becomes a PutObject."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import quote, urlencode
from xml.sax.saxutils import escape

from doppio.kernel.context import Context
from doppio.kernel.web import Form, Shown
from doppio.services.s3 import form_rules
from doppio.services.s3.errors import EntityTooLarge, EntityTooSmall, InvalidArgument
from doppio.services.s3.limits import OBJECT_TAGS_MAX, PUT_BYTES_MAX
from doppio.services.s3.tags import tags_of_set
from doppio.wire.http import ByteStream


async def post(ctx: Context, form: Form) -> Shown:
    """Take a form: its file becomes an object, put by whom the form's signature names."""
    fields = form.fields
    key = fields.get("key")
    if not key:
        raise InvalidArgument(
            "Bucket POST must contain a field named 'key'.  If it is specified, please check the "
            "order of the fields.",
            ArgumentName="key",
            ArgumentValue="",
        )
    allowed = None
    if "policy" in fields:
        allowed = form_rules.check(fields["policy"], form.bucket, fields, ctx.now, ctx.clock.end_of)
    req = dict(form.put)
    tags = req.pop("TagSet", None)
    if tags is not None:
        req["Tagging"] = urlencode(tags_of_set(tags, OBJECT_TAGS_MAX, "Object"))
    req["Body"] = Bounded(form.file, allowed or form_rules.Range(0, PUT_BYTES_MAX))
    result = await ctx.call("s3", "put_object", req)
    return _answer(form, key, result)


def _answer(form: Form, key: str, result: dict[str, Any]) -> Shown:
    place = f"{form.origin}/{quote(form.bucket)}/{quote(key)}"
    etag = result["ETag"]
    headers = [("etag", etag)]
    if "VersionId" in result:
        headers.append(("x-amz-version-id", result["VersionId"]))
    fields = form.fields
    wanted = fields.get("success_action_redirect") or fields.get("redirect")
    if wanted and wanted.startswith(("http://", "https://")):
        more = urlencode({"bucket": form.bucket, "key": key, "etag": etag})
        joint = "&" if "?" in wanted else "?"
        return Shown(303, [*headers, ("location", f"{wanted}{joint}{more}")])
    headers.append(("location", place))
    status = fields.get("success_action_status")
    if status == "201":
        body = (
            '<?xml version="1.0" encoding="UTF-8"?>\n'
            f"<PostResponse><Location>{escape(place)}</Location>"
            f"<Bucket>{escape(form.bucket)}</Bucket><Key>{escape(key)}</Key>"
            f"<ETag>{escape(etag)}</ETag></PostResponse>"
        )
        return Shown(201, [*headers, ("content-type", "application/xml")], body.encode())
    return Shown(200 if status == "200" else 204, headers)


class Bounded:
    """A file that may be so long, and must be: checked as it is read."""

    bounded = True

    def __init__(self, body: ByteStream, allowed: form_rules.Range) -> None:
        self.length = body.length
        self.whole = body.whole
        self._body = body
        self._allowed = allowed
        if self.length is not None:
            self._check(self.length)
            self._check_end(self.length)

    async def __aiter__(self) -> AsyncIterator[bytes]:
        size = 0
        async for chunk in self._body:
            size += len(chunk)
            self._check(size)
            yield chunk
        self._check_end(size)

    def _check(self, size: int) -> None:
        if size > self._allowed.most:
            raise EntityTooLarge(ProposedSize=str(size), MaxSizeAllowed=str(self._allowed.most))

    def _check_end(self, size: int) -> None:
        if size < self._allowed.least:
            raise EntityTooSmall(ProposedSize=str(size), MinSizeAllowed=str(self._allowed.least))
