"""Server certificates: what is taken, what is shown of it, and what is refused."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519

from doppio.kernel import own_keys
from doppio.services.iam import limits
from doppio.services.iam.records import ServerCertificate
from doppio.services.iam.server_certificates import KEYS
from tests.services.crashes import Told, crash_everywhere
from tests.services.world import ACCOUNT, START, World, refusal, refused, told

from .certificates import PEM, Issued, issued, rsa_key
from .helpers import document, iam, user

ROOT = issued("Root")
MIDDLE = issued("Middle", ROOT)
SHOP = issued("shop.example.com", MIDDLE)


async def upload(world: World, one: Issued = SHOP, **more: Any) -> Any:
    """Upload a certificate with its own key."""
    req = {
        "ServerCertificateName": "shop", "CertificateBody": one.pem, "PrivateKey": one.key_pem,
        **more,
    }  # fmt: skip
    return await iam(world, "upload_server_certificate", **req)


@told
async def test_a_certificate_is_kept_with_its_chain_and_without_showing_its_key(
    world: World,
) -> None:
    chain = MIDDLE.pem + ROOT.pem
    made = await upload(
        world, Path="/cloudfront/", CertificateChain=chain, Tags=[{"Key": "a", "Value": "b"}]
    )
    about = made["ServerCertificateMetadata"]
    arn = f"arn:aws:iam::{ACCOUNT}:server-certificate/cloudfront/shop"
    assert about["ServerCertificateId"].startswith("ASCA")
    assert about == {
        "Path": "/cloudfront/", "ServerCertificateName": "shop", "Arn": arn,
        "ServerCertificateId": about["ServerCertificateId"], "UploadDate": world.now,
        "Expiration": START + timedelta(days=30),
    }  # fmt: skip
    assert made["Tags"] == [{"Key": "a", "Value": "b"}]
    got = (await iam(world, "get_server_certificate", ServerCertificateName="shop"))[
        "ServerCertificate"
    ]
    assert got == {
        "ServerCertificateMetadata": about, "CertificateBody": SHOP.pem.strip(),
        "CertificateChain": chain.strip(), "Tags": [{"Key": "a", "Value": "b"}],
    }  # fmt: skip
    kept = await world.cloud.root_context(ACCOUNT).read().get(ServerCertificate, ACCOUNT, "shop")
    assert kept is not None
    assert b"PRIVATE" not in kept.sealed_key
    world = world.again()
    await world.start()
    listed = await iam(world, "list_server_certificates", PathPrefix="/cloudfront/")
    assert listed["ServerCertificateMetadataList"] == [about]
    await world.close()


@told
async def test_a_certificate_is_renamed_tagged_and_deleted(world: World) -> None:
    await upload(world, issued("rsa", key=rsa_key()))
    await upload(world, ServerCertificateName="other")
    named = {"ServerCertificateName": "shop"}
    assert await refusal(
        iam(world, "update_server_certificate", **named, NewServerCertificateName="Other")
    ) == ("EntityAlreadyExists", "The Server Certificate with name Other already exists.")
    await iam(world, "update_server_certificate", **named, NewServerCertificateName="Shop")
    named = {"ServerCertificateName": "Shop"}
    await iam(world, "update_server_certificate", **named, NewPath="/new/")
    await iam(world, "tag_server_certificate", **named, Tags=[{"Key": "a", "Value": "1"}])
    await iam(world, "untag_server_certificate", **named, TagKeys=["b"])
    tags = await iam(world, "list_server_certificate_tags", **named)
    assert tags["Tags"] == [{"Key": "a", "Value": "1"}]
    listed = await iam(world, "list_server_certificates", MaxItems=1)
    assert listed["IsTruncated"] is True
    more = await iam(world, "list_server_certificates", Marker=listed["Marker"])
    rows = listed["ServerCertificateMetadataList"] + more["ServerCertificateMetadataList"]
    assert [row["ServerCertificateName"] for row in rows] == ["other", "Shop"]
    await iam(world, "delete_server_certificate", **named)
    gone = ("NoSuchEntity", "The Server Certificate with name Shop cannot be found.")
    for method in ("delete_server_certificate", "get_server_certificate"):
        assert await refusal(iam(world, method, **named)) == gone


ED = Issued(SHOP.certificate, ed25519.Ed25519PrivateKey.from_private_bytes(bytes(32)))
LOCKED = SHOP.key.private_bytes(
    PEM, serialization.PrivateFormat.PKCS8, serialization.BestAvailableEncryption(b"secret")
).decode()
UNREADABLE = "Unable to parse certificate. Please ensure the certificate is in PEM format."


@pytest.mark.parametrize(
    ("more", "says"),
    [
        ({"CertificateBody": "no certificate"}, UNREADABLE),
        ({"CertificateBody": SHOP.pem + MIDDLE.pem}, UNREADABLE),
        ({"PrivateKey": "no key"}, "Invalid Private Key."),
        ({"PrivateKey": LOCKED}, "Invalid Private Key."),
        ({"PrivateKey": ED.key_pem}, "Invalid Private Key."),
        ({"CertificateBody": issued("old", since=START - timedelta(days=31)).pem},
         'Certificate is no longer valid. The "Not After" date is 2029-12-31T00:00:00Z.'),
        ({"CertificateBody": issued("new", since=START + timedelta(days=1)).pem},
         'Certificate is not yet valid. The "Not Before" date is 2030-01-02T00:00:00Z.'),
        ({"CertificateChain": "no chain"},
         "Unable to parse certificate chain. Please ensure the chain is in PEM format."),
        ({"CertificateChain": ROOT.pem}, "is: 0"),
        ({"CertificateChain": MIDDLE.pem + issued("Root").pem}, "is: 1"),
    ],
)  # fmt: skip
def test_what_is_no_certificate_key_or_chain_is_refused(more: dict[str, Any], says: str) -> None:
    @told
    async def story(world: World) -> None:
        error = await refused(upload(world, **more))
        assert (error.code, error.status) == ("MalformedCertificate", 400)
        assert error.message.endswith(says)
        listed = await iam(world, "list_server_certificates")
        assert listed["ServerCertificateMetadataList"] == []

    story()


@told
async def test_a_key_of_another_certificate_is_refused(world: World) -> None:
    error = await refused(upload(world, PrivateKey=ROOT.key_pem))
    assert (error.code, error.status) == ("KeyPairMismatch", 400)


def test_an_account_has_twenty_certificates(monkeypatch: pytest.MonkeyPatch) -> None:
    assert limits.SERVER_CERTIFICATES_MAX == 20
    monkeypatch.setattr(limits, "SERVER_CERTIFICATES_MAX", 1)

    @told
    async def story(world: World) -> None:
        await upload(world)
        assert await refusal(upload(world, ServerCertificateName="two")) == (
            "LimitExceeded", "Cannot exceed quota for ServerCertificatesPerAccount: 1",
        )  # fmt: skip
        error = await refused(upload(world))
        assert error.code == "EntityAlreadyExists"

    story()


@told
async def test_policies_speak_of_a_certificates_path_and_of_both_names(world: World) -> None:
    await upload(world, Path="/bar/")
    arn = f"arn:aws:iam::{ACCOUNT}:server-certificate/bar/*"
    boss = await user(world, "boss", document("iam:*", resource=arn))
    named = {"ServerCertificateName": "shop"}
    await world.call("iam", "get_server_certificate", caller=boss, **named)
    moved = world.call("iam", "update_server_certificate", caller=boss, NewPath="/till/", **named)
    assert (await refused(moved)).status == 403
    await world.call(
        "iam", "update_server_certificate", caller=boss, NewServerCertificateName="b", **named
    )


def test_a_crash_leaves_a_whole_certificate_or_none() -> None:
    async def prepare(world: World, told: Told) -> None:
        pass

    async def work(world: World, told: Told) -> None:
        told["made"] = await upload(world)

    async def check(world: World, told: Told) -> None:
        rows = (await iam(world, "list_server_certificates"))["ServerCertificateMetadataList"]
        if "made" in told:
            assert rows == [told["made"]["ServerCertificateMetadata"]]
        if rows:
            context = world.cloud.root_context(ACCOUNT)
            kept = await context.read().get(ServerCertificate, ACCOUNT, "shop")
            assert kept is not None
            cipher = await own_keys.own_cipher(context, KEYS)
            assert own_keys.unseal(cipher, kept.sealed_key).decode() == SHOP.key_pem

    # The key that seals is made with the first certificate.
    assert crash_everywhere(prepare, work, check) == 2
