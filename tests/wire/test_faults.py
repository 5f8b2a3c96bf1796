from __future__ import annotations

from doppio.wire import faults, model
from doppio.wire.errors import (
    AccessDenied,
    InternalFailure,
    SerializationError,
    Throttled,
)

from .helpers import error

SQS, S3, EC2 = model.load("sqs"), model.load("s3"), model.load("ec2")


def test_the_model_knows_the_status() -> None:
    iam = model.load("iam")
    fault = faults.resolve(iam, None, error("NoSuchEntityException", status=500), "query")
    assert (fault.status, fault.code, fault.side) == (404, "NoSuchEntity", "Sender")


def test_an_error_of_no_model_keeps_its_own() -> None:
    fault = faults.resolve(EC2, None, error("InvalidVpcID.NotFound", status=418), "ec2")
    assert (fault.shape, fault.status, fault.code) == (None, 418, "InvalidVpcID.NotFound")


def test_shared_errors_are_named_as_the_protocol_does() -> None:
    names = {
        ("s3", "rest-xml"): ["AccessDenied", "SlowDown", "InternalError", "MalformedXML"],
        ("ec2", "ec2"): [
            "UnauthorizedOperation",
            "RequestLimitExceeded",
            "InternalError",
            "InvalidParameterValue",
        ],
        ("iam", "query"): ["AccessDenied", "Throttling", "InternalFailure", "MalformedInput"],
        ("sqs", "json"): [
            "AccessDeniedException",
            "ThrottlingException",
            "InternalFailure",
            "SerializationException",
        ],
    }
    shared = [AccessDenied(), Throttled(), InternalFailure(), SerializationError()]
    for (service, protocol), codes in names.items():
        found = model.load(service)
        assert [faults.resolve(found, None, one, protocol).name for one in shared] == codes


def test_the_message_goes_where_the_shape_has_it() -> None:
    dynamodb = model.load("dynamodb")
    fault = faults.resolve(dynamodb, None, error("TransactionCanceledException", "no"), "json")
    assert fault.members == {"Message": "no"}
    fault = faults.resolve(dynamodb, None, error("ResourceNotFoundException", "no"), "json")
    assert fault.members == {"message": "no"}


def test_a_host_id_is_opaque_and_always_the_same() -> None:
    assert faults.host_id("ABCDEF0123456789") == faults.host_id("ABCDEF0123456789")
    assert len(faults.host_id("ABCDEF0123456789")) == 76
    assert ("x-amz-request-id", "r") in faults.request_headers(S3, None, "r")
    assert faults.request_headers(SQS, "a/b", "r") == [
        ("x-amzn-requestid", "r"),
        ("content-type", "a/b"),
    ]
