"""DynamoDB tables: their life, indexes, time to live and tags."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from doppio.kernel import tags
from doppio.kernel.context import Context, Reader, Tx
from doppio.kernel.paging import BadToken, page_token, token_key
from doppio.kernel.quotas import quota
from doppio.kernel.records import table_of
from doppio.services.dynamodb import (
    changes,
    leaving,
    limits,
    policies,
    removal,
    replicas,
    schemas,
    sealing,
    streams,
    strong,
    vector_indexes,
)
from doppio.services.dynamodb.access import bytes_key, count_key, find_table
from doppio.services.dynamodb.changes import check_absent
from doppio.services.dynamodb.errors import (
    LimitExceededException,
    ResourceInUseException,
    ResourceNotFoundException,
    ValidationException,
)
from doppio.services.dynamodb.names import checked_name, table_not_found
from doppio.services.dynamodb.provisioning import at_most, warmed
from doppio.services.dynamodb.records import Table, Throughput
from doppio.services.dynamodb.removal import UNDER_WAY, check_at_rest
from doppio.services.dynamodb.replication import at, followers
from doppio.services.dynamodb.throttling import REALISTIC, TAG, UNLIMITED
from doppio.services.dynamodb.upkeep import EXPIRE, SETTLE, settled_topic

if TYPE_CHECKING:
    from doppio._stubs import dynamodb as w


class Tables:
    """The table operations."""

    async def create_table(self, ctx: Context, req: w.CreateTableInput) -> w.CreateTableOutput:
        """Create a table; it is CREATING for a moment, then ACTIVE."""
        check_absent(req)
        table = shaped(ctx, req)
        if "ResourcePolicy" in req:
            policies.check_document(req["ResourcePolicy"], ctx.partition)
        async with ctx.write() as tx:
            await check_room(tx, ctx, table.name)
            seal = await sealing.made_key(ctx, req.get("SSESpecification", {}), table.name)
            table = replace(table, seal=seal)
            if streams.wanted(req.get("StreamSpecification", {})):
                table = await streams.opened(ctx, tx, table, req["StreamSpecification"])
            if "ResourcePolicy" in req:
                await policies.hang(tx, table.arn, table.account, req["ResourcePolicy"])
            tx.put(table)
            await tx.schedule(ctx.now + limits.SETTLE, SETTLE, table.arn)
        return {"TableDescription": schemas.to_wire(table, {})}  # type: ignore[typeddict-item]

    async def describe_table(
        self, ctx: Context, req: w.DescribeTableInput
    ) -> w.DescribeTableOutput:
        """A table, its indexes, and how much is in it.

        A change that is under way is given a moment: clients that saw CREATING would sleep 20
        seconds before they look again.
        """
        name = req["TableName"]
        under_way = ctx.ticket(settled_topic(ctx, name))  # drawn before looking
        table = await existing(ctx.read(), ctx, name)
        if table.status in UNDER_WAY and ctx.clock.state.rate > 0:
            await under_way.wait(ctx.clock, until=ctx.now + limits.DESCRIBE_WAIT)
            table = await existing(ctx.read(), ctx, name)
        return {"Table": await described(ctx.read(), table)}  # type: ignore[typeddict-item]

    async def list_tables(self, ctx: Context, req: w.ListTablesInput) -> w.ListTablesOutput:
        """Table names in order, by page."""
        most = req.get("Limit", limits.LIST_TABLES_MAX)
        start = req.get("ExclusiveStartTableName")
        after = None
        if start is not None:
            after = table_of(Table).key_of((ctx.account, ctx.region, start))
        rows = await ctx.read().list(Table, (ctx.account, ctx.region), after=after, limit=most + 1)
        shown: dict[str, Any] = {"TableNames": [table.name for table in rows[:most]]}
        if len(rows) > most:
            shown["LastEvaluatedTableName"] = rows[most - 1].name
        return shown  # type: ignore[return-value]

    async def update_table(self, ctx: Context, req: w.UpdateTableInput) -> w.UpdateTableOutput:
        """Change billing, capacity, class, protection, or one index."""
        check_absent(req)
        if not req.keys() - {"TableName", "AttributeDefinitions"}:
            raise ValidationException(
                "At least one of ProvisionedThroughput, BillingMode, UpdateStreamEnabled, "
                "GlobalSecondaryIndexUpdates or SSESpecification or ReplicaUpdates is required"
            )
        async with ctx.write() as tx:
            table = await existing(tx, ctx, req["TableName"])
            check_at_rest(table)
            changed, waits = await _changed(ctx, tx, table, req)
            tx.put(replace(changed, status="UPDATING"))
            if not waits:
                await tx.schedule(ctx.now + limits.SETTLE, SETTLE, table.arn)
            shown = await described(tx, replace(changed, status="UPDATING"))
        return {"TableDescription": shown}  # type: ignore[typeddict-item]

    async def delete_table(self, ctx: Context, req: w.DeleteTableInput) -> w.DeleteTableOutput:
        """Delete a table with its items and indexes."""
        async with ctx.write() as tx:
            table = await removal.remove(ctx, tx, await existing(tx, ctx, req["TableName"]))
            shown = await described(tx, table)
        return {"TableDescription": shown}  # type: ignore[typeddict-item]

    async def describe_time_to_live(
        self, ctx: Context, req: w.DescribeTimeToLiveInput
    ) -> w.DescribeTimeToLiveOutput:
        """Whether items of a table expire, and by which attribute."""
        table = await existing(ctx.read(), ctx, req["TableName"])
        shown: dict[str, Any] = {"TimeToLiveStatus": table.ttl_status}
        if table.ttl_attribute is not None:
            shown["AttributeName"] = table.ttl_attribute
        return {"TimeToLiveDescription": shown}  # type: ignore[typeddict-item]

    async def update_time_to_live(
        self, ctx: Context, req: w.UpdateTimeToLiveInput
    ) -> w.UpdateTimeToLiveOutput:
        """Let items expire by an attribute, or no longer."""
        wish = req["TimeToLiveSpecification"]
        name, on = wish["AttributeName"], wish["Enabled"]
        async with ctx.write() as tx:
            table = await existing(tx, ctx, req["TableName"])
            if table.status != "UPDATING":
                check_at_rest(table)
            if on:
                strong.check_no_expiry(table)
            if on == (table.ttl_status == "ENABLED"):
                raise ValidationException(
                    f"TimeToLive is already {'enabled' if on else 'disabled'}"
                )
            if not on and name != table.ttl_attribute:
                raise ValidationException(
                    "TimeToLive is active on a different AttributeName: current AttributeName "
                    f"is {table.ttl_attribute}"
                )
            for one in (table, *await followers(tx, table)):
                await _set_expiry(at(tx, one.region), one, name if on else None)
        return {"TimeToLiveSpecification": {"AttributeName": name, "Enabled": on}}

    async def describe_limits(self, ctx: Context, req: Mapping[str, Any]) -> w.DescribeLimitsOutput:
        """The account's capacity limits: AWS's defaults."""
        return {
            "AccountMaxReadCapacityUnits": 80_000,
            "AccountMaxWriteCapacityUnits": 80_000,
            "TableMaxReadCapacityUnits": 40_000,
            "TableMaxWriteCapacityUnits": 40_000,
        }

    async def describe_endpoints(
        self, ctx: Context, req: Mapping[str, Any]
    ) -> w.DescribeEndpointsResponse:
        """Where to reach DynamoDB: here."""
        address = ctx.kernel.endpoint.partition("://")[2]
        return {"Endpoints": [{"Address": address, "CachePeriodInMinutes": 1_440}]}

    async def tag_resource(self, ctx: Context, req: w.TagResourceInput) -> None:
        """Put tags on a table."""
        async with ctx.write() as tx:
            table = await _by_arn(tx, ctx, req["ResourceArn"])
            tx.put(replace(table, tags=_tags(req["Tags"], table.tags)))

    async def untag_resource(self, ctx: Context, req: w.UntagResourceInput) -> None:
        """Take tags off a table."""
        async with ctx.write() as tx:
            table = await _by_arn(tx, ctx, req["ResourceArn"])
            tx.put(replace(table, tags=tags.without(table.tags, req["TagKeys"])))

    async def list_tags_of_resource(
        self, ctx: Context, req: w.ListTagsOfResourceInput
    ) -> w.ListTagsOfResourceOutput:
        """The tags of a table, ten a page."""
        table = await _by_arn(ctx.read(), ctx, req["ResourceArn"])
        scope = f"tags/{table.arn}"
        first = 0
        if req.get("NextToken"):
            try:
                first = int(token_key(req["NextToken"], scope))
            except (BadToken, ValueError) as error:
                raise ValidationException("Invalid NextToken") from error
        rows = tags.to_list(table.tags)
        shown: dict[str, Any] = {"Tags": rows[first : first + limits.TAGS_A_PAGE]}
        if first + limits.TAGS_A_PAGE < len(rows):
            position = str(first + limits.TAGS_A_PAGE).encode()
            shown["NextToken"] = page_token(position, scope)
        return shown  # type: ignore[return-value]


async def _changed(
    ctx: Context, tx: Tx, table: Table, req: Mapping[str, Any]
) -> tuple[Table, bool]:
    """The table as UpdateTable wants it; whether it is UPDATING until work on replicas is done."""
    if leaving.is_asked(req):
        return await leaving.asked(tx, table, req)
    changed = await changes.changed_table(ctx, tx, table, req)
    await replicas.follow(tx, table, req)
    changed = await strong.prepared(tx, changed, req)
    return await replicas.changed(tx, changed, req.get("ReplicaUpdates", []))


async def _set_expiry(tx: Tx, table: Table, name: str | None) -> None:
    """Let items of a table expire by an attribute, or no longer."""
    status = "DISABLED" if name is None else "ENABLED"
    tx.put(replace(table, ttl_attribute=name, ttl_status=status))
    if name is not None:
        await tx.schedule(tx.context.now, EXPIRE, table.arn)
    else:
        await tx.unschedule(EXPIRE, table.arn)


def shaped(ctx: Context, req: Mapping[str, Any]) -> Table:
    """The table that a request describes, still CREATING. Raises ValidationException."""
    name = checked_name(req["TableName"])
    types = schemas.attribute_types(req)
    key = schemas.key_parts(req.get("KeySchema", []), types)
    on_demand = req.get("BillingMode") == "PAY_PER_REQUEST"
    found = schemas.indexes(req, key, types, on_demand=on_demand)
    others = tuple(one.name for one in found)
    nearby = vector_indexes.made(ctx, req.get("VectorIndexes", ()), others)
    searched = {name for one in nearby for name, _ in one.schema}
    schemas.check_all_used({one: types[one] for one in types if one not in searched}, key, found)
    bought = schemas.throughput(req.get("ProvisionedThroughput"), on_demand=on_demand, what="")
    return Table(
        account=ctx.account, region=ctx.region, name=name, id=ctx.new_id(),
        created_at=ctx.now, status="CREATING", key=key, attributes=types, indexes=found,
        vectors=nearby,
        on_demand=on_demand, on_demand_since=ctx.now if on_demand else None,
        throughput=bought,
        at_most=at_most(req.get("OnDemandThroughput"), Throughput(), on_demand=on_demand),
        warm=warmed(req.get("WarmThroughput"), bought, "table"),
        table_class=req.get("TableClass"),
        deletion_protection=req.get("DeletionProtectionEnabled", False),
        tags=_tags(req.get("Tags", ()), {}),
    )  # fmt: skip


async def check_room(tx: Tx, ctx: Context, name: str) -> None:
    """Raise unless there is room for a table of a name."""
    if await find_table(tx, ctx, name) is not None:
        raise ResourceInUseException(f"Table already exists: {name}")
    most = await quota(tx, limits.TABLES)
    rows = await tx.list(Table, (ctx.account, ctx.region), limit=most)
    if len(rows) >= most:
        raise LimitExceededException(
            f"Subscriber limit exceeded: There is a limit of {most} tables per subscriber"
        )


async def existing(reader: Reader, ctx: Context, name: str) -> Table:
    """A table in whatever state. Raises ResourceNotFoundException."""
    table = await find_table(reader, ctx, name)
    if table is None:
        raise table_not_found(name)
    return table


async def described(reader: Reader, table: Table) -> dict[str, Any]:
    """A table with its counts."""
    counts = {}
    for index in (None, *table.indexes):
        items = await reader.raw.counter(count_key(table, index))
        size = await reader.raw.counter(bytes_key(table, index))
        counts["" if index is None else index.name] = (int(items), int(size))
    found = schemas.to_wire(table, counts)
    if table.vectors:
        found["VectorIndexes"] = await vector_indexes.described(reader, table)
    if table.replication is not None:
        found |= await replicas.shown(reader, table)
    return found


async def _by_arn(reader: Reader, ctx: Context, arn: str) -> Table:
    table = await find_table(reader, ctx, arn)
    if table is None or table.arn != arn:
        raise ResourceNotFoundException(
            f"Requested resource not found: ResourcArn: {arn} not found"
        )
    return table


def _tags(given: Any, old: Mapping[str, str]) -> dict[str, str]:
    try:
        found = tags.merged(old, tags.from_list(given))
        if found.get(TAG, REALISTIC) not in (REALISTIC, UNLIMITED):
            raise ValidationException(
                f"{schemas.BAD}In this cloud the tag {TAG} is {REALISTIC} or {UNLIMITED}"
            )
        return found
    except tags.BadTags as error:
        raise ValidationException(f"One or more parameter values were invalid: {error}") from error
