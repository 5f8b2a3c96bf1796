"""Random values survive every protocol: botocore writes, we read; we write, botocore reads."""

from __future__ import annotations

import warnings
from typing import Any

import pytest
from botocore.awsrequest import HeadersDict
from botocore.model import ServiceModel
from botocore.parsers import PROTOCOL_PARSERS
from botocore.serialize import SERIALIZERS
from botocore.utils import percent_encode_sequence
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from doppio.wire import model, timestamps
from doppio.wire.codec import codec
from doppio.wire.http import Request, Whole
from doppio.wire.model import Operation, Service
from doppio.wire.rest import parse_query, router

from .random_values import holds_something, structures

FEW = settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)

PAIRS = [
    ("sqs", "json"),
    ("sqs", "query"),
    ("dynamodb", "json"),
    ("kinesis", "json"),
    ("cloudwatch", "smithy-rpc-v2-cbor"),
    ("cloudwatch", "json"),
    ("cloudwatch", "query"),
    ("iam", "query"),
    ("sns", "query"),
    ("elbv2", "query"),
    ("ec2", "ec2"),
    ("lambda", "rest-json"),
    ("apigateway", "rest-json"),
    ("iot", "rest-json"),
    ("s3", "rest-xml"),
    ("route53", "rest-xml"),
    ("cloudfront", "rest-xml"),
]


def botocore_model(service: Service, protocol: str) -> ServiceModel:
    """botocore's own classes on the model as we have it, supplements included."""
    view = service.query_view if protocol == "query" else service
    described = {**view.raw(), "metadata": service.metadata}
    for name, operation in described["operations"].items():
        if "output" in operation and protocol == "query":
            operation["output"].setdefault("resultWrapper", f"{name}Result")
    return ServiceModel(described, service.name)


_models: dict[tuple[str, str], ServiceModel] = {}


def theirs(service: Service, protocol: str) -> ServiceModel:
    key = (service.name, protocol)
    if key not in _models:
        _models[key] = botocore_model(service, protocol)
    return _models[key]


def sent(service: Service, protocol: str, op: Operation, params: dict[str, Any]) -> Request:
    """The request that botocore's serializer makes."""
    serializer = SERIALIZERS[protocol]()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        out = serializer.serialize_to_request(
            params, theirs(service, protocol).operation_model(op.name)
        )
    body, path, query = out["body"], out["url_path"], out["query_string"]
    if isinstance(body, dict):
        body = percent_encode_sequence(body).encode()
    path, _, fixed = path.partition("?")
    if isinstance(query, dict):
        query = percent_encode_sequence(query)
    headers = {name.lower(): str(value) for name, value in out["headers"].items()}
    if isinstance(body, str):
        body = body.encode()
    joined = "&".join(part for part in (fixed, query) if part)
    return Request(out["method"], path, joined, headers, Whole(body))


def usable(op: Operation) -> bool:
    return op.event_input is None and op.event_output is None


def pick(data: st.DataObject, service: Service) -> Operation:
    name = data.draw(st.sampled_from(sorted(service.operations)))
    return service.operations[name]


@pytest.mark.parametrize(("name", "protocol"), PAIRS)
@FEW
@given(data=st.data())
def test_what_botocore_sends_is_what_we_read(name: str, protocol: str, data: st.DataObject) -> None:
    service = model.load(name)
    op = pick(data, service)
    if op.input is None or not usable(op):
        return
    params = data.draw(structures(op.input))
    request = sent(service, protocol, op, params)
    labels: dict[str, str] = {}
    if protocol.startswith("rest"):
        query = parse_query(request.query)
        found = router(service).match(request.method, request.path, query, request.headers)
        assert found is not None
        if found[0] is not op:
            assert found[0].http_uri.partition("?")[0] == op.http_uri.partition("?")[0]
            return
        labels = found[1]
    decoded = codec(service, protocol).decode(op, request, labels)
    if op.streaming_input is not None:
        body = decoded.pop(op.streaming_input).whole
        assert body == params.pop(op.streaming_input, b"")
    if op.input.payload is not None and not params.get(op.input.payload):
        decoded.pop(op.input.payload, None)
    assert decoded == params


@pytest.mark.parametrize(("name", "protocol"), PAIRS)
@FEW
@given(data=st.data())
def test_what_we_answer_is_what_botocore_reads(
    name: str, protocol: str, data: st.DataObject
) -> None:
    service = model.load(name)
    op = pick(data, service)
    if op.output is None or not usable(op) or not holds_something(op.output):
        return
    result = data.draw(structures(op.output))
    if (name, op.name) == ("s3", "GetBucketLocation"):
        return
    payload = op.output.payload
    if payload in result and op.output.members[payload].shape.type == "blob":
        result[payload] = b"any text"  # botocore takes a body that is one blob for UTF-8
    response = codec(service, protocol).encode(op, result, "request-1")
    assert isinstance(response.body, bytes)
    parser = PROTOCOL_PARSERS[protocol](timestamp_parser=timestamps.parse)
    parsed = parser.parse(
        {
            "status_code": response.status,
            "headers": HeadersDict(response.headers),
            "body": response.body,
            "context": {"operation_name": op.name},
        },
        theirs(service, protocol).operation_model(op.name).output_shape,
    )
    metadata = parsed.pop("ResponseMetadata")
    assert metadata["RequestId"] == "request-1"
    for key, member in op.output.members.items():
        if key not in result and (
            member.wire_name == "Content-Type" or member.location in ("statusCode", "headers")
        ):
            parsed.pop(key, None)  # botocore always finds one
    if payload is not None:
        member = op.output.members[payload]
        if member.shape.type == "blob" and isinstance(parsed.get(payload), str):
            parsed[payload] = parsed[payload].encode()
        if payload not in result:
            parsed.pop(payload, None)
    if not response.body and op.status == 204:
        return
    assert parsed == result
