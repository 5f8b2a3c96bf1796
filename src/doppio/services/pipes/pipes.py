"""Pipes: made, changed, started, stopped, shown and deleted."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from doppio.kernel import tags
from doppio.kernel.context import Context, Reader, Tx
from doppio.kernel.paging import begins, page_of, position
from doppio.kernel.service import Need
from doppio.services.pipes import limits
from doppio.services.pipes.definition import check, check_log
from doppio.services.pipes.errors import Conflict, NotFound, QuotaExceeded, Validation
from doppio.services.pipes.flow import changed
from doppio.services.pipes.journal import open_log
from doppio.services.pipes.records import Pipe, PipeChanged

if TYPE_CHECKING:
    from doppio._stubs import pipes as w

_GIVEN = (
    "Description", "Source", "SourceParameters", "Enrichment", "EnrichmentParameters", "Target", "TargetParameters", "RoleArn", "LogConfiguration",
)  # fmt: skip
_BUSY = frozenset({"CREATING", "UPDATING", "STARTING", "STOPPING", "DELETING"})


class Pipes:
    """The operations of EventBridge Pipes."""

    async def create_pipe(self, ctx: Context, req: w.CreatePipeRequest) -> w.CreatePipeResponse:
        """Make a pipe; it flows once it is RUNNING."""
        await _check(ctx, req)
        await open_log(ctx, req.get("LogConfiguration") or {})
        async with ctx.write() as tx:
            old = await tx.get(Pipe, ctx.account, ctx.region, req["Name"])
            if old is not None:
                raise Conflict(f"Pipe {req['Name']} already exists.")
            there = await tx.list(Pipe, (ctx.account, ctx.region), limit=limits.PIPES_MAX)
            if len(there) >= limits.PIPES_MAX:
                raise QuotaExceeded(
                    f"You have exceeded the quota of {limits.PIPES_MAX} pipes.",
                    resourceId=req["Name"], resourceType="AWS::Pipes::Pipe",
                    serviceCode="pipes",
                )  # fmt: skip
            pipe = Pipe(
                account=ctx.account,
                region=ctx.region,
                name=req["Name"],
                partition=ctx.partition,
                created_at=ctx.now,
                modified_at=ctx.now,
                given={name: req[name] for name in _GIVEN if name in req},  # type: ignore[literal-required]
                desired=req.get("DesiredState", "RUNNING"),
                tags=_merged({}, req.get("Tags") or {}),
            )
            _put(tx, pipe)
        return _summary(pipe)  # type: ignore[return-value]

    async def update_pipe(self, ctx: Context, req: w.UpdatePipeRequest) -> w.UpdatePipeResponse:
        """Change a pipe; what is not given stays, and its source always does."""
        check_log(req.get("LogConfiguration") or {})
        await open_log(ctx, req.get("LogConfiguration") or {})
        async with ctx.write() as tx:
            old = await _idle(tx, ctx, req["Name"])
            given = {**old.given, **{name: req[name] for name in _GIVEN if name in req}}  # type: ignore[literal-required]
            source = {
                **(old.given.get("SourceParameters") or {}), **(req.get("SourceParameters") or {}),
            }  # fmt: skip
            stream = "DynamoDBStreamParameters"
            before = (old.given.get("SourceParameters") or {}).get(stream)
            if before and stream in source:
                # Where a pipe began is what a change does not name.
                source[stream] = {"StartingPosition": before["StartingPosition"], **source[stream]}
            if source:
                given["SourceParameters"] = source
            await _check(ctx, {**req, **given})
            pipe = replace(
                old,
                given=given,
                desired=req.get("DesiredState", old.desired),
                current="UPDATING",
                reason=None,
                modified_at=ctx.now,
            )
            _put(tx, pipe)
        return _summary(pipe)  # type: ignore[return-value]

    async def start_pipe(self, ctx: Context, req: w.StartPipeRequest) -> w.StartPipeResponse:
        """Let a pipe flow."""
        return await _turn(ctx, req["Name"], "RUNNING", "STARTING")  # type: ignore[return-value]

    async def stop_pipe(self, ctx: Context, req: w.StopPipeRequest) -> w.StopPipeResponse:
        """Let a pipe flow no more; what is in its source stays there."""
        return await _turn(ctx, req["Name"], "STOPPED", "STOPPING")  # type: ignore[return-value]

    async def delete_pipe(self, ctx: Context, req: w.DeletePipeRequest) -> w.DeletePipeResponse:
        """Delete a pipe."""
        async with ctx.write() as tx:
            old = await _existing(tx, ctx, req["Name"])
            pipe = replace(old, desired="DELETED", current="DELETING", modified_at=ctx.now)
            _put(tx, pipe)
        return _summary(pipe)  # type: ignore[return-value]

    async def describe_pipe(
        self, ctx: Context, req: w.DescribePipeRequest
    ) -> w.DescribePipeResponse:
        """A pipe."""
        pipe = await _existing(ctx.read(), ctx, req["Name"])
        shown = {**_summary(pipe), **pipe.given, "Tags": pipe.tags}
        if pipe.reason is not None:
            shown["StateReason"] = pipe.reason
        return shown  # type: ignore[return-value]

    async def list_pipes(self, ctx: Context, req: w.ListPipesRequest) -> w.ListPipesResponse:
        """The account's pipes, by name."""
        prefix, most = req.get("NamePrefix", ""), req.get("Limit", limits.LISTED_MAX)
        scope = f"pipes/{ctx.account}/{ctx.region}/{prefix}"
        after = position(req.get("NextToken"), scope, lambda: Validation("Invalid NextToken."))
        shown, token = await page_of(
            ctx.read(), Pipe, (ctx.account, ctx.region), most=most, scope=scope, after=after,
            fits=lambda one: _wanted(one, req), step=limits.LISTED_MAX, **begins(prefix),
        )  # fmt: skip
        result: dict[str, Any] = {"Pipes": [_listed(one) for one in shown]}
        if token is not None:
            result["NextToken"] = token
        return result  # type: ignore[return-value]

    async def tag_resource(self, ctx: Context, req: w.TagResourceRequest) -> None:
        """Put tags on a pipe, over those of the same keys."""
        async with ctx.write() as tx:
            pipe = await _of_arn(tx, ctx, req["resourceArn"])
            tx.put(replace(pipe, tags=_merged(pipe.tags, req["tags"])))

    async def untag_resource(self, ctx: Context, req: w.UntagResourceRequest) -> None:
        """Take tags off a pipe."""
        async with ctx.write() as tx:
            pipe = await _of_arn(tx, ctx, req["resourceArn"])
            tx.put(replace(pipe, tags=tags.without(pipe.tags, req["tagKeys"])))

    async def list_tags_for_resource(
        self, ctx: Context, req: w.ListTagsForResourceRequest
    ) -> w.ListTagsForResourceResponse:
        """The tags of a pipe."""
        return {"tags": (await _of_arn(ctx.read(), ctx, req["resourceArn"])).tags}


async def _check(ctx: Context, given: Mapping[str, Any]) -> None:
    check(given, frozenset(ctx.kernel.services))
    await ctx.authorise(
        "iam:PassRole", given["RoleArn"], {"iam:passedtoservice": "pipes.amazonaws.com"}
    )


def _put(tx: Tx, pipe: Pipe) -> None:
    """Store a pipe, and have it looked at."""
    tx.put(pipe)
    tx.wake(changed(pipe.arn))
    tx.emit(PipeChanged(key=(pipe.account, pipe.region, pipe.name)))


async def _turn(ctx: Context, name: str, desired: str, current: str) -> dict[str, Any]:
    async with ctx.write() as tx:
        old = await _idle(tx, ctx, name)
        if old.desired == desired and old.current == desired:
            return _summary(old)
        pipe = replace(old, desired=desired, current=current, reason=None, modified_at=ctx.now)
        _put(tx, pipe)
    return _summary(pipe)


async def _existing(reader: Reader, ctx: Context, name: str) -> Pipe:
    found = await reader.get(Pipe, ctx.account, ctx.region, name)
    if found is None:
        raise NotFound(f"Pipe {name} does not exist.")
    return found


async def _idle(tx: Tx, ctx: Context, name: str) -> Pipe:
    found = await _existing(tx, ctx, name)
    if found.current in _BUSY:
        raise Conflict(f"Pipe {name} is {found.current} and cannot be changed now.")
    return found


async def _of_arn(reader: Reader, ctx: Context, arn: str) -> Pipe:
    parts = arn.split(":", 5)
    kind, _, name = parts[-1].partition("/")
    if len(parts) != 6 or kind != "pipe" or parts[4] != ctx.account:
        raise NotFound(f"Resource {arn} does not exist.")
    return await _existing(reader, ctx, name)


def _wanted(pipe: Pipe, req: Mapping[str, Any]) -> bool:
    return (
        pipe.name.startswith(req.get("NamePrefix", ""))
        and pipe.given["Source"].startswith(req.get("SourcePrefix", ""))
        and pipe.given["Target"].startswith(req.get("TargetPrefix", ""))
        and req.get("DesiredState") in {None, pipe.desired}
        and req.get("CurrentState") in {None, pipe.current}
    )


def _merged(old: Mapping[str, str], new: Mapping[str, str]) -> dict[str, str]:
    try:
        return tags.merged(old, new)
    except tags.BadTags as error:
        raise Validation(str(error)) from error


def _summary(pipe: Pipe) -> dict[str, Any]:
    return {
        "Arn": pipe.arn,
        "Name": pipe.name,
        "DesiredState": pipe.desired,
        "CurrentState": pipe.current,
        "CreationTime": pipe.created_at,
        "LastModifiedTime": pipe.modified_at,
    }


def _listed(pipe: Pipe) -> dict[str, Any]:
    shown = {**_summary(pipe), "Source": pipe.given["Source"], "Target": pipe.given["Target"]}
    if pipe.reason is not None:
        shown["StateReason"] = pipe.reason
    return shown


def needs(ctx: Context, operation: str, req: Mapping[str, Any]) -> list[Need]:
    """The action and the pipe that an operation touches.

    Source: "Actions, resources, and condition keys for Amazon EventBridge Pipes".
    """
    action = f"pipes:{operation}"
    given = req.get("Tags") or req.get("tags") or {}
    keys: dict[str, Any] = {f"aws:requesttag/{key.lower()}": one for key, one in given.items()}
    if given or req.get("tagKeys"):
        keys["aws:tagkeys"] = [*given, *req.get("tagKeys", ())]
    if "resourceArn" in req:
        return [Need(action, req["resourceArn"], keys)]
    if "Name" in req:
        arn = f"arn:{ctx.partition}:pipes:{ctx.region}:{ctx.account}:pipe/{req['Name']}"
        tagged = [Need("pipes:TagResource", arn, keys)] if given else []
        return [Need(action, arn, keys), *tagged]
    return [Need(action)]
