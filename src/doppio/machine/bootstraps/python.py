"""Runs a Python handler: asks the Runtime API for events, and answers with what the handler returns.

It speaks the public Runtime API, as any custom runtime does. Its client is a bare socket, since
`http.client` would cost a cold start 15 ms. Errors have the forms of AWS's own Python runtime.
Source: "Using the Lambda runtime API for custom runtimes"; "Lambda context object in Python".
"""

from __future__ import annotations

import importlib
import json
import logging
import os
import socket
import sys
import time
import traceback
from collections.abc import Callable
from typing import Any

_API = "/2018-06-01/runtime"
_BLOCK = 256 * 1024
_NBSP = "\N{NO-BREAK SPACE}"
# How lines that are one event are told from lines that are many.
_SAME_EVENT = "\r"


class Fault(Exception):
    """The function cannot run as it is."""

    def __init__(self, kind: str, text: str, trace: list[str] | None = None) -> None:
        super().__init__(text)
        self.kind = kind
        self.text = text
        self.trace = trace or []


class Api:
    """One connection to the Runtime API."""

    def __init__(self, address: str) -> None:
        host, _, port = address.partition(":")
        self._socket = socket.create_connection((host, int(port)))
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._host = address
        self._read = b""

    def ask(
        self, method: str, path: str, body: bytes = b"", headers: dict[str, str] | None = None
    ) -> tuple[int, dict[str, str], bytes]:
        """One request: status, headers and body of the answer."""
        head = [f"{method} {_API}{path} HTTP/1.1", f"Host: {self._host}"]
        if method == "POST":
            head.append(f"Content-Length: {len(body)}")
        head += [f"{name}: {value}" for name, value in (headers or {}).items()]
        self._socket.sendall("\r\n".join([*head, "", ""]).encode() + body)
        while b"\r\n\r\n" not in self._read:
            self._more()
        top, _, self._read = self._read.partition(b"\r\n\r\n")
        first, *lines = top.decode("latin-1").split("\r\n")
        found = {}
        for line in lines:
            name, _, value = line.partition(":")
            found[name.strip().lower()] = value.strip()
        length = int(found.get("content-length", "0"))
        parts = [self._read]
        missing = length - len(self._read)
        while missing > 0:
            part = self._socket.recv(min(missing, _BLOCK))
            if not part:
                os._exit(1)
            parts.append(part)
            missing -= len(part)
        whole = b"".join(parts)
        self._read = whole[length:]
        return int(first.split(" ")[1]), found, whole[:length]

    def _more(self) -> None:
        part = self._socket.recv(_BLOCK)
        if not part:
            # The cloud is gone, or has no use for this environment any more.
            os._exit(1)
        self._read += part


class _Named:
    """What has attributes and no more."""

    def __init__(self, **values: Any) -> None:
        self.__dict__.update(values)

    def __repr__(self) -> str:
        said = ",".join(f"{name}={value}" for name, value in self.__dict__.items())
        return f"{type(self).__name__}([{said}])"


class CognitoIdentity(_Named):
    """Who uses the app that calls."""


class Client(_Named):
    """The app that calls."""


class ClientContext(_Named):
    """What a mobile app says of itself."""


class LambdaContext(_Named):
    """What a handler is told of its invocation."""

    _deadline_ms: int

    def get_remaining_time_in_millis(self) -> int:
        """How long the handler may go on."""
        # The process runs on the machine's time, whatever the cloud's is.
        return max(self._deadline_ms - time.time_ns() // 1_000_000, 0)

    def log(self, message: Any) -> None:
        """Write to the log."""
        sys.stdout.write(str(message))

    def __repr__(self) -> str:
        shown = {name: value for name, value in self.__dict__.items() if name[0] != "_"}
        return f"LambdaContext([{','.join(f'{name}={value}' for name, value in shown.items())}])"


def context_of(headers: dict[str, str]) -> LambdaContext:
    """The context of an invocation, from the headers of its event."""
    identity = json.loads(headers.get("lambda-runtime-cognito-identity") or "{}")
    given = headers.get("lambda-runtime-client-context")
    client = None
    if given:
        said = json.loads(given)
        app = said.get("client") or {}
        names = ("installation_id", "app_title", "app_version_name", "app_version_code",
                 "app_package_name")  # fmt: skip
        client = ClientContext(
            custom=said.get("custom"), env=said.get("env"),
            client=Client(**{name: app.get(name) for name in names}),
        )  # fmt: skip
    return LambdaContext(
        aws_request_id=headers["lambda-runtime-aws-request-id"],
        log_group_name=os.environ.get("AWS_LAMBDA_LOG_GROUP_NAME"),
        log_stream_name=os.environ.get("AWS_LAMBDA_LOG_STREAM_NAME"),
        function_name=os.environ.get("AWS_LAMBDA_FUNCTION_NAME"),
        memory_limit_in_mb=os.environ.get("AWS_LAMBDA_FUNCTION_MEMORY_SIZE"),
        function_version=os.environ.get("AWS_LAMBDA_FUNCTION_VERSION"),
        invoked_function_arn=headers.get("lambda-runtime-invoked-function-arn"),
        tenant_id=headers.get("lambda-runtime-aws-tenant-id"),
        client_context=client,
        identity=CognitoIdentity(
            cognito_identity_id=identity.get("cognitoIdentityId"),
            cognito_identity_pool_id=identity.get("cognitoIdentityPoolId"),
        ),
        _deadline_ms=int(headers.get("lambda-runtime-deadline-ms", "0")),
    )


class LogHandler(logging.Handler):
    """Where a function's `logging` goes: to its output, each record as one event."""

    request_id = ""

    def emit(self, record: logging.LogRecord) -> None:
        """Write a record."""
        record.aws_request_id = self.request_id
        try:
            write_event(self.format(record))
        except (ValueError, TypeError):
            self.handleError(record)


class JsonFormatter(logging.Formatter):
    """A record as AWS's JSON log format has it."""

    def format(self, record: logging.LogRecord) -> str:
        """The record as one line of JSON."""
        said: dict[str, Any] = {
            "timestamp": self.formatTime(record, "%Y-%m-%dT%H:%M:%SZ"),
            "level": record.levelname,
            "message": record.getMessage(),
            "logger": record.name,
            "requestId": getattr(record, "aws_request_id", ""),
        }
        if record.exc_info and record.exc_info[0] is not None:
            said["errorType"] = record.exc_info[0].__name__
            said["errorMessage"] = str(record.exc_info[1])
            said["stackTrace"] = [
                f'  File "{one.filename}", line {one.lineno}, in {one.name}\n    {one.line}'
                for one in traceback.extract_tb(record.exc_info[2])
            ]
        return json.dumps(said, default=str)


def write_event(text: str) -> None:
    """Write something of several lines that is one event."""
    sys.stdout.write(text.rstrip("\n").replace("\n", _SAME_EVENT) + "\n")


def set_up_logging() -> LogHandler:
    """Let `logging` write as AWS's runtime does."""
    handler = LogHandler()
    if os.environ.get("AWS_LAMBDA_LOG_FORMAT") == "JSON":
        form: logging.Formatter = JsonFormatter()
    else:
        form = logging.Formatter(
            "[%(levelname)s]\t%(asctime)s.%(msecs)03dZ\t%(aws_request_id)s\t%(message)s",
            "%Y-%m-%dT%H:%M:%S",
        )
    form.converter = time.gmtime
    handler.setFormatter(form)
    logging.getLogger().addHandler(handler)
    level = os.environ.get("AWS_LAMBDA_LOG_LEVEL", "")
    if level:
        logging.getLogger().setLevel({"TRACE": "DEBUG", "FATAL": "CRITICAL"}.get(level, level))
    return handler


def handler_of(name: str) -> Callable[[Any, LambdaContext], Any]:
    """The function that a handler's name means. Raises Fault."""
    try:
        module_name, function = name.rsplit(".", 1)
    except ValueError as error:
        raise Fault("Runtime.MalformedHandlerName", f"Bad handler '{name}': {error}") from None
    if module_name.split(".")[0] in sys.builtin_module_names:
        text = f"Cannot use built-in module {module_name} as a handler module"
        raise Fault("Runtime.BuiltInModuleConflict", text)
    try:
        module = importlib.import_module(module_name.replace("/", "."))
    except ImportError as error:
        text = f"Unable to import module '{module_name}': {error}"
        raise Fault("Runtime.ImportModuleError", text) from None
    except SyntaxError as error:
        line = f'  File "{error.filename}" Line {error.lineno}\n    {error.text}'
        text = f"Syntax error in module '{module_name}': {error}"
        raise Fault("Runtime.UserCodeSyntaxError", text, [line]) from None
    found = getattr(module, function, None)
    if found is None:
        text = f"Handler '{function}' missing on module '{module_name}'"
        raise Fault("Runtime.HandlerNotFound", text)
    return found  # type: ignore[no-any-return]


def told_of(error: BaseException, request_id: str) -> dict[str, Any]:
    """An error as callers see it."""
    if isinstance(error, Fault):
        kind, text, trace = error.kind, error.text, error.trace
    else:
        kind, text = type(error).__name__, str(error)
        # What is of this file is of no interest.
        frames = traceback.extract_tb(error.__traceback__)
        frames[:] = [one for one in frames if one.filename != __file__]
        trace = traceback.format_list(frames)
    return {"errorMessage": text, "errorType": kind, "requestId": request_id, "stackTrace": trace}


def log_error(told: dict[str, Any]) -> None:
    """Say in the log what went wrong."""
    if os.environ.get("AWS_LAMBDA_LOG_FORMAT") == "JSON":
        stamp = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        write_event(json.dumps({"timestamp": stamp, "log_level": "ERROR", **told}))
        return
    text = f"[ERROR] {told['errorType']}: {told['errorMessage']}"
    if told["stackTrace"]:
        lines = "".join(told["stackTrace"]).rstrip().split("\n")
        indented = [_NBSP * (len(one) - len(one.lstrip())) + one.lstrip() for one in lines]
        text += "\nTraceback (most recent call last):\n" + "\n".join(indented)
    else:
        text += "\nTraceback (most recent call last):"
    write_event(text)


def answered(api: Api, handler: Callable[[Any, LambdaContext], Any], logs: LogHandler) -> None:
    """Take one event, and answer it."""
    _, headers, payload = api.ask("GET", "/invocation/next")
    request_id = logs.request_id = headers["lambda-runtime-aws-request-id"]
    trace = headers.get("lambda-runtime-trace-id")
    if trace:
        os.environ["_X_AMZN_TRACE_ID"] = trace
    try:
        try:
            event = json.loads(payload)
        except ValueError as error:
            raise Fault("Runtime.UnmarshalError", f"Unable to unmarshal input: {error}") from None
        result = handler(event, context_of(headers))
        try:
            body = json.dumps(result, ensure_ascii=False).encode("utf-8", "surrogatepass")
        except (TypeError, ValueError) as error:
            text = f"Unable to marshal response: {error}"
            raise Fault("Runtime.MarshalError", text) from None
    except (SystemExit, KeyboardInterrupt, GeneratorExit):
        raise
    except BaseException as error:
        told = told_of(error, request_id)
        log_error(told)
        flush()
        failed(api, f"/invocation/{request_id}/error", told)
        return
    flush()
    api.ask("POST", f"/invocation/{request_id}/response", body)


def failed(api: Api, path: str, told: dict[str, Any]) -> None:
    """Tell the Runtime API of an error."""
    headers = {
        "Lambda-Runtime-Function-Error-Type": told["errorType"],
        "Content-Type": "application/vnd.aws.lambda.error+json",
    }
    api.ask("POST", path, json.dumps(told).encode(), headers)


def flush() -> None:
    """Hand over what was written, before anybody is told that the invocation is over."""
    sys.stdout.flush()
    sys.stderr.flush()


def main() -> None:
    """Load the handler, and serve it until the environment ends."""
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(encoding="utf-8", line_buffering=True)  # type: ignore[union-attr]
    version = f"python{sys.version_info[0]}.{sys.version_info[1]}"
    layers = os.environ.pop("_DOPPIO_LAYERS", "/opt")
    root = os.environ["LAMBDA_TASK_ROOT"]
    sys.path[:0] = [root, f"{layers}/python/lib/{version}/site-packages", f"{layers}/python"]
    os.environ["TZ"] = os.environ.get("TZ", ":UTC")
    api = Api(os.environ["AWS_LAMBDA_RUNTIME_API"])
    logs = set_up_logging()
    try:
        handler = handler_of(os.environ["_HANDLER"])
    except (SystemExit, KeyboardInterrupt, GeneratorExit):
        raise
    except BaseException as error:
        told = told_of(error, "")
        log_error(told)
        flush()
        failed(api, "/init/error", told)
        os._exit(1)
    while True:
        answered(api, handler, logs)


if __name__ == "__main__":
    main()
