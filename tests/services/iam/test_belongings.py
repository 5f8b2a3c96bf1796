"""SSH public keys, signing certificates, passwords for single services, and login profiles."""

from __future__ import annotations

from datetime import timedelta
from functools import cache
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa

from doppio.services.iam.login_profiles import password_is
from doppio.services.iam.records import LoginProfile
from tests.services.world import ACCOUNT, START, World, refusal, refused, told

from .helpers import document, iam, user

PEM = serialization.Encoding.PEM
SSH = serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH


@cache
def private(number: int) -> rsa.RSAPrivateKey:
    """A private key."""
    return rsa.generate_private_key(public_exponent=65_537, key_size=1_024 + 8 * number)


def ssh_key(number: int = 0) -> str:
    """A public key as OpenSSH writes it."""
    return private(number).public_key().public_bytes(*SSH).decode()


def certificate(number: int = 0) -> str:
    """A certificate that signs itself."""
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, f"barista {number}")])
    made = (
        x509.CertificateBuilder().subject_name(name).issuer_name(name)
        .public_key(private(0).public_key()).serial_number(number + 1)
        .not_valid_before(START).not_valid_after(START + timedelta(days=1))
        .sign(private(0), hashes.SHA256())
    )  # fmt: skip
    return made.public_bytes(PEM).decode()


@told
async def test_an_ssh_key_is_kept_without_its_comment_and_shown_in_both_forms(world: World) -> None:
    await iam(world, "create_user", UserName="alice")
    named = {"UserName": "alice"}
    made = await iam(
        world, "upload_ssh_public_key", SSHPublicKeyBody=f"{ssh_key()} alice@bar\n", **named
    )
    key = made["SSHPublicKey"]
    assert (key["SSHPublicKeyBody"], key["Status"]) == (ssh_key(), "Active")
    assert len(key["Fingerprint"].split(":")) == 16
    id_ = key["SSHPublicKeyId"]
    assert id_.startswith("APKA")
    got = await iam(world, "get_ssh_public_key", SSHPublicKeyId=id_, Encoding="PEM", **named)
    pem = got["SSHPublicKey"]["SSHPublicKeyBody"]
    assert serialization.load_pem_public_key(pem.encode()) == private(0).public_key()
    error = await refused(iam(world, "upload_ssh_public_key", SSHPublicKeyBody=pem, **named))
    assert error.code == "DuplicateSSHPublicKey"
    await iam(world, "update_ssh_public_key", SSHPublicKeyId=id_, Status="Inactive", **named)
    listed = (await iam(world, "list_ssh_public_keys", **named))["SSHPublicKeys"]
    assert [(one["SSHPublicKeyId"], one["Status"]) for one in listed] == [(id_, "Inactive")]
    await iam(world, "delete_ssh_public_key", SSHPublicKeyId=id_, **named)
    assert await refusal(iam(world, "delete_ssh_public_key", SSHPublicKeyId=id_, **named)) == (
        "NoSuchEntity", f"The Public Key with id {id_} cannot be found.",
    )  # fmt: skip


@pytest.mark.parametrize(
    "body",
    [
        "garbage", "ssh-rsa AAAA", "-----BEGIN PUBLIC KEY-----\nx\n-----END PUBLIC KEY-----",
        ed25519.Ed25519PrivateKey.from_private_bytes(bytes(32)).public_key()
        .public_bytes(*SSH).decode(),
    ],
)  # fmt: skip
def test_what_is_no_rsa_key_is_refused(body: str) -> None:
    @told
    async def story(world: World) -> None:
        await iam(world, "create_user", UserName="alice")
        error = await refused(
            iam(world, "upload_ssh_public_key", UserName="alice", SSHPublicKeyBody=body)
        )
        assert error.code == "InvalidPublicKey"

    story()


@told
async def test_belongings_are_counted_renamed_and_hold_their_user(world: World) -> None:
    await iam(world, "create_user", UserName="alice")
    named = {"UserName": "alice"}
    for number in range(5):
        await iam(world, "upload_ssh_public_key", SSHPublicKeyBody=ssh_key(number), **named)
    assert await refusal(
        iam(world, "upload_ssh_public_key", SSHPublicKeyBody=ssh_key(5), **named)
    ) == ("LimitExceeded", "Cannot exceed quota for SSHPublicKeysPerUser: 5")
    await iam(world, "update_user", NewUserName="Alice", **named)
    listed = await iam(world, "list_ssh_public_keys", UserName="Alice", MaxItems=3)
    assert (len(listed["SSHPublicKeys"]), listed["IsTruncated"]) == (3, True)
    assert await refusal(iam(world, "delete_user", UserName="Alice")) == (
        "DeleteConflict", "Cannot delete entity, must remove referenced objects first.",
    )  # fmt: skip


@told
async def test_a_user_has_two_signing_certificates(world: World) -> None:
    alice = await user(world, "alice", document("iam:*SigningCertificate*"))
    made = await world.call(
        "iam", "upload_signing_certificate", caller=alice, CertificateBody=certificate()
    )
    id_ = made["Certificate"]["CertificateId"]
    error = await refused(
        iam(world, "upload_signing_certificate", UserName="alice", CertificateBody=certificate())
    )
    assert error.code == "DuplicateCertificate"
    await iam(world, "upload_signing_certificate", UserName="alice", CertificateBody=certificate(1))
    assert await refusal(
        iam(world, "upload_signing_certificate", UserName="alice", CertificateBody=certificate(2))
    ) == ("LimitExceeded", "Cannot exceed quota for CertificatesPerUser: 2")
    assert await refusal(
        iam(world, "upload_signing_certificate", UserName="alice", CertificateBody="garbage")
    ) == ("MalformedCertificate", "Certificate body is invalid.")
    await world.call(
        "iam", "update_signing_certificate", caller=alice, CertificateId=id_, Status="Inactive"
    )
    listed = await world.call("iam", "list_signing_certificates", caller=alice)
    assert {one["CertificateId"]: one["Status"] for one in listed["Certificates"]}[id_] == (
        "Inactive"
    )
    await world.call("iam", "delete_signing_certificate", caller=alice, CertificateId=id_)
    listed = await world.call("iam", "list_signing_certificates", caller=alice)
    assert len(listed["Certificates"]) == 1


@told
async def test_a_password_for_one_service_is_told_once(world: World) -> None:
    await iam(world, "create_user", UserName="alice")
    ask: dict[str, Any] = {"UserName": "alice", "ServiceName": "codecommit.amazonaws.com"}
    made = (await iam(world, "create_service_specific_credential", **ask))[
        "ServiceSpecificCredential"
    ]
    assert made["ServiceUserName"] == f"alice-at-{ACCOUNT}"
    id_ = made["ServiceSpecificCredentialId"]
    second = (await iam(world, "create_service_specific_credential", **ask))[
        "ServiceSpecificCredential"
    ]
    assert second["ServiceUserName"] != made["ServiceUserName"]
    error = await refused(iam(world, "create_service_specific_credential", **ask))
    assert error.code == "LimitExceeded"
    new = await iam(
        world, "reset_service_specific_credential", UserName="alice",
        ServiceSpecificCredentialId=id_,
    )  # fmt: skip
    assert new["ServiceSpecificCredential"]["ServicePassword"] != made["ServicePassword"]
    for more in ({"UserName": "alice"}, {"AllUsers": True}):
        listed = await iam(world, "list_service_specific_credentials", **more)
        rows = listed["ServiceSpecificCredentials"]
        assert len(rows) == 2
        assert all("ServicePassword" not in row for row in rows)
    other = await iam(
        world, "list_service_specific_credentials", UserName="alice",
        ServiceName="cassandra.amazonaws.com",
    )  # fmt: skip
    assert other["ServiceSpecificCredentials"] == []
    assert await refusal(
        iam(world, "create_service_specific_credential", UserName="alice", ServiceName="x")
    ) == (
        "NotSupportedService", "No such service x is supported for Service Specific Credentials",
    )  # fmt: skip
    for one in (id_, second["ServiceSpecificCredentialId"]):
        await iam(
            world, "update_service_specific_credential", UserName="alice",
            ServiceSpecificCredentialId=one, Status="Inactive",
        )  # fmt: skip
        await iam(
            world, "delete_service_specific_credential", UserName="alice",
            ServiceSpecificCredentialId=one,
        )  # fmt: skip
    await iam(world, "delete_user", UserName="alice")


@told
async def test_a_login_profile_lives_beside_its_user(world: World) -> None:
    await iam(world, "create_user", UserName="alice")
    missing = ("NoSuchEntity", "Login Profile for User alice cannot be found.")
    assert await refusal(iam(world, "get_login_profile", UserName="alice")) == missing
    assert await refusal(iam(world, "delete_login_profile", UserName="alice")) == missing
    made = await iam(
        world, "create_login_profile", UserName="alice", Password="Long enough 1",
        PasswordResetRequired=True,
    )  # fmt: skip
    assert made["LoginProfile"] == {
        "UserName": "alice", "CreateDate": world.now, "PasswordResetRequired": True,
    }  # fmt: skip
    assert await refusal(
        iam(world, "create_login_profile", UserName="alice", Password="Long enough 2")
    ) == ("EntityAlreadyExists", "Login Profile for User with name alice already exists.")
    await iam(world, "update_user", UserName="alice", NewUserName="eve")
    assert await refusal(iam(world, "delete_user", UserName="eve")) == (
        "DeleteConflict", "Cannot delete entity, must delete login profile first.",
    )  # fmt: skip
    await iam(world, "update_login_profile", UserName="eve", PasswordResetRequired=False)
    got = await iam(world, "get_login_profile", UserName="eve")
    assert got["LoginProfile"]["PasswordResetRequired"] is False
    await iam(world, "delete_login_profile", UserName="eve")
    await iam(world, "delete_user", UserName="eve")


@told
async def test_one_changes_ones_own_password_knowing_the_old_one(world: World) -> None:
    alice = await user(world, "alice", document("iam:ChangePassword"))
    await iam(world, "create_login_profile", UserName="alice", Password="Long enough 1")

    async def change(old: str, new: str) -> None:
        await world.call("iam", "change_password", caller=alice, OldPassword=old, NewPassword=new)

    error = await refused(change("Long enough 0", "Long enough 2"))
    assert error.code == "PasswordPolicyViolation"
    await change("Long enough 1", "Long enough 2")
    kept = await world.cloud.root_context(ACCOUNT).read().get(LoginProfile, ACCOUNT, "alice")
    assert kept is not None
    assert password_is(kept, "Long enough 2")
    assert not password_is(kept, "Long enough 1")
    assert b"Long" not in kept.hash + kept.salt
    error = await refused(
        iam(world, "change_password", OldPassword="Long enough 2", NewPassword="Long enough 3")
    )
    assert error.code == "InvalidUserType"


@pytest.mark.parametrize("password", ["Short 1", "alllowercase", "lowercase1", ACCOUNT])
def test_a_password_that_is_too_simple_is_refused(password: str) -> None:
    @told
    async def story(world: World) -> None:
        await iam(world, "create_user", UserName="alice")
        error = await refused(
            iam(world, "create_login_profile", UserName="alice", Password=password)
        )
        assert (error.code, error.status) == ("PasswordPolicyViolation", 400)

    story()
