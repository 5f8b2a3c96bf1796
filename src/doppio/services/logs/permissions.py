"""Which permission an operation takes, on which resource.

A group's actions are asked on `log-group:NAME:log-stream:`, as AWS's refusals show: a policy names a
group with `:*` behind it. Source: "Actions, resources, and condition keys for Amazon CloudWatch Logs".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from doppio.kernel.context import Context
from doppio.kernel.service import Need

_ON_STREAM = frozenset({"CreateLogStream", "DeleteLogStream", "PutLogEvents", "GetLogEvents"})
_ON_ALL = frozenset(
    {"PutResourcePolicy", "DeleteResourcePolicy", "DescribeResourcePolicies", "TestMetricFilter"}
)
_BY_ARN = frozenset({"TagResource", "UntagResource", "ListTagsForResource"})


def policies_arn(ctx: Context) -> str:
    """On what the account's resource policies hang, all together."""
    return f"arn:{ctx.partition}:logs:{ctx.region}:{ctx.account}:resource-policies"


def needs(ctx: Context, operation: str, req: Mapping[str, Any]) -> Sequence[Need]:
    """The action, on the group or the stream."""
    action = f"logs:{operation}"
    if operation in _ON_ALL:
        return (Need(action),)
    tags = req.get("tags") if operation != "UntagLogGroup" else None
    keys = {f"aws:requesttag/{key.lower()}": value for key, value in (tags or {}).items()}
    if operation in _BY_ARN:
        # The tags of what another account has are nobody's to ask for here: it is not found.
        return (Need(action, req["resourceArn"].removesuffix(":*"), keys),)
    base = f"arn:{ctx.partition}:logs:{ctx.region}:{ctx.account}:log-group:"
    name = req.get("logGroupName") or ""
    identifier = str(req.get("logGroupIdentifier") or "")
    if not name and identifier:
        parts = identifier.split(":")
        name = parts[6] if len(parts) > 6 else identifier
    stream = req["logStreamName"] if operation in _ON_STREAM else ""
    resource = f"{base}{name}:log-stream:{stream}"
    need = Need(action, resource, keys, policies_arn(ctx))
    if operation == "PutSubscriptionFilter":
        need = need._replace(context={"logs:destinationarn": req["destinationArn"]})
        if req.get("roleArn"):
            passed = {"iam:passedtoservice": "logs.amazonaws.com"}
            return (need, Need("iam:PassRole", req["roleArn"], passed))
        return (need,)
    if operation == "CreateLogGroup" and keys:
        return (need, Need("logs:TagResource", resource, keys))
    return (need,)
