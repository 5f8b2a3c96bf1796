"""What runs Python handlers: its errors and its context, as AWS's runtime has them."""

from __future__ import annotations

import json
import logging
import sys
from pathlib import Path
from typing import Any

import pytest

from doppio.machine.bootstraps import python


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.syspath_prepend(str(tmp_path))
    return tmp_path


def fault(name: str) -> tuple[str, str]:
    with pytest.raises(python.Fault) as raised:
        python.handler_of(name)
    return raised.value.kind, raised.value.text


def test_a_handler_is_a_function_of_a_module_also_in_a_folder(package: Path) -> None:
    (package / "one_app.py").write_text("def go(event, context):\n    return event")
    (package / "in_folder").mkdir()
    (package / "in_folder" / "two.py").write_text("def go(event, context):\n    return 2")
    assert python.handler_of("one_app.go")(7, None) == 7  # type: ignore[arg-type]
    assert python.handler_of("in_folder/two.go")(7, None) == 2  # type: ignore[arg-type]


def test_what_cannot_be_loaded_has_awss_names(package: Path) -> None:
    (package / "three_app.py").write_text("import not_there_at_all")
    (package / "four_app.py").write_text("def (")
    (package / "five_app.py").write_text("x = 1")
    assert fault("nothing_here.go") == (
        "Runtime.ImportModuleError",
        "Unable to import module 'nothing_here': No module named 'nothing_here'",
    )
    assert fault("three_app.go")[1].endswith("No module named 'not_there_at_all'")
    assert fault("four_app.go")[0] == "Runtime.UserCodeSyntaxError"
    assert fault("five_app.go") == (
        "Runtime.HandlerNotFound", "Handler 'go' missing on module 'five_app'",
    )  # fmt: skip
    assert fault("handler") == (
        "Runtime.MalformedHandlerName",
        "Bad handler 'handler': not enough values to unpack (expected 2, got 1)",
    )
    assert fault("sys.go")[0] == "Runtime.BuiltInModuleConflict"


def test_an_error_is_told_with_the_functions_own_frames(package: Path) -> None:
    (package / "six_app.py").write_text("def go(event, context):\n    raise KeyError('k')")
    handler = python.handler_of("six_app.go")
    told: dict[str, Any] = {}
    try:
        handler(1, None)  # type: ignore[arg-type]
    except KeyError as error:
        told = python.told_of(error, "r1")
    assert told["errorType"] == "KeyError"
    assert told["errorMessage"] == "'k'"
    assert told["requestId"] == "r1"
    assert 'six_app.py", line 2, in go' in told["stackTrace"][-1]


def test_the_context_is_complete(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_LAMBDA_FUNCTION_NAME", "f")
    monkeypatch.setenv("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "256")
    monkeypatch.setenv("AWS_LAMBDA_FUNCTION_VERSION", "3")
    client = {"custom": {"a": "b"}, "env": {"x": "y"}, "client": {"app_title": "mine"}}
    context = python.context_of({
        "lambda-runtime-aws-request-id": "r1",
        "lambda-runtime-invoked-function-arn": "arn:f:3",
        "lambda-runtime-deadline-ms": "99999999999999",
        "lambda-runtime-client-context": json.dumps(client),
        "lambda-runtime-cognito-identity": '{"cognitoIdentityId":"i"}',
    })  # fmt: skip
    known: Any = context
    assert known.aws_request_id == "r1"
    assert known.invoked_function_arn == "arn:f:3"
    assert (known.function_name, known.function_version) == ("f", "3")
    assert known.memory_limit_in_mb == "256"
    assert known.client_context.custom == {"a": "b"}
    assert known.client_context.client.app_title == "mine"
    assert known.identity.cognito_identity_id == "i"
    assert context.get_remaining_time_in_millis() > 1_000_000


def test_a_record_of_several_lines_is_one_event(capsys: pytest.CaptureFixture[str]) -> None:
    python.write_event("one\ntwo\n")
    assert capsys.readouterr().out == "one\rtwo\n"


def test_json_logs_have_awss_fields(capsys: pytest.CaptureFixture[str]) -> None:
    record = logging.LogRecord("mine", logging.ERROR, "f", 1, "said %s", ("x",), None)
    try:
        raise ValueError("bad")
    except ValueError:
        record.exc_info = sys.exc_info()
    record.aws_request_id = "r1"
    said = json.loads(python.JsonFormatter().format(record))
    assert (said["level"], said["message"], said["requestId"]) == ("ERROR", "said x", "r1")
    assert (said["errorType"], said["errorMessage"]) == ("ValueError", "bad")
    assert said["logger"] == "mine"
