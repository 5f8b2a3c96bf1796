"""Batch Operations jobs: making them, looking at them, confirming and cancelling them, their tags."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, cast

from msgspec.structs import replace

from doppio.kernel import tags
from doppio.kernel.context import Context, Reader, Tx
from doppio.kernel.paging import page_of, position
from doppio.services.s3control.errors import (
    BadRequest,
    IdempotencyConflict,
    InvalidNextToken,
    JobStatusConflict,
    NotFound,
    TooManyTags,
)
from doppio.services.s3control.job_rules import check, digest, listed, plain, shown
from doppio.services.s3control.limits import JOB_TAGS_MAX, LISTED_JOBS_MAX
from doppio.services.s3control.records import CREATED, ENDS, OVER, BatchJob, Token
from doppio.services.s3control.timers import EXPIRE, go_on, key_of, over, wake_paused

if TYPE_CHECKING:
    from doppio._stubs import s3control as w

_READ_AT_ONCE = 200


class Jobs:
    """The operations on jobs."""

    async def create_job(self, ctx: Context, req: w.CreateJobRequest) -> w.CreateJobResult:
        """Make a job; it is prepared at once, and waits for its confirmation if it needs one."""
        check(req)
        wanted = _tags(req.get("Tags") or [])
        told = digest(req)
        async with ctx.write() as tx:
            token = await tx.get(Token, ctx.account, ctx.region, req["ClientRequestToken"])
            if token is not None:
                if token.digest != told:
                    raise IdempotencyConflict
                return {"JobId": token.job}
            job = BatchJob(
                account=ctx.account,
                id=ctx.new_id(),
                region=ctx.region,
                partition=ctx.partition,
                created_at=ctx.now,
                status="New",
                priority=req["Priority"],
                request=plain(req),
                token=req["ClientRequestToken"],
                tags=wanted,
            )
            tx.add(job)
            tx.put(
                Token(
                    account=ctx.account,
                    region=ctx.region,
                    token=req["ClientRequestToken"],
                    job=job.id,
                    digest=told,
                )
            )
            tx.meter("BatchOperations-Jobs")
            await go_on(tx, job)
        return {"JobId": job.id}

    async def describe_job(self, ctx: Context, req: w.DescribeJobRequest) -> w.DescribeJobResult:
        """Everything about a job."""
        job = await _existing(ctx.read(), ctx, req)
        return {"Job": cast("w.JobDescriptor", shown(job))}

    async def list_jobs(self, ctx: Context, req: w.ListJobsRequest) -> w.ListJobsResult:
        """Jobs of the last 90 days, the newest first, of the statuses that are asked for."""
        wanted = frozenset(req.get("JobStatuses") or [])
        most = min(req.get("MaxResults") or LISTED_JOBS_MAX, LISTED_JOBS_MAX)
        scope = f"{ctx.account}/{ctx.region}"
        shown, token = await page_of(
            ctx.read(), CREATED, (ctx.account, ctx.region), most=most, scope=scope,
            after=position(req.get("NextToken"), scope, InvalidNextToken),
            fits=lambda one: not wanted or one.status in wanted, step=_READ_AT_ONCE, reverse=True,
        )  # fmt: skip
        answer: dict[str, Any] = {"Jobs": [listed(one) for one in shown]}
        if token is not None:
            answer["NextToken"] = token
        return cast("w.ListJobsResult", answer)

    async def update_job_priority(
        self, ctx: Context, req: w.UpdateJobPriorityRequest
    ) -> w.UpdateJobPriorityResult:
        """Change what a job outranks."""
        async with ctx.write() as tx:
            job = await _existing(tx, ctx, req)
            if job.status in OVER or job.status in ENDS:
                raise BadRequest(f"The job is {job.status}: its priority cannot change any more.")
            tx.put(replace(job, priority=req["Priority"]))
            await wake_paused(tx, job)
        return {"JobId": job.id, "Priority": req["Priority"]}

    async def update_job_status(
        self, ctx: Context, req: w.UpdateJobStatusRequest
    ) -> w.UpdateJobStatusResult:
        """Confirm a job that waits for it, or cancel one that is not over."""
        wanted = req["RequestedJobStatus"]
        reason = req.get("StatusUpdateReason", "")
        async with ctx.write() as tx:
            job = await _existing(tx, ctx, req)
            if wanted == "Cancelled" and job.status not in OVER and job.status not in ENDS:
                job = await _cancelled(tx, job, reason)
            elif wanted == "Ready" and job.status == "Suspended":
                job = tx.put(replace(job, status="Ready", reason=reason or job.reason))
                await tx.unschedule(EXPIRE, key_of(job))
                await go_on(tx, job)
            else:
                raise JobStatusConflict(
                    f"The job cannot be {wanted} since its status is {job.status}."
                )
        answer: w.UpdateJobStatusResult = {"JobId": job.id, "Status": job.status}
        if job.reason:
            answer["StatusUpdateReason"] = job.reason
        return answer

    async def put_job_tagging(self, ctx: Context, req: w.PutJobTaggingRequest) -> None:
        """Set a job's tags, in place of those that it had."""
        wanted = _tags(req["Tags"])
        async with ctx.write() as tx:
            tx.put(replace(await _existing(tx, ctx, req), tags=wanted))

    async def get_job_tagging(
        self, ctx: Context, req: w.GetJobTaggingRequest
    ) -> w.GetJobTaggingResult:
        """A job's tags."""
        job = await _existing(ctx.read(), ctx, req)
        return {"Tags": cast("list[w.S3Tag]", tags.to_list(job.tags))}

    async def delete_job_tagging(self, ctx: Context, req: w.DeleteJobTaggingRequest) -> None:
        """Forget a job's tags."""
        async with ctx.write() as tx:
            tx.put(replace(await _existing(tx, ctx, req), tags={}))


async def _cancelled(tx: Tx, job: BatchJob, reason: str) -> BatchJob:
    """One that has not begun is over at once; else what was done is reported first."""
    job = replace(job, reason=reason or job.reason)
    if job.status == "Suspended":
        job = await over(tx, job, "Cancelled")
    else:
        job = tx.put(replace(job, status="Cancelling"))
    # What is left of it is dropped, in any case.
    await go_on(tx, job)
    return job


async def _existing(reader: Reader, ctx: Context, req: Mapping[str, Any]) -> BatchJob:
    job = await reader.get(BatchJob, ctx.account, req["JobId"])
    if job is None or job.region != ctx.region:
        raise NotFound
    return job


def _tags(given: list[Any]) -> dict[str, str]:
    try:
        found = tags.checked(tags.from_list(given))
    except tags.BadTags as error:
        raise BadRequest(str(error)) from error
    if len(found) > JOB_TAGS_MAX:
        raise TooManyTags
    return found
