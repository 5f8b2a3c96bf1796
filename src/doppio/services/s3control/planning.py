"""Preparing a job: its manifest, or what it generates, becomes tasks in the store, a page at a time.

So the job goes on as it was prepared whatever becomes of the manifest, and knows how much it has
to do. A crash goes on behind the last page.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Collection
from typing import Any

from msgspec.structs import replace

from doppio.kernel.context import Context, Tx
from doppio.services.s3control import generated
from doppio.services.s3control.limits import CONFIRMED_WITHIN, TASKS_PLANNED_A_STEP
from doppio.services.s3control.manifests import BadManifest, Line, lines_of
from doppio.services.s3control.records import PREPARES, BatchJob, Task
from doppio.services.s3control.timers import EXPIRE, key_of
from doppio.wire.errors import AwsError

PRINCIPAL = "batchoperations.s3"


class Stopped(Exception):
    """The job is not to go on now: it is to end, or another one goes first."""


class Failed(Exception):
    """The job as a whole cannot be done; code and text of why."""

    def __init__(self, code: str, message: str) -> None:
        self.code = code
        self.message = message
        super().__init__(message)


def is_passing(error: AwsError) -> bool:
    """Whether it may be better the next time: a function can have too much to do, too."""
    return (error.status >= 500 and error.status != 501) or error.status == 429


async def acting_for(ctx: Context, job: BatchJob) -> Context:
    """The job's role. Raises Failed where it cannot be had."""
    try:
        return await ctx.as_role(
            job.request["RoleArn"], PRINCIPAL, source=job.arn, session="s3-batch-operations"
        )
    except AwsError as error:
        raise Failed("AssumeRoleFailed", error.message) from error


async def change(
    ctx: Context,
    job: BatchJob,
    statuses: Collection[str],
    changed: Callable[[BatchJob], BatchJob],
    also: Callable[[Tx, BatchJob], Any] | None = None,
) -> BatchJob:
    """Change a job that has one of these statuses. Raises Stopped where it has not any more."""

    async def commit(tx: Tx) -> BatchJob:
        now = await tx.get(BatchJob, job.account, job.id)
        if now is None or now.status not in statuses:
            raise Stopped
        found = tx.put(changed(now))
        if also is not None:
            await also(tx, found)
        return found

    return await ctx.transact(commit)


async def prepare(ctx: Context, job: BatchJob) -> BatchJob:
    """Plan all tasks; the job is ready then, or waits for its confirmation."""
    job = await change(ctx, job, PREPARES, lambda now: replace(now, status="Preparing"))
    acting = await acting_for(ctx, job)
    try:
        if "Manifest" in job.request:
            job = await _read(ctx, acting, job)
        else:
            job = await _generate(ctx, acting, job)
    except BadManifest as error:
        raise Failed("InvalidManifest", str(error)) from error
    except AwsError as error:
        if is_passing(error):
            raise
        raise Failed("ManifestReadFailed", error.message) from error
    if not job.total:
        raise Failed("InvalidManifest", "The manifest has no objects.")
    if not job.request.get("ConfirmationRequired"):
        return await change(ctx, job, PREPARES, lambda now: replace(now, status="Ready"))
    at = ctx.clock.now()

    async def expires(tx: Tx, found: BatchJob) -> None:
        await tx.schedule(at + CONFIRMED_WITHIN, EXPIRE, key_of(found))

    def suspended(now: BatchJob) -> BatchJob:
        return replace(now, status="Suspended", suspended_at=at)

    return await change(ctx, job, PREPARES, suspended, expires)


async def _read(ctx: Context, acting: Context, job: BatchJob) -> BatchJob:
    """Plan the lines of a manifest that are not planned yet."""
    done = job.total
    async for page in _pages(lines_of(acting, job.request["Manifest"])):
        left = page[done:]
        done = max(done - len(page), 0)
        if left:
            job = await _plan(ctx, job, left, None)
    return job


async def _pages(lines: AsyncIterator[Line]) -> AsyncIterator[list[Line]]:
    page: list[Line] = []
    async for line in lines:
        page.append(line)
        if len(page) == TASKS_PLANNED_A_STEP:
            yield page
            page = []
    yield page


async def _generate(ctx: Context, acting: Context, job: BatchJob) -> BatchJob:
    """Plan what a generator finds behind where it has come, and keep the list if that is wanted."""
    async for lines, place in generated.lines_of(acting, job):
        job = await _plan(ctx, job, lines, place)
    generator = job.request["ManifestGenerator"]["S3JobManifestGenerator"]
    if generator["EnableManifestOutput"] and job.total and job.generated is None:
        location = await generated.write(ctx, acting, job)
        job = await change(ctx, job, PREPARES, lambda now: replace(now, generated=location))
    return job


async def _plan(
    ctx: Context, job: BatchJob, lines: list[Line], place: tuple[str, int] | None
) -> BatchJob:
    async def plan(tx: Tx, found: BatchJob) -> None:
        for number, line in enumerate(lines, job.total):
            tx.put(Task(job.id, number, *line))

    def counted(now: BatchJob) -> BatchJob:
        return replace(now, total=job.total + len(lines), place=place)

    return await change(ctx, job, PREPARES, counted, plan)
