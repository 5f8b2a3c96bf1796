"""The AWS Encryption SDK, its keyrings, and Secrets Manager's cache, in their own words."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable

import aws_encryption_sdk
import boto3
from aws_cryptographic_material_providers.mpl import AwsCryptographicMaterialProviders
from aws_cryptographic_material_providers.mpl.config import MaterialProvidersConfig
from aws_cryptographic_material_providers.mpl.models import (
    CreateAwsKmsEcdhKeyringInput,
    CreateAwsKmsKeyringInput,
    CreateAwsKmsMrkKeyringInput,
    CreateAwsKmsRsaKeyringInput,
    KmsEcdhStaticConfigurationsKmsPrivateKeyToStaticPublicKey,
    KmsPrivateKeyToStaticPublicKeyInput,
)
from aws_cryptography_primitives.smithygenerated.aws_cryptography_primitives.models import (
    ECDHCurveSpec,
)
from aws_secretsmanager_caching import SecretCache, SecretCacheConfig
from cryptography.hazmat.primitives import serialization

RECIPE = b"two spoons, ninety-two degrees" * 1_000
CONTEXT = {"shop": "one"}
client = aws_encryption_sdk.EncryptionSDKClient()
providers = AwsCryptographicMaterialProviders(config=MaterialProvidersConfig())
here, there = boto3.client("kms"), boto3.client("kms", region_name="eu-west-1")


def key(**req: object) -> str:
    """A key's ARN."""
    arn: str = here.create_key(**req)["KeyMetadata"]["Arn"]
    return arn


def there_and_back(encrypting: object, decrypting: object) -> None:
    """What one keyring encrypts the other decrypts."""
    sealed, _ = client.encrypt(source=RECIPE, keyring=encrypting, encryption_context=CONTEXT)
    assert RECIPE[:30] not in sealed
    opened, header = client.decrypt(source=sealed, keyring=decrypting)
    assert opened == RECIPE
    assert header.encryption_context.items() >= CONTEXT.items()


def failure(work: Callable[[], object]) -> str:
    """How something fails; the library raises errors of generated code."""
    try:
        work()
    except Exception as error:
        return repr(error)
    raise AssertionError("it did not fail")


def ring(arn: str, kms: object = here) -> object:
    """A keyring of a symmetric key."""
    return providers.create_aws_kms_keyring(
        input=CreateAwsKmsKeyringInput(kms_key_id=arn, kms_client=kms)
    )


def symmetric() -> None:
    """A keyring, and the master key provider of older versions; another key opens nothing."""
    arn, other = key(), key()
    there_and_back(ring(arn), ring(arn))
    sealed, _ = client.encrypt(source=RECIPE, keyring=ring(arn))
    said = failure(lambda: client.decrypt(source=sealed, keyring=ring(other)))
    assert "DecryptDataKey" in said or "data key" in said, said
    strict = aws_encryption_sdk.StrictAwsKmsMasterKeyProvider(key_ids=[arn])
    sealed, _ = client.encrypt(source=RECIPE, key_provider=strict, encryption_context=CONTEXT)
    opened, _ = client.decrypt(source=sealed, keyring=ring(arn))
    assert opened == RECIPE
    wrong = aws_encryption_sdk.StrictAwsKmsMasterKeyProvider(key_ids=[other])
    said = failure(lambda: client.decrypt(source=sealed, key_provider=wrong))
    assert "DecryptKeyError" in said or "data key" in said, said


def many_regions() -> None:
    """What a key's one half of the world encrypts its other half decrypts."""
    arn = key(MultiRegion=True)
    made = here.replicate_key(KeyId=arn, ReplicaRegion="eu-west-1")
    twin = made["ReplicaKeyMetadata"]["Arn"]
    while there.describe_key(KeyId=twin)["KeyMetadata"]["KeyState"] == "Creating":
        time.sleep(0.2)

    def multi(name: str, kms: object) -> object:
        return providers.create_aws_kms_mrk_keyring(
            input=CreateAwsKmsMrkKeyringInput(kms_key_id=name, kms_client=kms)
        )

    there_and_back(multi(arn, here), multi(twin, there))


def pairs() -> None:
    """RSA wraps data keys; ECDH agrees on what wraps them."""
    arn = key(KeySpec="RSA_2048", KeyUsage="ENCRYPT_DECRYPT")
    half = here.get_public_key(KeyId=arn)["PublicKey"]
    pem = serialization.load_der_public_key(half).public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    rsa = providers.create_aws_kms_rsa_keyring(
        input=CreateAwsKmsRsaKeyringInput(
            kms_key_id=arn, kms_client=here, public_key=pem,
            encryption_algorithm="RSAES_OAEP_SHA_256",
        )
    )  # fmt: skip
    suite = aws_encryption_sdk.Algorithm.AES_256_GCM_HKDF_SHA512_COMMIT_KEY
    sealed, _ = client.encrypt(source=RECIPE, keyring=rsa, algorithm=suite)
    opened, _ = client.decrypt(source=sealed, keyring=rsa)
    assert opened == RECIPE
    ours, theirs = (key(KeySpec="ECC_NIST_P256", KeyUsage="KEY_AGREEMENT") for _ in "12")

    def agreed(mine: str, other: str) -> object:
        schema = KmsEcdhStaticConfigurationsKmsPrivateKeyToStaticPublicKey(
            KmsPrivateKeyToStaticPublicKeyInput(
                sender_kms_identifier=mine,
                sender_public_key=here.get_public_key(KeyId=mine)["PublicKey"],
                recipient_public_key=here.get_public_key(KeyId=other)["PublicKey"],
            )
        )
        return providers.create_aws_kms_ecdh_keyring(
            input=CreateAwsKmsEcdhKeyringInput(
                kms_client=here, curve_spec=ECDHCurveSpec.ECC_NIST_P256,
                key_agreement_scheme=schema,
            )
        )  # fmt: skip

    there_and_back(agreed(ours, theirs), agreed(theirs, ours))


def cached() -> None:
    """The cache reads a secret once, and anew when it is told to."""
    secrets = boto3.client("secretsmanager")
    secrets.create_secret(Name="till", SecretString="1234")
    cache = SecretCache(config=SecretCacheConfig(), client=secrets)
    assert cache.get_secret_string("till") == "1234"
    secrets.put_secret_value(SecretId="till", SecretString="5678")
    assert cache.get_secret_string("till") == "1234"
    fresh = SecretCache(config=SecretCacheConfig(), client=secrets)
    assert fresh.get_secret_string("till") == "5678"
    assert fresh.get_secret_string("till", version_stage="AWSPREVIOUS") == "1234"


for name in sys.argv[1:]:
    globals()[name]()
print("done")
