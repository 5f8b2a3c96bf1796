"""What a configuration of an Object Lambda access point may say: pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

_FUNCTION = re.compile(
    r"arn:[^:]+:lambda:[a-z0-9-]+:\d{12}:function:[A-Za-z0-9_-]+(:[A-Za-z0-9_$-]+)?"
)


def configuration_problem(given: Mapping[str, Any], place: str) -> str | None:
    """Why a configuration cannot be, in our words; None where it can.

    `place` is Region and account as an ARN has them: access point and functions are of the same.
    An action has one transformation at most.
    """
    if f":s3{place}accesspoint/" not in given["SupportingAccessPoint"]:
        return "The supporting access point must be in the same account and Region"
    if not given["TransformationConfigurations"]:
        return "At least one transformation configuration is required"
    seen: set[str] = set()
    for transformation in given["TransformationConfigurations"]:
        actions = transformation["Actions"]
        if not actions:
            return "A transformation configuration must have at least one action"
        if len(set(actions)) < len(actions) or not seen.isdisjoint(actions):
            return "An action can be in one transformation configuration only"
        seen.update(actions)
        content = transformation["ContentTransformation"]
        function = (content.get("AwsLambda") or {}).get("FunctionArn", "")
        if _FUNCTION.fullmatch(function) is None:
            return "The function ARN is not valid"
        if f":lambda{place}" not in function:
            return "The Lambda function must be in the same account and Region"
    return None
