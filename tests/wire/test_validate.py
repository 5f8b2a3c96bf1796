from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from doppio.wire import model
from doppio.wire.errors import AwsError
from doppio.wire.http import Whole
from doppio.wire.validate import validator

from .random_values import structures


def check(service: str, operation: str, value: dict[str, Any]) -> None:
    found = model.load(service)
    validator(found.operations[operation], found)(value)


def refused(service: str, operation: str, value: dict[str, Any]) -> tuple[str, str]:
    with pytest.raises(AwsError) as caught:
        check(service, operation, value)
    return caught.value.code, caught.value.message


def test_what_is_right_passes() -> None:
    check("sqs", "SendMessage", {"QueueUrl": "u", "MessageBody": "b"})
    check("dynamodb", "PutItem", {"TableName": "orders", "Item": {"a": {"S": "x"}}})
    check("s3", "PutObject", {"Bucket": "b", "Key": "k", "Body": Whole(b"x")})
    check("sts", "GetCallerIdentity", {})


def test_what_is_wrong_beside_the_required_members_is_seen() -> None:
    item = {"TableName": "orders", "Item": {"a": {"S": "x"}}}
    check("dynamodb", "PutItem", {**item, "ReturnValues": None})
    assert "'returnValues'" in refused("dynamodb", "PutItem", {**item, "ReturnValues": "SOME"})[1]
    deep = {"L": [{"S": "x"}, {"M": {"k" * 65_536: {"S": "x"}}}]}
    code, _ = refused("dynamodb", "PutItem", {"TableName": "orders", "Item": {"a": deep}})
    assert code == "ValidationException"


def test_a_missing_member_is_null_in_the_text() -> None:
    assert refused("dynamodb", "DescribeTable", {}) == (
        "ValidationException",
        (
            "1 validation error detected: Value null at 'tableName' failed to satisfy constraint: "
            "Member must not be null"
        ),
    )


def test_several_errors_are_told_at_once() -> None:
    code, message = refused("dynamodb", "PutItem", {"ReturnValues": "SOME"})
    assert code == "ValidationException"
    assert message == (
        "3 validation errors detected: "
        "Value null at 'tableName' failed to satisfy constraint: Member must not be null; "
        "Value null at 'item' failed to satisfy constraint: Member must not be null; "
        "Value 'SOME' at 'returnValues' failed to satisfy constraint: Member must satisfy enum "
        "value set: [NONE, ALL_OLD, UPDATED_OLD, ALL_NEW, UPDATED_NEW]"
    )


def test_paths_lead_through_lists_and_maps() -> None:
    request: dict[str, Any] = {"RequestItems": {"orders": [{"PutRequest": {}}]}}
    assert refused("dynamodb", "BatchWriteItem", request)[1] == (
        "1 validation error detected: Value null at "
        "'requestItems.orders.member.1.member.putRequest.item' failed to satisfy constraint: "
        "Member must not be null"
    )


def test_lengths_and_ranges_have_their_words() -> None:
    role = {"RoleName": "r" * 65, "AssumeRolePolicyDocument": "{}", "MaxSessionDuration": 1}
    message = refused("iam", "CreateRole", role)[1]
    assert (
        "at 'roleName' failed to satisfy constraint: Member must have length less than or equal to 64"
        in message
    )
    assert (
        "Value '1' at 'maxSessionDuration' failed to satisfy constraint: Member must have value greater than or equal to 3600"
        in message
    )
    assert message.startswith("2 validation errors detected: ")


def test_elements_are_reported_with_the_whole() -> None:
    function = {"FunctionName": "f", "Role": "arn:aws:iam::000000000000:role/x", "Code": {}}
    message = refused("lambda", "CreateFunction", {**function, "Architectures": ["z80"]})[1]
    assert message == (
        "1 validation error detected: Value '[z80]' at 'architectures' failed to satisfy "
        "constraint: Member must satisfy constraint: [Member must satisfy enum value set: "
        "[x86_64, arm64]]"
    )


def test_iam_has_its_own_words_for_names() -> None:
    role = {"RoleName": "a b", "AssumeRolePolicyDocument": "{}"}
    assert refused("iam", "CreateRole", role) == (
        "ValidationException",
        (
            "The specified value for roleName is invalid. It must contain only alphanumeric characters "
            "and/or the following: +=,.@_-"
        ),
    )


@pytest.mark.parametrize(
    ("service", "operation", "value", "code", "text"),
    [
        (
            "sqs",
            "CreateQueue",
            {},
            "MissingParameter",
            "The request must contain the parameter QueueName.",
        ),
        (
            "sqs",
            "DeleteMessageBatch",
            {"QueueUrl": "u", "Entries": [{"Id": "1"}]},
            "MissingParameter",
            "The request must contain the parameter Entries.1.ReceiptHandle.",
        ),
        (
            "ec2",
            "TerminateInstances",
            {},
            "MissingParameter",
            "The request must contain the parameter InstanceId",
        ),
        (
            "sns",
            "Subscribe",
            {"Protocol": "sqs"},
            "InvalidParameter",
            "Invalid parameter: TopicArn Reason: no value for required parameter",
        ),
        (
            "s3",
            "PutBucketVersioning",
            {"Bucket": "b"},
            "MissingRequestBodyError",
            "Request body is empty.",
        ),
        (
            "s3",
            "CopyObject",
            {"Bucket": "b", "Key": "k"},
            "InvalidRequest",
            "Missing required header for this request: x-amz-copy-source",
        ),
    ],
)
def test_the_older_services_have_their_own_words(
    service: str, operation: str, value: dict[str, Any], code: str, text: str
) -> None:
    assert refused(service, operation, value) == (code, text)


def test_s3_judges_documents_by_its_schema_and_headers_not_at_all() -> None:
    wrong = {"Bucket": "b", "VersioningConfiguration": {"Status": "On"}}
    assert refused("s3", "PutBucketVersioning", wrong)[0] == "MalformedXML"
    check("s3", "CreateBucket", {"Bucket": "b", "ACL": "nonsense"})
    place = {"LocationConstraint": "the-moon"}
    check("s3", "CreateBucket", {"Bucket": "b", "CreateBucketConfiguration": place})


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.data())
def test_the_quick_check_and_the_careful_one_always_agree(data: st.DataObject) -> None:
    service = model.load(data.draw(st.sampled_from(["dynamodb", "iam", "lambda", "s3", "kms"])))
    operation = service.operations[data.draw(st.sampled_from(sorted(service.operations)))]
    if operation.input is None:
        return
    value = data.draw(structures(operation.input))
    spoilt: bool = data.draw(st.booleans())
    if value and spoilt:
        value.pop(data.draw(st.sampled_from(sorted(value))))
    if operation.streaming_input is not None:
        value.pop(operation.streaming_input, None)
    try:
        validator(operation, service)(value)
    except AwsError as refusal:
        message = refusal.message
    else:
        message = "fine"
    assert message
