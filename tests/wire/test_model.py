from __future__ import annotations

import subprocess
import sys

import botocore
import pytest

from doppio.wire import model


def test_method_names_are_botocores_for_every_operation() -> None:
    for name in model.available():
        for operation in model.load(name).operations:
            assert model.method_name(operation) == botocore.xform_name(operation)


def test_reading_a_model_does_not_import_botocore() -> None:
    code = (
        "import sys; from doppio.wire import model; model.load('sqs').operations['SendMessage'];"
        "sys.exit('botocore' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_an_operation_is_found_by_its_python_name() -> None:
    sqs = model.load("sqs")
    operation = sqs.by_method["send_message"]
    assert operation is sqs.operations["SendMessage"]
    assert operation.input is not None
    assert operation.input.required == ("QueueUrl", "MessageBody")
    assert "nothing" not in sqs.by_method
    assert len(sqs.by_method) == len(sqs.operations) == 23


def test_the_newest_version_of_a_model_is_taken() -> None:
    assert model.load("ec2").api_version == "2016-11-15"
    assert model.load("lambda").api_version == "2015-03-31"


@pytest.mark.parametrize("name", ["nothing", "", "../sqs", ".", "s\0qs", "sqs/2012-11-05"])
def test_a_service_without_model_is_a_key_error(name: str) -> None:
    with pytest.raises(KeyError):
        model.load(name)


def test_sqs_speaks_query_too_and_has_its_old_error_codes() -> None:
    sqs = model.load("sqs")
    assert sqs.protocols == ("json", "query")
    shape = sqs.exception("QueueDoesNotExist")
    assert shape is not None
    assert shape.error_code == "AWS.SimpleQueueService.NonExistentQueue"
    assert sqs.query_view.xml_namespace == "http://queue.amazonaws.com/doc/2012-11-05/"
    assert sqs.query_view is sqs.query_view


def test_the_query_names_of_sqs_do_not_leak_into_json() -> None:
    shape = model.load("sqs").shape("QueueAttributeMap")
    assert shape.key.wire_name is None
    assert model.load("sqs").query_view.shape("QueueAttributeMap").key.wire_name == "Name"


def test_an_exception_is_found_by_its_old_code_through_its_operation() -> None:
    sqs = model.load("sqs")
    found = sqs.exception("AWS.SimpleQueueService.NonExistentQueue", sqs.operations["SendMessage"])
    assert found is sqs.shape("QueueDoesNotExist")
    assert sqs.exception("SendMessageRequest") is None
    assert sqs.exception("Nothing") is None


def test_streams_and_events_are_known() -> None:
    s3 = model.load("s3")
    assert s3.operations["PutObject"].streaming_input == "Body"
    assert s3.operations["GetObject"].streaming_output == "Body"
    assert s3.operations["PutBucketPolicy"].streaming_input is None
    assert s3.operations["SelectObjectContent"].event_output == "Payload"
    assert s3.operations["DeleteObjects"].checked_body
    assert not s3.operations["GetObject"].checked_body


def test_recursive_shapes_resolve_lazily() -> None:
    value = model.load("dynamodb").shape("AttributeValue")
    assert value.members["L"].shape.member.shape is value
    assert value.members["M"].shape.value.shape is value


def test_every_supplement_names_shapes_and_operations_that_exist() -> None:
    import msgspec

    for file in model.SUPPLEMENTS.glob("*.json"):
        service = model.load(file.stem)
        extra = msgspec.json.decode(file.read_bytes())
        for part in ("all", "query"):
            for operation in extra.get(part, {}).get("operations", {}):
                assert operation in service.operations
            for shape in extra.get(part, {}).get("shapes", {}):
                assert service.shape(shape).data.type
        assert extra["source"]
