"""What a function may do: its execution role, and what that must be able to do."""

from __future__ import annotations

from doppio.kernel.context import Context
from doppio.services.lambda_.errors import InvalidParameterValue
from doppio.services.lambda_.records import Config
from doppio.wire.errors import AccessDenied

SESSION = "lambda"
_LETTERS = {
    "sqs": ("sqs:SendMessage", "SendMessage on SQS"),
    "sns": ("sns:Publish", "Publish on SNS"),
}


async def check_role(ctx: Context, config: Config, function: str) -> None:
    """Raise InvalidParameterValueException for a role that Lambda may not take on.

    And for one that may not send what fails where it is to be sent.
    """
    if config.role.split(":")[4] != ctx.account:
        raise AccessDenied("Cross-account pass role is not allowed.")
    try:
        acting = await ctx.as_role(config.role, "lambda", source=function, session=SESSION)
    except AccessDenied as error:
        raise InvalidParameterValue(
            "The role defined for the function cannot be assumed by Lambda."
        ) from error
    if config.dead_letter is None:
        return
    known = _LETTERS.get(config.dead_letter.split(":")[2])
    if known is None:
        raise InvalidParameterValue(
            f"Invalid destination type: {config.dead_letter} is neither a queue nor a topic."
        )
    action, doing = known
    try:
        await acting.authorise(action, config.dead_letter)
    except AccessDenied as error:
        raise InvalidParameterValue(
            f"The provided execution role does not have permissions to call {doing}"
        ) from error
