"""What the operations on jobs need: jobs are judged by their ARNs; who makes one hands a role over.

Source: "Actions, resources, and condition keys for Amazon S3" in the Service Authorization
Reference.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from doppio.kernel.context import Context
from doppio.kernel.service import Granted, Need
from doppio.services.s3control.job_rules import SUSPENDED, operation_of
from doppio.services.s3control.planning import PRINCIPAL
from doppio.services.s3control.records import BatchJob

_EXISTING = frozenset(
    {"s3:existingjoboperation", "s3:existingjobpriority", "s3:jobsuspendedcause"}
)  # fmt: skip
_TAG = "aws:resourcetag/"


class _OfJobs:
    """Reads the job that a need is about, where a policy asks what it is like."""

    def knows(self, key: str) -> bool:
        """Whether a condition key is one of a job that exists."""
        return key in _EXISTING or key.startswith(_TAG)

    async def conditions(self, ctx: Context, need: Need) -> Mapping[str, Any]:
        """What the job does, its priority, why it waits, and its tags."""
        name = need.resource.rpartition("/")[2]
        job = await ctx.read().get(BatchJob, ctx.account, name)
        if job is None:
            return {}
        found: dict[str, Any] = {
            "s3:existingjoboperation": operation_of(job),
            "s3:existingjobpriority": str(job.priority),
        }
        if job.status == "Suspended":
            found["s3:jobsuspendedcause"] = SUSPENDED
        return found | {f"{_TAG}{key.lower()}": value for key, value in job.tags.items()}

    async def grants(self, ctx: Context, need: Need) -> Granted | None:
        """Jobs have no lists of access."""
        return None


_OF_JOBS = _OfJobs()


def job_needs(ctx: Context, operation: str, req: Mapping[str, Any]) -> Sequence[Need]:
    """The permissions that an operation on jobs takes."""
    base = f"arn:{ctx.partition}:s3:{ctx.region}:{ctx.account}:job/"
    if operation == "ListJobs":
        return (Need("s3:ListJobs"),)
    keys: dict[str, Any] = {}
    if "Priority" in req:
        keys["s3:requestjobpriority"] = str(req["Priority"])
    wanted = {tag["Key"]: tag.get("Value", "") for tag in req.get("Tags") or []}
    if wanted:
        keys["aws:tagkeys"] = list(wanted)
        keys |= {f"aws:requesttag/{key.lower()}": value for key, value in wanted.items()}
    if operation == "CreateJob":
        keys["s3:requestjoboperation"] = next(iter(req.get("Operation") or {}), "")
        passed = {"iam:passedtoservice": f"{PRINCIPAL}.amazonaws.com"}
        found = [Need("s3:CreateJob", "*", keys)]
        if wanted:
            found.append(Need("s3:PutJobTagging", f"{base}*", keys))
        return (*found, Need("iam:PassRole", req.get("RoleArn", "*"), passed))
    resource = f"{base}{req.get('JobId', '*')}"
    return (Need(f"s3:{operation}", resource, keys, beyond=_OF_JOBS),)
