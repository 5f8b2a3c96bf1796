"""Every statement finds its rows by the index, whatever the statistics say."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from doppio.kernel import postgres_sql as sql
from doppio.kernel.postgres_link import Link
from doppio.kernel.postgres_store import PostgresStore

from .postgres_server import schema_url
from .stores import write

STATEMENTS: dict[str, tuple[str, list[Any]]] = {
    "get": (sql.GET, [[b"k00010", b"k00020"]]),
    "scan": (sql.SCAN, [b"k00100", b"k00900", 10]),
    "scan back": (sql.SCAN_BACK, [b"k00100", b"k00900", 10]),
    "check": (sql.CHECK, [[b"k1"], [7], [b"k00100"], [b"k00200"], [3], [""]]),
    "write": (
        sql.WRITE,
        [
            1,
            [b"k00001"],
            [b"v"],
            [b"k00002"],
            [b"c"],
            [1.0],
            ["log"],
            [9],
            [b"e"],
            "channel",
            ["t"],
        ],
    ),
}


def nodes(plan: dict[str, Any]) -> list[dict[str, Any]]:
    return [plan, *(node for below in plan.get("Plans", ()) for node in nodes(below))]


@pytest.mark.parametrize("name", STATEMENTS)
@pytest.mark.parametrize("analysed", [True, False])
def test_no_statement_reads_a_whole_table(name: str, analysed: bool) -> None:
    statement, arguments = STATEMENTS[name]

    async def run() -> None:
        url = schema_url()
        store = PostgresStore(url)
        for start in range(0, 20_000, 5_000):
            await write(store, {b"k%05d" % n: b"v" for n in range(start, start + 5_000)})
        link = Link(url)
        connection = await link.connect()
        if analysed:
            await connection.execute("ANALYZE kv")
        found = await connection.fetchval("EXPLAIN (FORMAT JSON) " + statement, *arguments)
        plan = nodes(json.loads(found)[0]["Plan"])
        on_rows = [node for node in plan if node.get("Relation Name") == "kv"]
        assert {node["Node Type"] for node in on_rows} <= {"Index Scan", "ModifyTable"}
        indexes = {node["Index Name"] for node in on_rows if "Index Name" in node}
        assert indexes == {"kv_head"}
        # Rows come in the index's order; only ties of very long keys are sorted.
        assert "Sort" not in {node["Node Type"] for node in plan}
        await link.close()
        await store.close()

    asyncio.run(run())
