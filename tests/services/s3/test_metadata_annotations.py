"""S3 Metadata's table of annotations: what hangs on objects, read as a role of the user's."""

from __future__ import annotations

import json
from typing import Any

import pytest

from doppio.services.s3 import metadata_annotations
from tests.services.crashes import Told, crash_everywhere
from tests.services.kms.helpers import user
from tests.services.world import ACCOUNT, World, refusal, told

from .test_metadata import begin, configuration, minutes, rows, s3, shown, worked

ROLE = f"arn:aws:iam::{ACCOUNT}:role/reader"
ON = {"ConfigurationState": "ENABLED", "Role": ROLE}
READS = ["s3:ListObjectAnnotations", "s3:GetObjectAnnotation"]


async def role(world: World, *actions: str, service: str = "metadata.s3.amazonaws.com") -> None:
    trust = {"Effect": "Allow", "Principal": {"Service": service}, "Action": "sts:AssumeRole"}
    await world.call(
        "iam", "create_role", RoleName="reader",
        AssumeRolePolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [trust]}),
    )  # fmt: skip
    if actions:
        allowed = {"Effect": "Allow", "Action": list(actions), "Resource": "*"}
        await world.call(
            "iam", "put_role_policy", RoleName="reader", PolicyName="own",
            PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [allowed]}),
        )  # fmt: skip


async def annotate(world: World, key: str, name: str, text: str, **more: Any) -> None:
    await s3(
        world, "put_object_annotation", Bucket="shop", Key=key, AnnotationName=name,
        AnnotationPayload=text.encode(), **more,
    )  # fmt: skip


async def told_of(world: World) -> list[tuple[str, str, str]]:
    found = await rows(world, "annotation")
    return sorted((one["key"], one["annotation_name"], one["annotation_value"]) for one in found)


async def state(world: World) -> dict[str, Any]:
    found: dict[str, Any] = (await shown(world))["AnnotationTableConfigurationResult"]
    return found


@told
async def test_annotations_are_told_and_followed(world: World) -> None:
    await s3(world, "create_bucket", Bucket="shop")
    await role(world, *READS)
    for key in ("a", "b", "c"):
        await s3(world, "put_object", Bucket="shop", Key=key, Body=b"1")
    await annotate(world, "a", "mood", "fine")
    await annotate(world, "b", "mood", "so-so")
    await begin(world, AnnotationTableConfiguration=ON)
    found = await state(world)
    assert (found["TableStatus"], found["Role"], found["TableName"]) == (
        "ACTIVE", ROLE, "annotation",
    )  # fmt: skip
    assert await told_of(world) == [("a", "mood", "fine"), ("b", "mood", "so-so")]
    [first, _] = await rows(world, "annotation")
    assert (first["bucket"], first["size"], first["version_id"]) == ("shop", 4, None)
    await annotate(world, "a", "mood", "great")
    await annotate(world, "c", "taste", "sweet")
    await s3(world, "delete_object", Bucket="shop", Key="b")
    await s3(world, "copy_object", Bucket="shop", Key="d", CopySource="shop/c")
    await minutes(world, 1)
    await minutes(world, 31)
    assert await told_of(world) == [
        ("a", "mood", "great"), ("c", "taste", "sweet"), ("d", "taste", "sweet"),
    ]  # fmt: skip
    assert {one["record_type"] for one in await rows(world)} == {"CREATE", "DELETE"}
    await s3(world, "delete_object_annotation", Bucket="shop", Key="a", AnnotationName="mood")
    await minutes(world, 31)
    assert [one[0] for one in await told_of(world)] == ["c", "d"]


@told
async def test_a_table_of_annotations_is_begun_and_ended_later(world: World) -> None:
    await s3(world, "create_bucket", Bucket="shop")
    await role(world, *READS)
    await begin(world)
    assert "AnnotationTableConfigurationResult" not in await shown(world)

    async def turn(**asked: Any) -> None:
        await s3(
            world, "update_bucket_metadata_annotation_table_configuration", Bucket="shop",
            AnnotationTableConfiguration=asked,
        )  # fmt: skip
        await worked(world)

    assert (await refusal(turn(ConfigurationState="ENABLED")))[0] == "InvalidRequest"
    await turn(**ON)
    assert (await state(world))["TableStatus"] == "ACTIVE"
    await turn(ConfigurationState="DISABLED")
    assert await state(world) == {"ConfigurationState": "DISABLED", "Role": ROLE}
    await turn(ConfigurationState="ENABLED")
    assert (await state(world))["Error"]["ErrorCode"] == "AnnotationTableAlreadyExists"


@pytest.mark.parametrize("missing", ["", "trust", *READS])
def test_annotations_are_read_as_the_role(missing: str) -> None:
    @told
    async def story(world: World) -> None:
        await s3(world, "create_bucket", Bucket="shop")
        service = "ec2.amazonaws.com" if missing == "trust" else "metadata.s3.amazonaws.com"
        await role(world, *[one for one in READS if one != missing], service=service)
        await s3(world, "put_object", Bucket="shop", Key="a", Body=b"1")
        await annotate(world, "a", "mood", "fine")
        await begin(world, AnnotationTableConfiguration=ON)
        found = await state(world)
        if missing:
            assert found["Error"]["ErrorCode"] == "AccessDeniedReadingAnnotations"
            assert (await shown(world))["JournalTableConfigurationResult"][
                "TableStatus"
            ] == "ACTIVE"
        else:
            assert found["TableStatus"] == "ACTIVE"

    story()


@pytest.mark.parametrize("passes", [True, False])
def test_who_gives_s3_a_role_must_be_let_pass_it(passes: bool) -> None:
    @told
    async def story(world: World) -> None:
        await s3(world, "create_bucket", Bucket="shop")
        await role(world, *READS)
        actions = ["s3:*", "s3tables:*", *(["iam:PassRole"] if passes else [])]
        allowed = {"Effect": "Allow", "Action": actions, "Resource": "*"}
        barista = await user(world, "barista", allowed)
        call = world.call(
            "s3", "create_bucket_metadata_configuration", Bucket="shop", caller=barista,
            MetadataConfiguration=configuration(AnnotationTableConfiguration=ON),
        )  # fmt: skip
        if passes:
            await call
        else:
            assert (await refusal(call))[0] == "AccessDeniedException"
            code, _ = await refusal(s3(world, "get_bucket_metadata_configuration", Bucket="shop"))
            assert code == "MetadataConfigurationNotFound"

    story()


def test_a_crash_between_the_commits_of_one_key_doubles_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(metadata_annotations, "ANNOTATION_TABLE_BYTES_A_COMMIT", 4)

    async def prepare(world: World, told: Told) -> None:
        await s3(world, "create_bucket", Bucket="shop")
        await role(world, *READS)
        await s3(world, "put_object", Bucket="shop", Key="a", Body=b"1")
        await begin(
            world, AnnotationTableConfiguration=ON,
            InventoryTableConfiguration={"ConfigurationState": "DISABLED"},
        )  # fmt: skip
        for name in ("one", "three", "two"):
            await annotate(world, "a", name, "abcde")

    async def work(world: World, told: Told) -> None:
        await minutes(world, 31)

    async def check(world: World, told: Told) -> None:
        await worked(world)
        await minutes(world, 62)
        assert await told_of(world) == [
            ("a", "one", "abcde"), ("a", "three", "abcde"), ("a", "two", "abcde"),
        ]  # fmt: skip

    assert crash_everywhere(prepare, work, check) >= 12
