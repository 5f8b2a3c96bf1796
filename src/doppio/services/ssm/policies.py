"""Parameter policies: when a parameter ends, and when EventBridge is told that it will, or stays.

Source: "Assigning parameter policies in Parameter Store" and "Setting up notifications or
triggering actions based on Parameter Store events".
"""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from doppio.kernel.context import Context, Tx
from doppio.kernel.jobs import Job
from doppio.kernel.listening import tell
from doppio.services.ssm import limits
from doppio.services.ssm.errors import (
    InvalidPolicyAttribute,
    InvalidPolicyType,
    PoliciesLimitExceeded,
)
from doppio.services.ssm.records import Parameter, Version

NOTIFY = "ssm.notify"
EXPIRATION = "Expiration"
_NOTIFYING = {"ExpirationNotification": "Before", "NoChangeNotification": "After"}
_UNITS = {"Days": timedelta(days=1), "Hours": timedelta(hours=1)}


class Policy(NamedTuple):
    """One policy: its type, what it says, and its moment (for notices: the time before or after)."""

    kind: str
    content: dict[str, Any]
    at: datetime | None = None
    span: timedelta | None = None


class Notice(NamedTuple):
    """When EventBridge is told of a policy."""

    at: datetime
    policy: Policy


def policies_of(text: str | None) -> list[Policy]:
    """The policies of a parameter. Raises what is wrong with them."""
    if not text:
        return []
    try:
        listed = json.loads(text)
        given = [(one["Type"], one["Attributes"], one) for one in listed]
    except (ValueError, TypeError, KeyError) as error:
        raise InvalidPolicyAttribute("The policies are not a list of policies in JSON.") from error
    if len(given) > limits.POLICIES_MAX:
        raise PoliciesLimitExceeded
    found = [_policy(kind, attributes, one) for kind, attributes, one in given]
    ends = any(one.kind == EXPIRATION for one in found)
    if not ends and any(one.kind == "ExpirationNotification" for one in found):
        raise InvalidPolicyAttribute("ExpirationNotification needs an Expiration policy.")
    return found


def _policy(kind: str, attributes: Any, one: dict[str, Any]) -> Policy:
    if kind in _NOTIFYING:
        member = _NOTIFYING[kind]
        try:
            count, unit = int(attributes[member]), _UNITS[attributes["Unit"]]
        except (KeyError, TypeError, ValueError) as error:
            raise InvalidPolicyAttribute(
                f"{kind} needs {member}, a whole number, and Unit: Days or Hours."
            ) from error
        if not 0 < count <= limits.POLICY_SPAN_MAX:
            raise InvalidPolicyAttribute(f"{member} must be from 1 to {limits.POLICY_SPAN_MAX}.")
        return Policy(kind, one, span=count * unit)
    if kind != EXPIRATION:
        raise InvalidPolicyType(f"Unsupported policy type: {kind}")
    try:
        moment = datetime.fromisoformat(str(attributes["Timestamp"]))
    except (KeyError, TypeError, ValueError) as error:
        raise InvalidPolicyAttribute("Expiration needs a Timestamp in ISO 8601.") from error
    return Policy(kind, one, at=moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC))


def expiry(policies: list[Policy]) -> datetime | None:
    """When a parameter ends."""
    return next((one.at for one in reversed(policies) if one.at is not None), None)


def notices(policies: list[Policy], modified_at: datetime) -> list[Notice]:
    """What is told of a version of a parameter, in order of time."""
    ends = expiry(policies)
    found = []
    for one in policies:
        if one.kind == "NoChangeNotification" and one.span is not None:
            found.append(Notice(modified_at + one.span, one))
        elif one.span is not None and ends is not None:
            found.append(Notice(ends - one.span, one))
    return sorted(found, key=lambda notice: notice.at)


async def plan_notices(tx: Tx, parameter: Parameter, version: Version) -> None:
    """Tell what the policies of a new version want told. What lies in the past is told at once."""
    due = notices(policies_of(version.policies), version.modified_at)
    if not due:
        await tx.unschedule(NOTIFY, parameter.arn)
        return
    await tx.schedule(
        due[0].at, NOTIFY, parameter.arn, parameter=parameter.name, version=parameter.version, nth=0
    )


async def notify(ctx: Context, job: Job) -> None:
    """A moment of which a policy wants EventBridge told; the version must still be the newest."""
    nth = job.arguments["nth"]
    async with ctx.write() as tx:
        parameter = await tx.get(Parameter, job.account, job.region, job.arguments["parameter"])
        if parameter is None or parameter.version != job.arguments["version"]:
            return
        version = await tx.get(
            Version, parameter.account, parameter.region, parameter.name, parameter.version
        )
        if version is None:
            return
        due = notices(policies_of(version.policies), version.modified_at)
        await tell_action(tx, parameter, due[nth].policy)
        if nth + 1 < len(due):
            await tx.schedule(
                due[nth + 1].at, NOTIFY, job.key, parameter=parameter.name,
                version=parameter.version, nth=nth + 1,
            )  # fmt: skip


async def tell_action(tx: Tx, parameter: Parameter, policy: Policy) -> None:
    """Tell EventBridge that a policy has acted."""
    detail = {
        "parameter-name": parameter.name,
        "parameter-type": parameter.kind,
        "policy-type": policy.kind,
        "policy-content": json.dumps(policy.content, separators=(",", ":")),
        "action-status": "Success",
    }
    place = (parameter.account, parameter.region)
    await tell(
        tx, place, "aws.ssm", "Parameter Store Policy Action", detail, [parameter.arn]
    )  # fmt: skip


async def tell_change(tx: Tx, parameter: Parameter, operation: str, description: str) -> None:
    """Tell EventBridge that a parameter was changed."""
    detail = {"operation": operation, "name": parameter.name, "type": parameter.kind}
    if description:
        detail["description"] = description
    place = (parameter.account, parameter.region)
    await tell(tx, place, "aws.ssm", "Parameter Store Change", detail, [parameter.arn])
