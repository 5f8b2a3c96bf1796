"""The REST catalog as callers of all kinds meet it: permissions, broken bodies, commits that race."""

from __future__ import annotations

import asyncio
import json
from typing import Any
from urllib.parse import quote

from doppio.kernel.identity import Caller, root_of
from doppio.kernel.web import Asked, Told
from doppio.services.s3tables.service import SERVICE
from doppio.wire.errors import AwsError
from tests.services.kms.helpers import allow, user
from tests.services.s3tables.helpers import BUCKET, NAMED, lake, place, table
from tests.services.world import ACCOUNT, REGION, World, told

LAKE = quote(BUCKET, safe="")
SPACES = f"v1/{LAKE}/namespaces"
TABLES = f"{SPACES}/ns/tables"
SCHEMA = {"type": "struct", "fields": [{"id": 1, "name": "id", "type": "long", "required": True}]}
PROPERTY = {"action": "set-properties", "updates": {"a": "b"}}


async def ask(
    world: World, method: str, path: str, body: Any = None, *, caller: Caller | None = None
) -> tuple[int, dict[str, Any]]:
    """Status and JSON of what the catalog answers."""
    context = world.cloud.context(
        caller or root_of(ACCOUNT),
        account=ACCOUNT,
        region=REGION,
        request_id=world.cloud.ids.uuid(),
    )
    path, _, query = path.partition("?")
    data = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
    catalog = SERVICE.catalog
    assert catalog is not None
    try:
        found: Told = await catalog.ask(context, Asked(method, path, query, data))
    except AwsError as error:
        found = catalog.refuse(error)
    return found.status, json.loads(found.body or b"{}")


# What each request takes, as AWS documents it; asked in this order.
ASKED: list[tuple[str, str, Any, tuple[str, ...]]] = [
    ("GET", f"v1/config?warehouse={LAKE}", None, ("GetTableBucket",)),
    ("POST", SPACES, {"namespace": ["two"]}, ("CreateNamespace",)),
    ("GET", SPACES, None, ("ListNamespaces",)),
    ("GET", f"{SPACES}/two", None, ("GetNamespace",)),
    ("HEAD", f"{SPACES}/two", None, ("GetNamespace",)),
    ("DELETE", f"{SPACES}/two", None, ("DeleteNamespace",)),
    ("POST", TABLES, {"name": "t", "schema": SCHEMA}, ("CreateTable", "PutTableData")),
    ("GET", TABLES, None, ("ListTables",)),
    ("HEAD", f"{TABLES}/t", None, ("GetTable",)),
    ("GET", f"{TABLES}/t", None, ("GetTableMetadataLocation", "GetTableData")),
    (
        "POST", f"{TABLES}/t", {"requirements": [], "updates": [PROPERTY]},
        ("UpdateTableMetadataLocation", "GetTableData", "PutTableData"),
    ),
    (
        "POST", f"v1/{LAKE}/tables/rename",
        {
            "source": {"namespace": ["ns"], "name": "t"},
            "destination": {"namespace": ["ns"], "name": "u"},
        },
        ("RenameTable",),
    ),
    ("DELETE", f"{TABLES}/u?purgeRequested=true", None, ("DeleteTable",)),
]  # fmt: skip


@told
async def test_a_request_takes_the_permissions_that_are_documented_for_it(world: World) -> None:
    await lake(world)
    for number, (method, path, body, actions) in enumerate(ASKED):
        for without in actions:
            held = [allow(f"s3tables:{action}") for action in actions if action != without]
            name = f"without-{number}-{without}"
            one = await user(world, name, *held)
            await world.settle()
            status, found = await ask(world, method, path, body, caller=one)
            assert status == 403, (method, path, without)
            assert found["error"]["type"] == "ForbiddenException"
        one = await user(world, f"with-{number}", *(allow(f"s3tables:{it}") for it in actions))
        await world.settle()
        status, found = await ask(world, method, path, body, caller=one)
        assert status in {200, 204}, (method, path, found)


@told
async def test_what_is_no_request_of_icebergs_is_refused(world: World) -> None:
    await lake(world)
    await table(world)
    commit = f"{TABLES}/t"
    wrong: list[Any] = [
        b"{", b"[]", {"updates": [{"action": "nonsense"}]}, {"requirements": [{"type": "nonsense"}]},
        {"updates": [{"action": "set-current-schema", "schema-id": 7}]},
        {"updates": [{"action": "remove-snapshots", "snapshot-ids": [1]}]},
        {"updates": [{"action": "set-location", "location": "s3://elsewhere"}]},
    ]  # fmt: skip
    for body in wrong:
        status, found = await ask(world, "POST", commit, body)
        assert (status, found["error"]["type"]) == (400, "BadRequestException"), body
    for body in (
        {"name": "u", "schema": {"type": "struct", "fields": [{"id": 1}]}},
        {"name": "u", "schema": 1},
        {"name": "u", "schema": SCHEMA, "partition-spec": {"fields": [1]}},
        {"name": "u", "schema": SCHEMA, "partition-spec": {"fields": [{"source-id": 9}]}},
        {"name": "U!", "schema": SCHEMA},
        {"name": "u", "schema": SCHEMA, "location": "s3://mine"},
    ):
        status, found = await ask(world, "POST", TABLES, body)
        assert (status, found["error"]["type"]) == (400, "BadRequestException"), body
    assert (await ask(world, "GET", TABLES))[1]["identifiers"] == [
        {"namespace": ["ns"], "name": "t"}
    ]


@told
async def test_metadata_that_is_none_is_said_to_be_so(world: World) -> None:
    await lake(world)
    shown = await table(world)
    for number, content in enumerate((b"no JSON", b"\x1f\x8bno gzip", b"{}")):
        location = f"{shown['warehouseLocation']}/metadata/{number}.metadata.json"
        await world.call("s3", "put_object", **place(location), Body=content)
        now = await world.call("s3tables", "get_table", **NAMED)
        await world.call(
            "s3tables", "update_table_metadata_location",
            **NAMED, versionToken=now["versionToken"], metadataLocation=location,
        )  # fmt: skip
        status, found = await ask(world, "POST", f"{TABLES}/t", {"updates": [PROPERTY]})
        assert status == 400, found
        if content != b"{}":
            assert (await ask(world, "GET", f"{TABLES}/t"))[0] == 400
    await table(world, "bare", metadata=None)
    assert (await ask(world, "GET", f"{TABLES}/bare"))[0] == 400


@told
async def test_commits_that_do_not_exclude_each_other_all_come_to_pass(world: World) -> None:
    await lake(world)
    await table(world)

    async def commit(number: int) -> int:
        update = {"action": "set-properties", "updates": {f"k{number}": "x"}}
        return (await ask(world, "POST", f"{TABLES}/t", {"updates": [update]}))[0]

    statuses = await asyncio.gather(*(commit(number) for number in range(4)))
    assert set(statuses) <= {200, 409}
    found = (await ask(world, "GET", f"{TABLES}/t"))[1]["metadata"]["properties"]
    for number, status in enumerate(statuses):
        assert (f"k{number}" in found) == (status == 200), "what was answered holds"
    assert statuses.count(200) >= 2


@told
async def test_a_list_comes_in_pages(world: World) -> None:
    await lake(world)
    for name in ("a", "b", "c"):
        await table(world, name, metadata=None)
    first = (await ask(world, "GET", f"{TABLES}?pageSize=2"))[1]
    assert [one["name"] for one in first["identifiers"]] == ["a", "b"]
    token = quote(first["next-page-token"], safe="")
    second = (await ask(world, "GET", f"{TABLES}?pageSize=2&pageToken={token}"))[1]
    assert [one["name"] for one in second["identifiers"]] == ["c"]
    assert second["next-page-token"] is None
