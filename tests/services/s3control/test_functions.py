"""What a job's function is told of a task, and what its answer means."""

from __future__ import annotations

import json
from typing import Any

import pytest

from doppio.services.s3control.functions import (
    PermanentFailure,
    TemporaryFailure,
    event,
    said_of,
)
from doppio.services.s3control.records import Task

TASK = Task("job", 7, "beans", "a b/ü+", "v1")


def test_a_function_is_told_in_the_schema_that_it_has_asked_for() -> None:
    assert event({"FunctionArn": "f"}, TASK, "aws", "i") == {
        "invocationSchemaVersion": "1.0",
        "invocationId": "i",
        "job": {"id": "job"},
        "tasks": [
            {
                "taskId": "7", "s3Key": "a+b/%C3%BC%2B", "s3VersionId": "v1",
                "s3BucketArn": "arn:aws:s3:::beans",
            }
        ],
    }  # fmt: skip
    given = {"FunctionArn": "f", "InvocationSchemaVersion": "2.0", "UserArguments": {"a": "b"}}
    told = event(given, Task("job", 7, "beans", "k"), "aws", "i")
    assert told["job"] == {"id": "job", "userArguments": {"a": "b"}}
    assert told["tasks"] == [
        {"taskId": "7", "s3Key": "k", "s3VersionId": None, "s3Bucket": "beans"}
    ]


def answer(code: str, task: str = "7", **more: Any) -> str:
    result = {"taskId": task, "resultCode": code, "resultString": "said"}
    return json.dumps({"results": [result], **more})


def test_an_answer_is_a_success_or_one_of_two_failures() -> None:
    assert said_of(answer("Succeeded"), "7") == "said"
    with pytest.raises(PermanentFailure, match="said"):
        said_of(answer("PermanentFailure"), "7")
    with pytest.raises(TemporaryFailure, match="said"):
        said_of(answer("TemporaryFailure"), "7")


def test_what_an_answer_leaves_out_is_what_it_says_of_that() -> None:
    with pytest.raises(PermanentFailure):
        said_of(answer("Succeeded", "8"), "7")
    assert said_of(answer("Succeeded", "8", treatMissingKeysAs="Succeeded"), "7") == ""
    with pytest.raises(TemporaryFailure):
        said_of(answer("Succeeded", "8", treatMissingKeysAs="TemporaryFailure"), "7")


@pytest.mark.parametrize("said", ["", "null", "[]", "{}", '{"results": 1}', '{"results": [1]}'])
def test_an_answer_that_is_none_is_a_failure(said: str) -> None:
    with pytest.raises(PermanentFailure, match="invalid response"):
        said_of(said, "7")
