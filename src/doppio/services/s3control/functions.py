"""Jobs that invoke a function of Lambda for each object.

Source: "Invoke AWS Lambda function" in the S3 user guide.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote_plus

from doppio.kernel.context import Context
from doppio.services.s3control.errors import BadRequest
from doppio.services.s3control.records import Task
from doppio.wire.errors import AwsError

INVOKE = "LambdaInvoke"
SCHEMAS = ("1.0", "2.0")
USER_ARGUMENTS_MAX = 10


class PermanentFailure(AwsError):
    """What a function says that it cannot do."""

    code = "PermanentFailure"
    status = 200


class TemporaryFailure(AwsError):
    """What a function says that it could not do just now."""

    code = "TemporaryFailure"
    status = 503


def check(given: Mapping[str, Any]) -> None:
    """Raise BadRequest for what no job can invoke."""
    if not given.get("FunctionArn"):
        raise BadRequest("The ARN of the function must be specified.")
    schema = given.get("InvocationSchemaVersion", "1.0")
    if schema not in SCHEMAS:
        raise BadRequest(f"The invocation schema version {schema} is not supported.")
    arguments = given.get("UserArguments") or {}
    if arguments and schema == "1.0":
        raise BadRequest("User arguments take the invocation schema version 2.0.")
    if len(arguments) > USER_ARGUMENTS_MAX:
        raise BadRequest(f"At most {USER_ARGUMENTS_MAX} user arguments can be specified.")


async def invoke(acting: Context, given: Mapping[str, Any], task: Task) -> str:
    """Have the function do a task; what it says of it. Raises what it or Lambda answers."""
    told = event(given, task, acting.partition, acting.new_id())
    result = await acting.call(
        "lambda",
        "invoke",
        {
            "FunctionName": given["FunctionArn"],
            "InvocationType": "RequestResponse",
            "Payload": json.dumps(told).encode(),
        },
    )
    answer = bytes(result.get("Payload") or b"").decode(errors="replace")
    if result.get("FunctionError"):
        raise PermanentFailure(f"Lambda returned function error: {answer}")
    return said_of(answer, told["tasks"][0]["taskId"])


def event(given: Mapping[str, Any], task: Task, partition: str, invocation: str) -> dict[str, Any]:
    """What the function is told of one task; a key is URL-encoded, as manifests have it."""
    schema = given.get("InvocationSchemaVersion", "1.0")
    one: dict[str, Any] = {
        "taskId": f"{task.number}",
        "s3Key": quote_plus(task.key, safe="/"),
        "s3VersionId": task.version or None,
    }
    job: dict[str, Any] = {"id": task.job}
    if schema == "1.0":
        is_arn = task.bucket.startswith("arn:")
        one["s3BucketArn"] = task.bucket if is_arn else f"arn:{partition}:s3:::{task.bucket}"
    else:
        one["s3Bucket"] = task.bucket
        job["userArguments"] = dict(given.get("UserArguments") or {})
    return {
        "invocationSchemaVersion": schema,
        "invocationId": invocation,
        "job": job,
        "tasks": [one],
    }


def said_of(answer: str, task: str) -> str:
    """The result of a task in a function's answer. Raises PermanentFailure, TemporaryFailure.

    What the answer leaves out is what `treatMissingKeysAs` says, and a failure for good at first.
    """
    try:
        told = json.loads(answer)
        missing = told.get("treatMissingKeysAs", "PermanentFailure")
        found = next((one for one in told["results"] if one.get("taskId") == task), None)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise PermanentFailure("Lambda returned an invalid response.") from error
    code = missing if found is None else found.get("resultCode")
    text = "" if found is None else str(found.get("resultString") or "")
    if code == "Succeeded":
        return text
    raise (TemporaryFailure if code == "TemporaryFailure" else PermanentFailure)(text)
