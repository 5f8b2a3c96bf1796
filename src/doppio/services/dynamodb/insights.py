"""Contributor Insights of tables and indexes: switched on and off, and listed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from doppio.kernel.context import Context, Reader, row_key
from doppio.kernel.paging import BadToken, page_token, token_key
from doppio.services.dynamodb import limits
from doppio.services.dynamodb.access import find_table
from doppio.services.dynamodb.contributors import rules
from doppio.services.dynamodb.errors import ResourceNotFoundException, ValidationException
from doppio.services.dynamodb.records import Insight, SecondaryIndex, Table

if TYPE_CHECKING:
    from doppio._stubs import dynamodb as w

_DEFAULT = "ACCESSED_AND_THROTTLED_KEYS"
LABELS = ("PartitionKey", "SortKey")


class Insights:
    """The operations on contributor insights."""

    async def update_contributor_insights(
        self, ctx: Context, req: w.UpdateContributorInsightsInput
    ) -> w.UpdateContributorInsightsOutput:
        """Count the keys of a table or index, or count them no longer."""
        on = req["ContributorInsightsAction"] == "ENABLE"
        async with ctx.write() as tx:
            table, index = await _named(tx, ctx, req["TableName"], req.get("IndexName"))
            name = "" if index is None else index.name
            old = table.insights.get(name)
            mode = req.get("ContributorInsightsMode") or (_DEFAULT if old is None else old.mode)
            # The rules of a mode are those that were made with it.
            same = old is not None and (old.on, old.mode) == (on, mode)
            insight = old if old is not None and same else Insight(mode=mode, at=ctx.now, on=on)
            tx.put(replace(table, insights={**table.insights, name: insight}))
        shown: dict[str, Any] = {
            "TableName": table.name,
            "ContributorInsightsStatus": "ENABLING" if on else "DISABLING",
            "ContributorInsightsMode": mode,
        }
        return shown | ({} if index is None else {"IndexName": index.name})  # type: ignore[return-value]

    async def describe_contributor_insights(
        self, ctx: Context, req: w.DescribeContributorInsightsInput
    ) -> w.DescribeContributorInsightsOutput:
        """Whether keys are counted, and under which rules of CloudWatch."""
        table, index = await _named(ctx.read(), ctx, req["TableName"], req.get("IndexName"))
        name = "" if index is None else index.name
        insight = table.insights.get(name)
        shown: dict[str, Any] = {"TableName": table.name, "ContributorInsightsStatus": "DISABLED"}
        if index is not None:
            shown["IndexName"] = index.name
        if insight is not None:
            shown["LastUpdateDateTime"] = insight.at
            shown["ContributorInsightsMode"] = insight.mode
            if insight.on:
                shown["ContributorInsightsStatus"] = "ENABLED"
                shown["ContributorInsightsRuleList"] = list(rules(table, index, insight).values())
        return shown  # type: ignore[return-value]

    async def list_contributor_insights(
        self, ctx: Context, req: w.ListContributorInsightsInput
    ) -> w.ListContributorInsightsOutput:
        """The tables and indexes whose keys are or were counted."""
        most = req.get("MaxResults") or limits.INSIGHTS_A_PAGE
        reader = ctx.read()
        if "TableName" in req:
            table, _ = await _named(reader, ctx, req["TableName"], None)
            rows = [table]
        else:
            rows = await _page(reader, ctx, req.get("NextToken"), most)
        shown = [one for table in rows[:most] for one in _summaries(table)]
        result: dict[str, Any] = {"ContributorInsightsSummaries": shown}
        if len(rows) > most:
            result["NextToken"] = page_token(row_key(rows[most - 1]), _scope(ctx))
        return result  # type: ignore[return-value]


async def _page(reader: Reader, ctx: Context, token: str | None, most: int) -> list[Table]:
    """Tables that have something to list, one more than a page has."""
    try:
        after = None if token is None else token_key(token, _scope(ctx))
    except BadToken as error:
        raise ValidationException("Invalid NextToken") from error
    found: list[Table] = []
    while len(found) <= most:
        rows = await reader.list(
            Table, (ctx.account, ctx.region), after=after, limit=limits.ROWS_A_READ
        )
        found += [row for row in rows if row.insights]
        if len(rows) < limits.ROWS_A_READ:
            break
        after = row_key(rows[-1])
    return found[: most + 1]


def _scope(ctx: Context) -> str:
    return f"insights/{ctx.account}/{ctx.region}"


def _summaries(table: Table) -> Iterator[dict[str, Any]]:
    for name, insight in table.insights.items():
        shown = {
            "TableName": table.name,
            "ContributorInsightsStatus": "ENABLED" if insight.on else "DISABLED",
            "ContributorInsightsMode": insight.mode,
        }
        yield {**shown, "IndexName": name} if name else shown


async def _named(
    reader: Reader, ctx: Context, name: str, index: str | None
) -> tuple[Table, SecondaryIndex | None]:
    table = await find_table(reader, ctx, name)
    if table is None or table.status == "DELETING":
        raise ResourceNotFoundException(
            f"Requested resource not found: Table: {name.rpartition('/')[2]} not found"
        )
    if index is None:
        return table, None
    found = table.index(index)
    if found is None or not found.is_global:
        raise ResourceNotFoundException(
            f"Requested resource not found: Index: {index} for table: {table.name} not found"
        )
    return table, found


async def managed_rules(ctx: Context) -> dict[str, tuple[str, ...]]:
    """The rules of all tables of the account and Region, each with the labels of its keys."""
    found: dict[str, tuple[str, ...]] = {}
    token = None
    while True:
        rows = await _page(ctx.read(), ctx, token, limits.INSIGHTS_A_PAGE)
        for table in rows[: limits.INSIGHTS_A_PAGE]:
            for name, insight in table.insights.items():
                index = table.index(name) if name else None
                if insight.on and (index is not None or not name):
                    for kind, rule in rules(table, index, insight).items():
                        found[rule] = LABELS[:1] if kind[0] == "P" else LABELS
        if len(rows) <= limits.INSIGHTS_A_PAGE:
            return found
        token = page_token(row_key(rows[limits.INSIGHTS_A_PAGE - 1]), _scope(ctx))
