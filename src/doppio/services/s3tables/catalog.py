"""Iceberg's REST catalog over S3 Tables: each request is the operations of S3 Tables that it means.

So it takes the permissions that AWS documents for it, and the trail names the operations. Source:
"Accessing tables using the Amazon S3 Tables Iceberg REST endpoint", and Iceberg's own REST catalog
specification for paths, bodies and errors.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping
from typing import Any
from urllib.parse import parse_qsl, quote, unquote

from doppio.kernel.context import Context
from doppio.kernel.web import Asked, Told
from doppio.services.s3tables import commits
from doppio.services.s3tables.catalog_errors import NoSuchRoute, refused
from doppio.services.s3tables.errors import BadRequest
from doppio.services.s3tables.rules import place_of
from doppio.wire.errors import AwsError

_LEVELS = "\x1f"
_JSON = [("content-type", "application/json")]
_NAMESPACE, _TABLE = "namespaces/{namespace}", "namespaces/{namespace}/tables/{table}"
# What the answer to `config` says can be asked, in the words of Iceberg's specification.
_ENDPOINTS = [
    "GET /v1/{prefix}/namespaces",
    "POST /v1/{prefix}/namespaces",
    f"GET /v1/{{prefix}}/{_NAMESPACE}",
    f"HEAD /v1/{{prefix}}/{_NAMESPACE}",
    f"DELETE /v1/{{prefix}}/{_NAMESPACE}",
    f"GET /v1/{{prefix}}/{_NAMESPACE}/tables",
    f"POST /v1/{{prefix}}/{_NAMESPACE}/tables",
    f"GET /v1/{{prefix}}/{_TABLE}",
    f"HEAD /v1/{{prefix}}/{_TABLE}",
    f"POST /v1/{{prefix}}/{_TABLE}",
    f"DELETE /v1/{{prefix}}/{_TABLE}",
    "POST /v1/{prefix}/tables/rename",
]
_DEFAULTS = {"rest-metrics-reporting-enabled": "false", "s3.delete-enabled": "false"}


class Call:
    """A request that has been read: the bucket, what the path names, the query and the body."""

    def __init__(self, bucket: str, asked: Asked) -> None:
        self.bucket = bucket
        self.query = dict(parse_qsl(asked.query, keep_blank_values=True))
        self._body = asked.body
        self.namespace = ""
        self.table = ""

    @property
    def body(self) -> Mapping[str, Any]:
        """The JSON that came along. Raises BadRequestException."""
        try:
            found = json.loads(self._body or b"{}")
        except ValueError as error:
            raise BadRequest("The request body is not valid JSON.") from error
        if not isinstance(found, dict):
            raise BadRequest("The request body is not a JSON object.")
        return found

    @property
    def named(self) -> dict[str, str]:
        """The table, as operations are asked for it."""
        return {"tableBucketARN": self.bucket, "namespace": self.namespace, "name": self.table}

    @property
    def paging(self) -> dict[str, Any]:
        """Where a list goes on."""
        token = self.query.get("pageToken")
        return {"continuationToken": token} if token else {}

    def page_size(self) -> int | None:
        """How many entries a page is to have. Raises BadRequestException."""
        given = self.query.get("pageSize")
        if given is None:
            return None
        if not given.isdigit() or not 1 <= int(given) <= 1_000:
            raise BadRequest("pageSize must be between 1 and 1000.")
        return int(given)


Answer = Mapping[str, Any] | None
Route = Callable[[Context, Call], Awaitable[Answer]]


class Catalog:
    """The catalog. Its prefix is the ARN of a table bucket."""

    async def ask(self, ctx: Context, asked: Asked) -> Told:
        """The answer to a request. Raises AwsError."""
        parts = [unquote(part) for part in asked.path.split("/")]
        if parts[1:] == ["config"] and asked.method == "GET":
            return _told(await _config(ctx, Call("", asked)))
        if len(parts) < 3 or place_of(parts[1]) is None:
            raise NoSuchRoute(f"No route for {asked.method} {asked.path}")
        call = Call(parts[1], asked)
        route = _route(call, asked.method, parts[2:])
        if route is None:
            raise NoSuchRoute(f"No route for {asked.method} {asked.path}")
        return _told(await route(ctx, call))

    def refuse(self, error: AwsError) -> Told:
        """An error as Iceberg's clients know it."""
        return refused(error)


def _told(answer: Answer) -> Told:
    if answer is None:
        return Told(204, [])
    return Told(200, _JSON, json.dumps(answer).encode())


def _route(call: Call, method: str, parts: list[str]) -> Route | None:
    """What a path asks for, whose names go into the call."""
    match parts:
        case ["namespaces"]:
            found = {"GET": _list_namespaces, "POST": _create_namespace}
        case ["namespaces", namespace]:
            call.namespace = _single(namespace)
            found = {"GET": _namespace, "HEAD": _has_namespace, "DELETE": _drop_namespace}
        case ["namespaces", namespace, "tables"]:
            call.namespace = _single(namespace)
            found = {"GET": _list_tables, "POST": _create_table}
        case ["namespaces", namespace, "tables", table]:
            call.namespace, call.table = _single(namespace), table
            found = {
                "GET": _load, "HEAD": _has_table, "POST": _commit, "DELETE": _drop_table,
            }  # fmt: skip
        case ["tables", "rename"]:
            found = {"POST": _rename}
        case _:
            return None
    return found.get(method)


def _single(name: str) -> str:
    if _LEVELS in name:
        raise BadRequest("Multi-level namespaces are not supported.")
    return name


def _first(levels: Any) -> str:
    if not isinstance(levels, list) or len(levels) != 1:
        raise BadRequest("A namespace must have exactly one level.")
    return str(levels[0])


async def _config(ctx: Context, call: Call) -> Answer:
    warehouse = call.query.get("warehouse", "")
    if place_of(warehouse) is None:
        raise BadRequest("The warehouse must be the ARN of a table bucket.")
    await ctx.call("s3tables", "get_table_bucket", {"tableBucketARN": warehouse})
    return {
        "defaults": _DEFAULTS,
        "overrides": {"prefix": quote(warehouse, safe="")},
        "endpoints": _ENDPOINTS,
    }


async def _list_namespaces(ctx: Context, call: Call) -> Answer:
    if call.query.get("parent"):
        raise BadRequest("Multi-level namespaces are not supported.")
    asked = {"tableBucketARN": call.bucket, **call.paging}
    if (size := call.page_size()) is not None:
        asked["maxNamespaces"] = size
    page = await ctx.call("s3tables", "list_namespaces", asked)
    return _page({"namespaces": [one["namespace"] for one in page["namespaces"]]}, page)


async def _create_namespace(ctx: Context, call: Call) -> Answer:
    if call.body.get("properties"):
        raise BadRequest("Properties of namespaces are not supported.")
    name = _first(call.body.get("namespace"))
    asked = {"tableBucketARN": call.bucket, "namespace": [name]}
    await ctx.call("s3tables", "create_namespace", asked)
    return {"namespace": [name], "properties": {}}


async def _namespace(ctx: Context, call: Call) -> Answer:
    asked = {"tableBucketARN": call.bucket, "namespace": call.namespace}
    found = await ctx.call("s3tables", "get_namespace", asked)
    return {"namespace": found["namespace"], "properties": {}}


async def _has_namespace(ctx: Context, call: Call) -> Answer:
    await _namespace(ctx, call)
    return None


async def _drop_namespace(ctx: Context, call: Call) -> Answer:
    asked = {"tableBucketARN": call.bucket, "namespace": call.namespace}
    await ctx.call("s3tables", "delete_namespace", asked)
    return None


async def _list_tables(ctx: Context, call: Call) -> Answer:
    asked = {"tableBucketARN": call.bucket, "namespace": call.namespace, **call.paging}
    if (size := call.page_size()) is not None:
        asked["maxTables"] = size
    page = await ctx.call("s3tables", "list_tables", asked)
    names = [{"namespace": one["namespace"], "name": one["name"]} for one in page["tables"]]
    return _page({"identifiers": names}, page)


async def _create_table(ctx: Context, call: Call) -> Answer:
    body = call.body
    if body.get("stage-create"):
        raise BadRequest("The stage-create option is not supported.")
    if body.get("location"):
        raise BadRequest("The location of a table cannot be specified.")
    call.table = str(body.get("name", ""))
    asked = {**call.named, "format": "ICEBERG", "metadata": {"iceberg": commits.described(body)}}
    made = await ctx.call("s3tables", "create_table", asked)
    return await commits.made(ctx, made["tableARN"])


async def _load(ctx: Context, call: Call) -> Answer:
    return await commits.load(ctx, call.named)


async def _has_table(ctx: Context, call: Call) -> Answer:
    await ctx.call("s3tables", "get_table", call.named)
    return None


async def _commit(ctx: Context, call: Call) -> Answer:
    return await commits.commit(ctx, call.named, call.body)


async def _drop_table(ctx: Context, call: Call) -> Answer:
    if call.query.get("purgeRequested", "false").lower() != "true":
        raise BadRequest("S3 Tables only supports dropping a table with purge enabled.")
    await ctx.call("s3tables", "delete_table", call.named)
    return None


async def _rename(ctx: Context, call: Call) -> Answer:
    source, destination = (call.body.get(name) or {} for name in ("source", "destination"))
    call.namespace, call.table = _first(source.get("namespace")), str(source.get("name", ""))
    asked: dict[str, Any] = dict(call.named)
    namespace, name = _first(destination.get("namespace")), str(destination.get("name", ""))
    if name != call.table:
        asked["newName"] = name
    if namespace != call.namespace:
        asked["newNamespaceName"] = namespace
    await ctx.call("s3tables", "rename_table", asked)
    return None


def _page(found: dict[str, Any], page: Mapping[str, Any]) -> dict[str, Any]:
    return {**found, "next-page-token": page.get("continuationToken")}
