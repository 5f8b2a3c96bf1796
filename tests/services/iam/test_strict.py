"""`--auth strict`: the convenience keys are nobody's, and every key must be one that IAM has given."""

from __future__ import annotations

import configparser
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from doppio.app import Settings
from doppio.server import InThread


@pytest.fixture(scope="module")
def strict() -> Iterator[InThread]:
    thread = InThread(Settings(port=0, strict_auth=True))
    thread.start()
    yield thread
    thread.stop()


def client(strict: InThread, service: str, key: str, secret: str, token: str | None = None) -> Any:
    """A real client with these keys."""
    assert strict.running is not None
    return boto3.client(
        service, endpoint_url=strict.running.endpoint, region_name="us-east-1",
        aws_access_key_id=key, aws_secret_access_key=secret, aws_session_token=token,
    )  # fmt: skip


@pytest.mark.parametrize(
    "key", ["test", "000000000000", "123456789012", "testcontainers-localstack"]
)
@pytest.mark.parametrize("token", [None, "test"])
def test_convenience_keys_are_refused_over_http(
    strict: InThread, key: str, token: str | None
) -> None:
    for service, method, code in (
        ("sts", "get_caller_identity", "InvalidClientTokenId"),
        ("sqs", "list_queues", "InvalidClientTokenId"),
        ("s3", "list_buckets", "InvalidAccessKeyId"),
        ("dynamodb", "list_tables", "UnrecognizedClientException"),
    ):
        with pytest.raises(ClientError) as refused:
            getattr(client(strict, service, key, "test", token), method)()
        assert refused.value.response["Error"]["Code"] == code


def test_keys_that_iam_has_given_count_and_so_do_sessions(strict: InThread) -> None:
    running = strict.running
    assert running is not None
    root = strict.call(running.cloud.identities.root_key("123456789012"))
    iam = client(strict, "iam", *root)
    iam.create_user(UserName="barista")
    key = iam.create_access_key(UserName="barista")["AccessKey"]
    sts = client(strict, "sts", key["AccessKeyId"], key["SecretAccessKey"])
    assert sts.get_caller_identity()["Arn"] == "arn:aws:iam::123456789012:user/barista"
    session = sts.get_session_token()["Credentials"]
    again = client(
        strict, "sts", session["AccessKeyId"], session["SecretAccessKey"], session["SessionToken"]
    )
    assert again.get_caller_identity()["Account"] == "123456789012"
    wrong = client(strict, "sts", key["AccessKeyId"], "test")
    with pytest.raises(ClientError) as refused:
        wrong.get_caller_identity()
    assert refused.value.response["Error"]["Code"] == "SignatureDoesNotMatch"


@pytest.mark.parametrize("user", ["", "till"])
def test_a_lasting_key_counts_for_nothing_beside_a_token_that_was_left_over(
    strict: InThread, user: str
) -> None:
    running = strict.running
    assert running is not None
    key = strict.call(running.cloud.identities.root_key("210987654321"))
    if user:
        iam = client(strict, "iam", *key)
        iam.create_user(UserName=user)
        made = iam.create_access_key(UserName=user)["AccessKey"]
        key = made["AccessKeyId"], made["SecretAccessKey"]
    assert client(strict, "sts", *key).get_caller_identity()["Account"] == "210987654321"
    with pytest.raises(ClientError) as refused:
        client(strict, "sts", *key, "left over").get_caller_identity()
    assert refused.value.response["Error"] == {
        "Type": "Sender", "Code": "InvalidClientTokenId",
        "Message": "The security token included in the request is invalid.",
    }  # fmt: skip


def test_the_keys_of_other_partitions_stand_beside_the_default_ones(tmp_path: Path) -> None:
    thread = InThread(Settings(data=tmp_path / "data", port=0, strict_auth=True, fsync=False))
    thread.start()
    try:
        assert thread.running is not None
        file = tmp_path / "data" / "credentials"
        profiles = configparser.ConfigParser()
        profiles.read(file)
        for profile, partition, region in (
            ("default", "aws", "us-east-1"), ("govcloud", "aws-us-gov", "us-gov-west-1"),
            ("china", "aws-cn", "cn-north-1"),
        ):  # fmt: skip
            keys = profiles[profile]
            assert keys.get("region", region) == region
            sts = boto3.client(
                "sts", endpoint_url=thread.running.endpoint, region_name=region,
                aws_access_key_id=keys["aws_access_key_id"],
                aws_secret_access_key=keys["aws_secret_access_key"],
            )  # fmt: skip
            assert sts.get_caller_identity()["Arn"] == f"arn:{partition}:iam::000000000000:root"
    finally:
        thread.stop()
