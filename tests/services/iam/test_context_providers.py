"""Context providers: what is taken, shown and changed of them."""

from __future__ import annotations

from typing import Any

import pytest

from doppio.services.iam.context_providers import propagated, propagated_to_wire
from doppio.services.iam.provider_records import ContextProvider
from tests.services.sts.idp import ENTITY, IdP
from tests.services.world import ACCOUNT, World, refusal, refused, told

from .helpers import document, iam, user

OIDC = f"arn:aws:iam::{ACCOUNT}:oidc-provider/id.example.com"
SAML = f"arn:aws:iam::{ACCOUNT}:saml-provider/Cafe"
ASKED = {
    "SubjectSourceKey": "sub", "SubjectTypeValue": "user",
    "KeyDefinitionList": [
        {"SourceKey": "department", "TargetKey": "dept"}, {"SourceKey": "a b"},
    ],
}  # fmt: skip
SHOWN = {
    **ASKED,
    "KeyDefinitionList": [
        {"SourceKey": "department", "TargetKey": "dept"},
        {"SourceKey": "a b", "TargetKey": "a b"},
    ],
}


async def oidc(world: World, method: str = "update", **more: Any) -> Any:
    return await iam(
        world, f"{method}_open_id_connect_provider", OpenIDConnectProviderArn=OIDC, **more
    )


@told
async def test_an_oidc_provider_has_a_context_that_is_shown_changed_and_taken_away(
    world: World,
) -> None:
    await iam(world, "create_open_id_connect_provider", Url="https://id.example.com",
              ContextProvider=ASKED)  # fmt: skip
    assert (await oidc(world, "get"))["ContextProvider"] == SHOWN
    other = {"SubjectSourceKey": "email", "SubjectTypeSourceKey": "kind"}
    await oidc(world, ContextProvider=other)
    assert (await oidc(world, "get"))["ContextProvider"] == {**other, "KeyDefinitionList": []}
    assert await refusal(oidc(world, ContextProvider=other, RemoveContextProvider=True)) == (
        "InvalidInput", "Specify either ContextProvider or RemoveContextProvider, but not both.",
    )  # fmt: skip
    await oidc(world, RemoveContextProvider=True)
    assert "ContextProvider" not in await oidc(world, "get")
    error = await refused(
        iam(world, "update_open_id_connect_provider", OpenIDConnectProviderArn=f"{OIDC}/x")
    )
    assert error.code == "NoSuchEntity"


@told
async def test_a_saml_provider_has_one_and_names_its_keys(world: World) -> None:
    metadata = IdP().metadata()
    await iam(world, "create_saml_provider", Name="Cafe", SAMLMetadataDocument=metadata)
    named = {"SAMLProviderArn": SAML}
    assert "SAMLKeyHashes" not in await iam(world, "get_saml_provider", **named)
    error = await refused(
        iam(world, "update_saml_provider", **named, ContextProvider=ASKED,
            SAMLMetadataDocument=metadata)
    )  # fmt: skip
    assert error.code == "InvalidInput"
    await iam(world, "update_saml_provider", **named, ContextProvider=ASKED)
    got = await iam(world, "get_saml_provider", **named)
    assert got["ContextProvider"] == SHOWN
    [entry] = got["SAMLKeyHashes"]
    assert (entry["IssuerURL"], len(entry["KeyHashes"])) == (ENTITY, 1)
    await iam(world, "update_saml_provider", **named, SAMLMetadataDocument=metadata)
    assert (await iam(world, "get_saml_provider", **named))["ContextProvider"] == SHOWN


@pytest.mark.parametrize(
    ("more", "text"),
    [
        ({"SubjectTypeSourceKey": "kind"},
         "Specify either SubjectTypeSourceKey or SubjectTypeValue, but not both."),
        ({"SubjectSourceKey": "a  b"}, "The key a  b of the context provider is not valid."),
        ({"SubjectSourceKey": " a"}, "The key  a of the context provider is not valid."),
        ({"KeyDefinitionList": [{"SourceKey": "a", "TargetKey": "é"}]},
         "The key é of the context provider is not valid."),
        ({"KeyDefinitionList": [{"SourceKey": "a"}, {"SourceKey": "b", "TargetKey": "a"}]},
         "A target key can be defined only once."),
    ],
)  # fmt: skip
def test_a_context_that_cannot_be_is_refused(more: dict[str, Any], text: str) -> None:
    @told
    async def story(world: World) -> None:
        made = iam(
            world, "create_open_id_connect_provider", Url="https://id.example.com",
            ContextProvider={**ASKED, **more},
        )  # fmt: skip
        assert await refusal(made) == ("InvalidInput", text)

    story()


@told
async def test_an_instance_of_identity_center_is_refused(world: World) -> None:
    error = await refused(
        iam(
            world, "create_open_id_connect_provider", Url="https://id.example.com",
            ContextProvider=ASKED, IdentityCenterInstanceArn="arn:aws:sso:::instance/ssoins-1",
        )
    )  # fmt: skip
    assert error.code == "NotImplemented"


@told
async def test_who_may_enable_propagation_is_a_condition(world: World) -> None:
    never = {"Bool": {"iam:EnableIdentityPropagation": "false"}}
    boss = await user(world, "boss", document("iam:*", Condition=never))
    made: dict[str, Any] = {"Url": "https://id.example.com"}
    denied = world.call(
        "iam", "create_open_id_connect_provider", caller=boss, **made, ContextProvider=ASKED
    )
    assert (await refused(denied)).status == 403
    await iam(world, "create_open_id_connect_provider", **made)


def test_claims_become_keys_and_those_that_are_missing_or_too_long_do_not() -> None:
    provider = ContextProvider(
        subject="sub", subject_type_key="kind",
        keys=(("dept", "department"), ("none", "none"), ("long", "long")),
    )  # fmt: skip
    claims = {"sub": "alice", "kind": "workload", "dept": "bar", "long": "x" * 129}
    found = propagated(provider, OIDC, "id.example.com", claims.get)
    assert propagated_to_wire(found) == {
        "TrustedIdentityPropagationContext": {
            "OriginIdentity": {
                "Subject": "alice", "SubjectType": "workload", "Issuer": "id.example.com",
                "FederatedProviderArn": OIDC,
            },
            "TransactionContext": {"IdentityProvider": {"department": "bar"}},
        }
    }  # fmt: skip
    with pytest.raises(LookupError):
        propagated(provider, OIDC, "id.example.com", {}.get)
    assert propagated_to_wire(propagated(None, OIDC, "id.example.com", claims.get)) == {}


@told
async def test_who_may_make_a_provider_vouch_for_end_users_is_asked_of_its_own(
    world: World,
) -> None:
    allowed = {
        "Bool": {"iam:EnableIdentityPropagation": "true"},
        "StringEquals": {"iam:RequestIdentityProviderIssuers": "id.example.com"},
    }
    waiter = await user(
        world, "waiter", document("iam:CreateOpenIDConnectProvider", Condition=allowed),
        document("iam:UpdateOpenIDConnectProvider",
                 Condition={"StringEquals": {"iam:ResourceIdentityProviderIssuers": "id.example.com"}}),
    )  # fmt: skip
    make = "create_open_id_connect_provider"
    for url, more, status in (
        ("https://id.example.com", {}, 403),
        ("https://other.example.com", {"ContextProvider": ASKED}, 403),
        ("https://id.example.com", {"ContextProvider": ASKED}, 0),
    ):
        call = world.call("iam", make, caller=waiter, Url=url, **more)
        if status:
            assert (await refused(call)).status == status
        else:
            assert await call
    await world.call(
        "iam", "update_open_id_connect_provider", caller=waiter, OpenIDConnectProviderArn=OIDC,
        RemoveContextProvider=True,
    )  # fmt: skip
