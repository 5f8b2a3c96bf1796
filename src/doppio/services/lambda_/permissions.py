"""Which permissions an operation of Lambda takes.

Source: "Actions, resources, and condition keys for AWS Lambda".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from doppio.kernel.context import Context
from doppio.kernel.service import Need
from doppio.services.lambda_.names import named


def needs(ctx: Context, operation: str, req: Mapping[str, Any]) -> Sequence[Need]:
    """Each operation's own action, on the function that it names."""
    action = f"lambda:{operation}"
    if "FunctionName" not in req:
        return (Need(action),)
    which = named(ctx, req)
    found = [Need(action, which.qualified)]
    if operation in ("CreateFunction", "UpdateFunctionConfiguration") and "Role" in req:
        given = {"iam:passedtoservice": "lambda.amazonaws.com",
                 "iam:associatedresourcearn": which.arn}  # fmt: skip
        found.append(Need("iam:PassRole", req["Role"], given))
    return found
