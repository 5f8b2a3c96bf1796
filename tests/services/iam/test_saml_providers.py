"""SAML providers: what is taken as metadata, and what becomes of keys."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from doppio.services.iam import limits
from doppio.services.iam.provider_records import SamlProvider
from doppio.services.iam.saml_providers import opened_saml_keys
from tests.services.sts.idp import IdP, pem_of
from tests.services.world import ACCOUNT, OTHER, START, World, refusal, refused, told

from .certificates import rsa_key
from .helpers import document, iam, user

ARN = f"arn:aws:iam::{ACCOUNT}:saml-provider/Cafe"
NAMED = {"SAMLProviderArn": ARN}
METADATA = IdP().metadata()


async def create(world: World, **more: Any) -> Any:
    req = {"Name": "Cafe", "SAMLMetadataDocument": METADATA, **more}
    return await iam(world, "create_saml_provider", **req)


@told
async def test_a_provider_is_made_shown_listed_and_deleted(world: World) -> None:
    tags = [{"Key": "b", "Value": "2"}, {"Key": "a", "Value": "1"}]
    made = await create(world, Tags=tags)
    assert made == {"SAMLProviderArn": ARN, "Tags": tags[::-1]}
    got = await iam(world, "get_saml_provider", **NAMED)
    forever = START.replace(year=2130)
    assert len(got.pop("SAMLProviderUUID")) >= 22
    assert got == {
        "SAMLMetadataDocument": METADATA, "CreateDate": START, "ValidUntil": forever,
        "Tags": tags[::-1],
    }  # fmt: skip
    assert await refusal(create(world)) == (
        "EntityAlreadyExists", "Provider with name Cafe already exists.",
    )  # fmt: skip
    until = START + timedelta(days=10)
    await iam(
        world, "update_saml_provider", **NAMED, SAMLMetadataDocument=IdP().metadata(until=until)
    )
    listed = await iam(world, "list_saml_providers")
    assert listed["SAMLProviderList"] == [{"Arn": ARN, "CreateDate": START, "ValidUntil": until}]
    await iam(world, "tag_saml_provider", **NAMED, Tags=[{"Key": "c", "Value": "3"}])
    await iam(world, "untag_saml_provider", **NAMED, TagKeys=["a", "b"])
    shown = await iam(world, "list_saml_provider_tags", **NAMED)
    assert shown["Tags"] == [{"Key": "c", "Value": "3"}]
    await iam(world, "delete_saml_provider", **NAMED)
    for method in ("get_saml_provider", "delete_saml_provider"):
        assert await refusal(iam(world, method, **NAMED)) == (
            "NoSuchEntity", f"Manifest not found for arn {ARN}",
        )  # fmt: skip


def changed(old: str, new: str) -> str:
    assert old in METADATA
    return METADATA.replace(old, new)


@pytest.mark.parametrize(
    "metadata",
    [
        "x" * 1_000,
        METADATA[:-5],
        changed("entityID='https://idp.example.com/saml'", ""),
        changed("EntityDescriptor", "EntitiesDescriptor"),
        changed("IDPSSODescriptor", "SPSSODescriptor"),
        changed("urn:oasis:names:tc:SAML:2.0:protocol", "urn:oasis:names:tc:SAML:1.1:protocol"),
        changed("use='signing'", "use='encryption'"),
        changed("<ds:X509Certificate>", "<ds:X509Certificate>AAAA"),
        changed("<?xml version='1.0'?>",
                "<?xml version='1.0'?><!DOCTYPE a [<!ENTITY b SYSTEM 'file:///etc/passwd'>]>"),
        changed("entityID=", "validUntil='soon' entityID="),
    ],
    ids=str.split("long cut nameless plural service protocol encrypting certificate entity soon"),
)  # fmt: skip
def test_what_is_no_metadata_of_an_identity_provider_is_refused(metadata: str) -> None:
    @told
    async def story(world: World) -> None:
        assert await refusal(create(world, SAMLMetadataDocument=metadata)) == (
            "InvalidInput", "Could not parse metadata",
        )  # fmt: skip

    story()


@told
async def test_metadata_that_is_over_is_refused(world: World) -> None:
    error = await refused(create(world, SAMLMetadataDocument=IdP().metadata(until=START)))
    assert (error.code, error.status) == ("InvalidInput", 400)


@told
async def test_private_keys_are_sealed_rotated_and_needed_where_encryption_is(
    world: World,
) -> None:
    assert await refusal(create(world, AssertionEncryptionMode="Required")) == (
        "InvalidInput",
        "Unable to set assertion encryption mode to Required because no private key is provided",
    )
    first, second = rsa_key(1), rsa_key(2)
    await create(world, AddPrivateKey=pem_of(first), AssertionEncryptionMode="Required")
    await iam(world, "update_saml_provider", **NAMED, AddPrivateKey=pem_of(second))
    got = await iam(world, "get_saml_provider", **NAMED)
    assert got["AssertionEncryptionMode"] == "Required"
    ids = [one["KeyId"] for one in got["PrivateKeyList"]]
    assert len(set(ids)) == 2
    context = world.cloud.root_context(ACCOUNT)
    provider = await context.read().get(SamlProvider, ACCOUNT, "Cafe")
    assert provider is not None
    opened = await opened_saml_keys(context, provider)
    assert [key.private_numbers() for key in opened] == [
        first.private_numbers(), second.private_numbers(),
    ]  # fmt: skip
    error = await refused(
        iam(world, "update_saml_provider", **NAMED, AddPrivateKey=pem_of(rsa_key(3)))
    )
    assert error.code == "LimitExceeded"
    await iam(world, "update_saml_provider", **NAMED, RemovePrivateKey=ids[0])
    for more, text in (
        ({"RemovePrivateKey": ids[0]},
         "Failed to remove private key because the key ID does not match a private key"),
        ({"RemovePrivateKey": ids[1]},
         "Failed to remove private key because assertion encryption mode is Required"),
        ({"RemovePrivateKey": ids[1], "AddPrivateKey": pem_of(first)},
         ("Unable to add and remove private keys in the same request. Only set one of the "
          "parameters.")),
        ({"AddPrivateKey": "no key"}, "Invalid private key"),
    ):  # fmt: skip
        assert await refusal(iam(world, "update_saml_provider", **NAMED, **more)) == (
            "InvalidInput", text,
        )  # fmt: skip
    await iam(
        world, "update_saml_provider", **NAMED, RemovePrivateKey=ids[1],
        AssertionEncryptionMode="Allowed",
    )  # fmt: skip
    assert "PrivateKeyList" not in await iam(world, "get_saml_provider", **NAMED)


def test_an_account_has_a_hundred_providers(monkeypatch: pytest.MonkeyPatch) -> None:
    assert limits.SAML_PROVIDERS_MAX == 100
    monkeypatch.setattr(limits, "SAML_PROVIDERS_MAX", 1)

    @told
    async def story(world: World) -> None:
        await create(world)
        assert await refusal(create(world, Name="Two")) == (
            "LimitExceeded", "Cannot exceed quota for SAMLProvidersPerAccount: 1",
        )  # fmt: skip
        await world.call(
            "iam", "create_saml_provider", account=OTHER, Name="Cafe", SAMLMetadataDocument=METADATA
        )

    story()


@told
async def test_a_policy_speaks_of_a_providers_arn_and_tags(world: World) -> None:
    await create(world, Tags=[{"Key": "shop", "Value": "harbour"}])
    condition = {"StringEquals": {"aws:ResourceTag/shop": "harbour"}}
    boss = await user(
        world, "boss",
        document("iam:GetSAMLProvider", resource=ARN, Condition=condition),
        document("iam:CreateSAMLProvider", resource=f"{ARN}*"),
    )  # fmt: skip
    await world.call("iam", "get_saml_provider", caller=boss, **NAMED)
    await world.call(
        "iam", "create_saml_provider", caller=boss, Name="Cafe2", SAMLMetadataDocument=METADATA
    )
    for method, req in (
        ("delete_saml_provider", NAMED),
        ("get_saml_provider", {"SAMLProviderArn": f"{ARN}2"}),
        ("create_saml_provider", {"Name": "Bar", "SAMLMetadataDocument": METADATA}),
    ):
        error = await refused(world.call("iam", method, caller=boss, **req))
        assert error.status == 403
