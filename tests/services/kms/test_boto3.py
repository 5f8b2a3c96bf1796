"""Keys, secrets and parameters through a real client, by real HTTP."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization

from doppio.testing import Account, Cloud
from tests.services.kms.test_imports import SECRET, wrapped

THERE = "eu-west-1"


@pytest.fixture(scope="module")
def cloud() -> Iterator[Cloud]:
    with Cloud() as running:
        yield running


def elsewhere(account: Account, service: str) -> Any:
    """A client for the other Region."""
    return account.client(service, region_name=THERE)


def test_material_is_imported_and_secrets_are_shared(cloud: Cloud) -> None:
    kms = cloud.account().client("kms")
    key = kms.create_key(Origin="EXTERNAL")["KeyMetadata"]["KeyId"]
    asked = kms.get_parameters_for_import(
        KeyId=key, WrappingAlgorithm="RSA_AES_KEY_WRAP_SHA_256", WrappingKeySpec="RSA_3072"
    )
    kms.import_key_material(
        KeyId=key,
        ImportToken=asked["ImportToken"],
        EncryptedKeyMaterial=wrapped(asked["PublicKey"], "RSA_AES_KEY_WRAP_SHA_256", SECRET),
        ExpirationModel="KEY_MATERIAL_DOES_NOT_EXPIRE",
    )
    blob = kms.encrypt(KeyId=key, Plaintext=b"beans")["CiphertextBlob"]
    kms.delete_imported_key_material(KeyId=key)
    with pytest.raises(kms.exceptions.KMSInvalidStateException, match="is pending import"):
        kms.decrypt(CiphertextBlob=blob)
    pair = kms.create_key(KeySpec="ML_KEM_768", KeyUsage="ENCAPSULATE_DECAPSULATE")["KeyMetadata"]
    public: Any = serialization.load_der_public_key(
        kms.get_public_key(KeyId=pair["KeyId"])["PublicKey"]
    )
    secret, sealed = public.encapsulate()
    opened = kms.decapsulate(
        KeyId=pair["KeyId"], EncapsulationAlgorithm="ML_KEM", SharedSecretCiphertextBlob=sealed
    )
    assert opened["SharedSecret"] == secret
    used = kms.get_key_last_usage(KeyId=pair["KeyId"])["KeyLastUsage"]
    assert used["Operation"] == "Decapsulate"


def test_keys_and_secrets_are_the_same_in_two_regions(cloud: Cloud) -> None:
    account = cloud.account()
    kms, there = account.client("kms"), elsewhere(account, "kms")
    key = kms.create_key(MultiRegion=True)["KeyMetadata"]["KeyId"]
    kms.replicate_key(KeyId=key, ReplicaRegion=THERE)
    until = time.monotonic() + 30
    while there.describe_key(KeyId=key)["KeyMetadata"]["KeyState"] == "Creating":
        assert time.monotonic() < until
        time.sleep(0.1)
    blob = kms.encrypt(KeyId=key, Plaintext=b"beans")["CiphertextBlob"]
    assert there.decrypt(CiphertextBlob=blob)["Plaintext"] == b"beans"
    secrets = account.client("secretsmanager")
    secrets.create_secret(
        Name="till",
        SecretString="1234",
        KmsKeyId=key,
        AddReplicaRegions=[{"Region": THERE, "KmsKeyId": key}],
    )
    secrets.put_secret_value(SecretId="till", SecretString="5678")
    twin = elsewhere(account, "secretsmanager")
    assert twin.get_secret_value(SecretId="till")["SecretString"] == "5678"
    with pytest.raises(twin.exceptions.InvalidRequestException, match="replica secret"):
        twin.put_secret_value(SecretId="till", SecretString="9")
    with pytest.raises(secrets.exceptions.ClientError, match="cannot invoke"):
        secrets.rotate_secret(
            SecretId="till",
            RotationLambdaARN=f"arn:aws:lambda:us-east-1:{account.account_id}:function:rotate",
            RotationRules={"AutomaticallyAfterDays": 30},
        )


def test_a_parameter_is_shared_with_another_account(cloud: Cloud) -> None:
    account, friend = cloud.account(), cloud.account()
    ssm = account.client("ssm")
    ssm.update_service_setting(
        SettingId="/ssm/parameter-store/default-parameter-tier", SettingValue="Advanced"
    )
    assert ssm.put_parameter(Name="/shop/open", Value="8", Type="String")["Tier"] == "Advanced"
    arn = ssm.get_parameter(Name="/shop/open")["Parameter"]["ARN"]
    let = {
        "Effect": "Allow",
        "Principal": {"AWS": friend.account_id},
        "Action": "ssm:GetParameter",
        "Resource": arn,
    }
    theirs = friend.client("ssm")
    with pytest.raises(theirs.exceptions.ClientError, match="not authorized"):
        theirs.get_parameter(Name=arn)
    made = ssm.put_resource_policy(
        ResourceArn=arn, Policy=json.dumps({"Version": "2012-10-17", "Statement": [let]})
    )
    assert theirs.get_parameter(Name=arn)["Parameter"]["Value"] == "8"
    ssm.delete_resource_policy(
        ResourceArn=arn, PolicyId=made["PolicyId"], PolicyHash=made["PolicyHash"]
    )
    with pytest.raises(theirs.exceptions.ClientError, match="not authorized"):
        theirs.get_parameter(Name=arn)
