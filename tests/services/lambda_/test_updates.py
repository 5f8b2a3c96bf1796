"""Changes of functions, through the door."""

from __future__ import annotations

import io
import stat
import zipfile

import pytest

from tests.services.lambda_.base import ROLE, make_function, packages, zipped, zipped_files
from tests.services.world import World, refusal, refused, told

ARN = "arn:aws:lambda:us-east-1:000000000000:function:f"


@told
async def test_an_update_of_code_is_in_progress_and_then_successful(world: World) -> None:
    made = await make_function(world)
    other = zipped("def handler(event, context):\n    return 2\n")
    changed = await world.call("lambda", "update_function_code", FunctionName="f", ZipFile=other)
    assert changed["LastUpdateStatus"] == "InProgress"
    assert changed["CodeSha256"] != made["CodeSha256"]
    assert await refusal(
        world.call("lambda", "update_function_code", FunctionName="f", ZipFile=other)
    ) == (
        "ResourceConflictException",
        (
            "The operation cannot be performed at this time. An update is in progress for resource: "
            f"{ARN}"
        ),
    )
    await world.settle()
    now = await world.call("lambda", "get_function_configuration", FunctionName="f")
    assert now["LastUpdateStatus"] == "Successful"
    assert now["CodeSha256"] == changed["CodeSha256"]
    assert now["CodeSize"] == len(other)


@told
async def test_a_dry_run_says_what_would_be_and_changes_nothing(world: World) -> None:
    made = await make_function(world)
    other = zipped("x = 1\n")
    said = await world.call(
        "lambda", "update_function_code", FunctionName="f", ZipFile=other, DryRun=True
    )
    assert said["CodeSize"] == len(other)
    now = await world.call("lambda", "get_function_configuration", FunctionName="f")
    assert now["CodeSha256"] == made["CodeSha256"]
    assert now["RevisionId"] == made["RevisionId"]
    assert len(packages(world)) == 1


@told
async def test_a_revision_that_is_not_the_newest_is_refused(world: World) -> None:
    made = await make_function(world)
    update = "update_function_configuration"
    changed = await world.call(
        "lambda", update, FunctionName="f", Timeout=30, RevisionId=made["RevisionId"]
    )
    assert changed["RevisionId"] != made["RevisionId"]
    await world.settle()
    error = await refused(
        world.call("lambda", update, FunctionName="f", Timeout=5, RevisionId=made["RevisionId"])
    )
    assert error.code == "PreconditionFailedException"
    assert error.message.startswith("The Revision Id provided does not match the latest Revision")


@told
async def test_what_an_update_does_not_name_stays(world: World) -> None:
    await make_function(world, MemorySize=256, Environment={"Variables": {"BEANS": "dark"}})
    changed = await world.call(
        "lambda", "update_function_configuration", FunctionName="f", Handler="app.other",
        LoggingConfig={"LogFormat": "JSON", "SystemLogLevel": "WARN"},
    )  # fmt: skip
    assert changed["MemorySize"] == 256
    assert changed["Environment"] == {"Variables": {"BEANS": "dark"}}
    assert changed["Handler"] == "app.other"
    assert changed["LoggingConfig"] == {
        "LogFormat": "JSON", "ApplicationLogLevel": "INFO", "SystemLogLevel": "WARN",
        "LogGroup": "/aws/lambda/f",
    }  # fmt: skip
    await world.settle()
    changed = await world.call(
        "lambda", "update_function_configuration", FunctionName="f", Environment={}
    )
    assert "Environment" not in changed


REFUSED = [
    ({"Timeout": 901}, "ValidationException", ("1 validation error detected: Value '901' at "
     "'timeout' failed to satisfy constraint: Member must have value less than or equal to 900")),
    ({"MemorySize": 10_241}, "ValidationException", ("1 validation error detected: Value '10241' at "
     "'memorySize' failed to satisfy constraint: Member must have value less than or equal to "
     "10240")),
    ({"Runtime": "python2.7"}, "InvalidParameterValueException", ("The runtime parameter of "
     "python2.7 is no longer supported for creating or updating AWS Lambda functions. We "
     "recommend you use a supported runtime while creating or updating functions.")),
    ({"Environment": {"Variables": {"AWS_REGION": "x"}}}, "InvalidParameterValueException",
     ("Lambda was unable to configure your environment variables because the environment variables "
     "you have provided contains reserved keys that are currently not supported for modification. "
     "Reserved keys used in this request: AWS_REGION")),
    ({"LoggingConfig": {"SystemLogLevel": "WARN"}}, "InvalidParameterValueException",
     "To use ApplicationLogLevel or SystemLogLevel, you must set your LogFormat to JSON."),
    ({"Role": "arn:aws:iam::000000000000:role/nobody"}, "InvalidParameterValueException",
     "The role defined for the function cannot be assumed by Lambda."),
    ({"DeadLetterConfig": {"TargetArn": "arn:aws:sqs:us-east-1:000000000000:lost"}},
     "InvalidParameterValueException",
     "The provided execution role does not have permissions to call SendMessage on SQS"),
    ({"SnapStart": {"ApplyOn": "PublishedVersions"}}, "NotImplemented",
     "SnapStart is not supported by this cloud."),
    ({"TracingConfig": {"Mode": "Active"}}, "NotImplemented",
     "Active tracing is not supported: there is no X-Ray here."),
]  # fmt: skip


@pytest.mark.parametrize(("given", "code", "text"), REFUSED, ids=lambda one: str(one)[:24])
def test_what_aws_refuses_is_refused_in_its_words(
    given: dict[str, object], code: str, text: str
) -> None:
    @told
    async def story(world: World) -> None:
        made = await make_function(world, Timeout=900, MemorySize=10_240)
        assert await refusal(
            world.call("lambda", "update_function_configuration", FunctionName="f", **given)
        ) == (code, text)
        now = await world.call("lambda", "get_function_configuration", FunctionName="f")
        assert now["RevisionId"] == made["RevisionId"]

    story()


@told
async def test_an_environment_of_four_kilobytes_fits_and_no_more(world: World) -> None:
    around = len(b'{"AB":""}')
    await make_function(world, Environment={"Variables": {"AB": "x" * (4096 - around)}})
    error = await refused(
        world.call(
            "lambda", "update_function_configuration", FunctionName="f",
            Environment={"Variables": {"AB": "x" * (4097 - around)}},
        )
    )  # fmt: skip
    assert error.code == "InvalidParameterValueException"
    assert "exceeded the 4KB limit. String measured: {" in error.message


def _archive(name: str, content: str = "", mode: int = 0o644, size: int | None = None) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        entry = zipfile.ZipInfo(name)
        entry.external_attr = mode << 16
        entry.compress_type = zipfile.ZIP_DEFLATED
        archive.writestr(entry, content if size is None else b"\0" * size)
    return buffer.getvalue()


UNZIP = "Could not unzip uploaded file. Please check your file, then try to upload again."


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (b"no zip file", UNZIP),
        (zipped_files({}), "Uploaded file must be a non-empty zip"),
        (_archive("../outside.py"), UNZIP),
        (_archive("/etc/passwd"), UNZIP),
        (_archive("link", "../../x", stat.S_IFLNK | 0o777), UNZIP),
        (_archive("large", size=262_144_000), "Unzipped size must be smaller than 262144000 bytes"),
    ],
    ids=["no-zip", "empty", "above", "absolute", "link", "large"],
)
def test_a_package_that_cannot_be_unpacked_is_refused(content: bytes, text: str) -> None:
    @told
    async def story(world: World) -> None:
        await make_function(world)
        assert await refusal(
            world.call("lambda", "update_function_code", FunctionName="f", ZipFile=content)
        ) == ("InvalidParameterValueException", text)

    story()


@told
async def test_a_package_comes_from_s3_as_the_caller(world: World) -> None:
    await make_function(world)
    await world.call("s3", "create_bucket", Bucket="code")
    other = zipped("x = 3\n")
    await world.call("s3", "put_object", Bucket="code", Key="f.zip", Body=other)
    changed = await world.call(
        "lambda", "update_function_code", FunctionName="f", S3Bucket="code", S3Key="f.zip"
    )
    assert changed["CodeSize"] == len(other)
    await world.settle()
    assert await refusal(
        world.call("lambda", "update_function_code", FunctionName="f", S3Bucket="code", S3Key="g")
    ) == (
        "InvalidParameterValueException",
        (
            "Error occurred while GetObject. S3 Error Code: NoSuchKey. S3 Error Message: The specified "
            "key does not exist."
        ),
    )


@told
async def test_a_function_of_another_account_s_role_is_refused(world: World) -> None:
    await make_function(world)
    other = ROLE.replace("000000000000", "111111111111")
    assert await refusal(
        world.call("lambda", "update_function_configuration", FunctionName="f", Role=other)
    ) == ("AccessDeniedException", "Cross-account pass role is not allowed.")
