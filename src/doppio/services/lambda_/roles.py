"""What a function may do: its execution role, and what that must be able to do."""

from __future__ import annotations

from typing import NamedTuple

from doppio.kernel.context import Context
from doppio.services.lambda_.errors import InvalidParameterValue
from doppio.services.lambda_.names import Named
from doppio.services.lambda_.records import Config
from doppio.wire.errors import AccessDenied

SESSION = "lambda"


class _Target(NamedTuple):
    """What it takes to send to a destination."""

    action: str
    service: str


_TARGETS = {
    "sqs": _Target("sqs:SendMessage", "SQS"),
    "sns": _Target("sns:Publish", "SNS"),
    "lambda": _Target("lambda:InvokeFunction", "Lambda"),
    "events": _Target("events:PutEvents", "EventBridge"),
    "s3": _Target("s3:PutObject", "S3"),
}


async def acting_as(ctx: Context, role: str, function: str) -> Context:
    """A function's role, as Lambda takes it on. Raises InvalidParameterValueException."""
    try:
        return await ctx.as_role(role, "lambda", source=function, session=SESSION)
    except AccessDenied as error:
        raise InvalidParameterValue(
            "The role defined for the function cannot be assumed by Lambda."
        ) from error


async def check_role(ctx: Context, config: Config, function: str) -> None:
    """Raise InvalidParameterValueException for a role that Lambda may not take on.

    And for one that may not send what fails where it is to be sent.
    """
    if config.role.split(":")[4] != ctx.account:
        raise AccessDenied("Cross-account pass role is not allowed.")
    acting = await acting_as(ctx, config.role, function)
    if config.dead_letter is None:
        return
    known = _TARGETS.get(config.dead_letter.split(":")[2])
    if known is None or known.service not in ("SQS", "SNS"):
        raise InvalidParameterValue(
            f"Invalid destination type: {config.dead_letter} is neither a queue nor a topic."
        )
    try:
        await acting.authorise(known.action, config.dead_letter)
    except AccessDenied as error:
        raise InvalidParameterValue(
            "The provided execution role does not have permissions to call "
            f"{known.action.partition(':')[2]} on {known.service}"
        ) from error


async def check_destination(acting: Context, arn: str, which: Named) -> None:
    """Raise InvalidParameterValueException for a destination to which a role may not send."""
    known = _TARGETS.get(arn.split(":")[2])
    if known is None:
        raise InvalidParameterValue(
            f"The provided destination {arn} is invalid: it is no queue, topic, function, event "
            "bus or bucket."
        )
    if arn in (which.arn, which.qualified):
        raise InvalidParameterValue("A function cannot be its own destination.")
    resource = f"{arn}/*" if known.service == "S3" else arn
    try:
        await acting.authorise(known.action, resource)
    except AccessDenied as error:
        raise InvalidParameterValue(
            "The function's execution role does not have permissions to call "
            f"{known.action.partition(':')[2]} on {arn}"
        ) from error
