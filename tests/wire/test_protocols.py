"""Every protocol, against botocore's own cases, in both directions.

Input cases say how a client writes parameters: we must read those very parameters. Output cases
say what a response means: what we write for that result must mean the same to botocore's parser,
and be the same document as theirs.
"""

from __future__ import annotations

import asyncio
import xml.etree.ElementTree as ElementTree
from collections import Counter
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from botocore.awsrequest import HeadersDict
from botocore.model import NoShapeFoundError, OperationModel, ServiceModel
from botocore.parsers import PROTOCOL_PARSERS, ResponseParserError

from doppio.wire import cbor, timestamps
from doppio.wire.codec import codec
from doppio.wire.errors import AwsError
from doppio.wire.http import Request, Response, Whole
from doppio.wire.rest import parse_query, router

from .protocol_cases import (
    SPECIAL,
    Case,
    body_bytes,
    cases,
    needs_cases,
    only_operation,
    same,
    values,
)
from .protocol_exceptions import (
    DOCUMENT_EXCEPTIONS,
    INPUT_EXCEPTIONS,
    OUTPUT_EXCEPTIONS,
)

pytestmark = needs_cases


def check_all(case: Case, check: Callable[[Case], None], table: dict[str, str]) -> None:
    """A case in the table must not hold: one that begins to is taken out of it."""
    if case.id in table:
        with pytest.raises((AssertionError, AwsError, ResponseParserError, ValueError)):
            check(case)
    else:
        check(case)


def request_of(case: Case) -> Request:
    serialized = case.case["serialized"]
    path, _, query = serialized["uri"].partition("?")
    headers = {name.lower(): value for name, value in serialized.get("headers", {}).items()}
    body = body_bytes(case, serialized.get("body", ""))
    return Request(serialized.get("method", "POST"), path, query, headers, Whole(body))


def check_input(case: Case) -> None:
    service = case.service()
    operation = only_operation(service)
    request = request_of(case)
    labels: dict[str, str] = {}
    if case.protocol.startswith("rest"):
        found = router(service).match(
            request.method, request.path, parse_query(request.query), request.headers
        )
        assert found is not None
        assert found[0] is operation
        labels = found[1]
    decoded = codec(service, case.protocol).decode(operation, request, labels)
    expected = values(operation.input, case.case["params"])
    if operation.streaming_input is not None:
        body = decoded.pop(operation.streaming_input)
        expected_body = expected.pop(operation.streaming_input, b"")
        assert body.whole == (
            expected_body.encode() if isinstance(expected_body, str) else expected_body
        )
    assert same(decoded, expected), f"{decoded} != {expected}"


@pytest.mark.parametrize("case", [pytest.param(c, id=c.id) for c in cases("input")])
def test_the_request_is_read_as_it_was_meant(case: Case) -> None:
    check_all(case, check_input, INPUT_EXCEPTIONS)


def respond(case: Case) -> Response:
    service = case.service()
    operation = only_operation(service)
    ours = codec(service, case.protocol)
    if "error" not in case.case:
        return ours.encode(operation, values(operation.output, case.case["result"]), "foo-id")
    code = case.case["errorCode"]
    shape = service.exception(code, operation)
    fields = values(shape, case.case["error"]) if shape is not None else {}
    message = case.case.get("errorMessage")
    for name in ("message", "Message"):
        message = fields.pop(name, message)
    kind = type("Raised", (AwsError,), {"code": code})
    return ours.encode_error(operation, kind(message, **fields), "foo-id")


async def collected(body: Any) -> bytes:
    return b"".join([chunk async for chunk in body])


def parsed_by_botocore(case: Case, response: Response) -> Any:
    """What botocore's client makes of the response."""
    given = case.case["given"]
    model = ServiceModel({**case.description, "operations": {given["name"]: case.case}}, case.suite)
    operation = OperationModel(given, model)
    parser = PROTOCOL_PARSERS[case.protocol](timestamp_parser=timestamps.parse)
    shape = operation.output_shape
    if case.protocol == "query" and shape is not None and "error" not in case.case:
        shape.serialization["resultWrapper"] = f"{given['name']}Result"
    body = (
        response.body if isinstance(response.body, bytes) else asyncio.run(collected(response.body))
    )
    http = {
        "status_code": response.status,
        "headers": HeadersDict(response.headers),
        "body": body,
        "context": {"operation_name": given["name"]},
    }
    parsed = parser.parse(http, shape)
    if "error" in case.case:
        code = parsed["Error"]["Code"]
        try:
            found = model.shape_for_error_code(code)
        except NoShapeFoundError:
            found = None
        fields = {} if found is None else parser.parse(http, found)
        fields.pop("ResponseMetadata", None)
        return {"code": code, "fields": fields}
    parsed.pop("ResponseMetadata", None)
    return parsed


def check_meaning(case: Case) -> None:
    response = respond(case)
    parsed = parsed_by_botocore(case, response)
    service = case.service()
    operation = only_operation(service)
    if "error" in case.case:
        assert parsed["code"] == case.case["errorCode"]
        shape = service.exception(parsed["code"], operation)
        expected = values(shape, case.case["error"]) if shape is not None else {}
        assert same(parsed["fields"], expected), f"{parsed['fields']} != {expected}"
        return
    expected = values(operation.output, case.case["result"])
    parsed = {
        name: SPECIAL.get(value, value) if isinstance(value, str) else value
        for name, value in parsed.items()
    }
    if operation.output is not None and operation.output.payload is not None:
        payload = operation.output.payload
        if isinstance(parsed.get(payload), str) and isinstance(expected.get(payload), bytes):
            parsed[payload] = parsed[payload].encode()
        if payload not in expected and parsed.get(payload) in ("", {}):
            del parsed[payload]
    assert same(parsed, expected), f"{parsed} != {expected}"


def check_document(case: Case) -> None:
    theirs = case.case["response"]
    response = respond(case)
    assert response.status == theirs["status_code"]
    ours = {name.lower(): value for name, value in response.headers}
    for name, value in theirs.get("headers", {}).items():
        if name.lower() == "content-type":
            continue
        assert ours.get(name.lower(), "") == value, f"{name}: {ours}"
    if "body" in theirs and isinstance(response.body, bytes):
        expected = body_bytes(case, theirs["body"])
        assert document(case, response.body) == document(case, expected)


def document(case: Case, body: bytes) -> Any:
    """A body as a value that can be compared."""
    if not body:
        return None
    if case.protocol == "smithy-rpc-v2-cbor":
        return repr(cbor.loads(body))
    if "json" in case.protocol:
        try:
            return msgspec.json.decode(body)
        except msgspec.DecodeError:
            return body
    try:
        return element(ElementTree.fromstring(body))
    except ElementTree.ParseError:
        return body


def element(node: ElementTree.Element) -> Any:
    children = Counter(
        repr(element(child))
        for child in node
        if child.tag.rpartition("}")[2] not in ("ResponseMetadata", "RequestId", "requestId")
    )
    return node.tag.rpartition("}")[2], (node.text or "").strip(), sorted(children.items())


@pytest.mark.parametrize("case", [pytest.param(c, id=c.id) for c in cases("output")])
def test_the_response_means_to_botocore_what_was_answered(case: Case) -> None:
    check_all(case, check_meaning, OUTPUT_EXCEPTIONS)


@pytest.mark.parametrize(
    "case", [pytest.param(c, id=c.id) for c in cases("output") if "error" not in c.case]
)
def test_the_response_is_the_document_that_smithy_expects(case: Case) -> None:
    check_all(case, check_document, DOCUMENT_EXCEPTIONS)


@pytest.mark.parametrize("table", [INPUT_EXCEPTIONS, OUTPUT_EXCEPTIONS, DOCUMENT_EXCEPTIONS])
def test_every_exception_names_a_case_that_exists(table: dict[str, str]) -> None:
    known = {case.id for kind in ("input", "output") for case in cases(kind)}
    assert set(table) <= known
