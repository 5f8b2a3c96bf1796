"""A role for one whom a SAML identity provider vouches for."""

from __future__ import annotations

import base64
import copy
import hashlib
import json
from datetime import timedelta
from functools import cache
from typing import Any

import pytest
from lxml import etree
from signxml.algorithms import SignatureMethod

from doppio.services.iam.ports import TRANSITIVE
from tests.services.iam.certificates import issued, rsa_key
from tests.services.iam.helpers import document, iam
from tests.services.world import ACCOUNT, START, World, refusal, refused, told

from .idp import AWS, SAML, SIGN_IN, IdP, encoded, encrypted, pem_of, time

PROVIDER = f"arn:aws:iam::{ACCOUNT}:saml-provider/Cafe"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/brewing"
DENIED = ("AccessDenied", "Not authorized to perform sts:AssumeRoleWithSAML")
UNSIGNED = ("InvalidIdentityToken", "Response signature invalid")
INVALID = ("InvalidIdentityToken", "Your request included an invalid SAML response.")


@cache
def idp() -> IdP:
    return IdP()


def trusting(*actions: str, **condition: Any) -> str:
    """A trust policy for the provider's assertions."""
    statement: dict[str, Any] = {
        "Effect": "Allow", "Principal": {"Federated": PROVIDER},
        "Action": ["sts:AssumeRoleWithSAML", *actions],
    }  # fmt: skip
    if condition:
        statement["Condition"] = condition
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


async def stage(world: World, trust: str | None = None, **more: Any) -> None:
    """A provider, and a role that trusts it."""
    metadata = more.pop("metadata", idp().metadata())
    await iam(world, "create_saml_provider", Name="Cafe", SAMLMetadataDocument=metadata, **more)
    await iam(
        world, "create_role", RoleName="brewing",
        AssumeRolePolicyDocument=trust or trusting(StringEquals={"SAML:aud": SIGN_IN}),
        MaxSessionDuration=7_200,
    )  # fmt: skip
    await iam(
        world, "put_role_policy", RoleName="brewing", PolicyName="p",
        PolicyDocument=document("sqs:ListQueues"),
    )  # fmt: skip


def attributes(**more: Any) -> dict[str, Any]:
    """What an assertion for AWS must say; with further attributes of AWS's."""
    return {
        f"{AWS}Role": [f"{ROLE},{PROVIDER}"], f"{AWS}RoleSessionName": ["shift"],
        **{f"{AWS}{name}": value for name, value in more.items()},
    }  # fmt: skip


def sent(world: World, more: dict[str, Any] | None = None, **said: Any) -> str:
    """A response with a signed assertion."""
    made = idp().assertion(world.now, attributes(**(more or {})), **said)
    return encoded(idp().response(idp().signed(made)))


def assume(world: World, response: str, **more: Any) -> Any:
    req = {"RoleArn": ROLE, "PrincipalArn": PROVIDER, "SAMLAssertion": response, **more}
    return world.call("sts", "assume_role_with_saml", **req)


@told
async def test_a_signed_assertion_opens_the_role_that_trusts_its_provider(world: World) -> None:
    await stage(world)
    got = await assume(world, sent(world))
    qualifier = hashlib.sha1(f"https://idp.example.com/saml{ACCOUNT}/Cafe".encode()).digest()
    said = {name: value for name, value in got.items() if "Token" not in name}
    credentials = said.pop("Credentials")
    assert said == {
        "AssumedRoleUser": {
            "AssumedRoleId": got["AssumedRoleUser"]["AssumedRoleId"],
            "Arn": f"arn:aws:sts::{ACCOUNT}:assumed-role/brewing/shift",
        },
        "Subject": "barista-1", "SubjectType": "persistent", "Audience": SIGN_IN,
        "Issuer": "https://idp.example.com/saml",
        "NameQualifier": base64.b64encode(qualifier).decode(),
    }  # fmt: skip
    assert credentials["Expiration"] == world.now + timedelta(hours=1)
    session = await world.who(credentials)
    assert session.session["saml:sub"] == "barista-1"
    assert session.session["aws:federatedprovider"] == PROVIDER
    await world.call("sqs", "list_queues", caller=session)
    error = await refused(world.call("sqs", "create_queue", caller=session, QueueName="q"))
    assert error.status == 403


@told
async def test_a_signed_response_vouches_for_the_assertion_in_it(world: World) -> None:
    await stage(world)
    made = idp().assertion(world.now, attributes())
    got = await assume(world, encoded(idp().response(made, sign=True)))
    assert got["Subject"] == "barista-1"
    both = idp().response(idp().signed(made), sign=True)
    assert (await assume(world, encoded(both)))["Subject"] == "barista-1"


@told
async def test_each_key_of_the_metadata_signs(world: World) -> None:
    curve = issued("curve", days=1)
    await stage(world, metadata=idp().metadata(curve))
    made = idp().assertion(world.now, attributes())
    by_curve = idp().signed(made, by=curve, method=SignatureMethod.ECDSA_SHA256)
    assert (await assume(world, encoded(idp().response(by_curve))))["Subject"] == "barista-1"
    # A certificate that has expired goes on, as in AWS.
    await world.advance(days=2)
    world.host.run_to((START + timedelta(days=2)).timestamp())
    late = idp().assertion(START + timedelta(days=2), attributes())
    by_curve = idp().signed(late, by=curve, method=SignatureMethod.ECDSA_SHA256)
    assert (await assume(world, encoded(idp().response(by_curve))))["Subject"] == "barista-1"


@told
async def test_what_the_provider_did_not_sign_is_refused(world: World) -> None:
    await stage(world)
    plain = idp().assertion(world.now, attributes())
    assert await refusal(assume(world, encoded(idp().response(plain)))) == UNSIGNED
    forged = idp().signed(plain, by=issued("forger", key=rsa_key(1)))
    assert await refusal(assume(world, encoded(idp().response(forged)))) == UNSIGNED
    changed = idp().signed(plain)
    name = changed.find(f".//{{{SAML}}}NameID")
    assert name is not None
    name.text = "boss"
    assert await refusal(assume(world, encoded(idp().response(changed)))) == UNSIGNED
    error = await refused(assume(world, "no base64!"))
    assert (error.code, error.message) == ("InvalidIdentityToken", "Invalid base64 SAMLResponse")
    for text in (b"no XML", b"<a/>", b"<!DOCTYPE a [<!ENTITY b 'c'>]>" + etree.tostring(plain)):
        assert await refusal(assume(world, base64.b64encode(text).decode())) == INVALID
    failed = idp().response(idp().signed(plain), status="Responder")
    assert await refusal(assume(world, encoded(failed))) == INVALID


@told
async def test_a_signature_is_not_wrapped_around_something_else(world: World) -> None:
    """Signature wrapping: a genuine signature beside, below or above what a forger writes."""
    await stage(world)
    good = idp().signed(idp().assertion(world.now, attributes()))
    [signature] = good.findall("{http://www.w3.org/2000/09/xmldsig#}Signature")

    def evil(id_: str = "_a2") -> etree._Element:
        return idp().assertion(world.now, attributes(), subject="boss", id=id_)

    # The signature moved to another assertion, with and without what it signs.
    moved = evil()
    moved.append(copy.deepcopy(signature))
    holder = etree.SubElement(moved, "Object")
    holder.append(copy.deepcopy(good))
    stolen = evil("_a1")
    stolen.append(copy.deepcopy(signature))
    # The signed assertion below the signature of the other.
    nested = evil()
    inner = copy.deepcopy(signature)
    etree.SubElement(inner, "{http://www.w3.org/2000/09/xmldsig#}Object").append(
        copy.deepcopy(good)
    )
    nested.append(inner)
    for forged in (moved, stolen, nested):
        assert await refusal(assume(world, encoded(idp().response(forged)))) == UNSIGNED
    two = idp().response(copy.deepcopy(good), evil())
    assert await refusal(assume(world, encoded(two))) == INVALID
    # A comment does not cut a name short.
    text = etree.tostring(good).replace(b"barista-1", b"barista-1<!-- x -->.evil")
    split = idp().response(etree.fromstring(text))
    assert await refusal(assume(world, encoded(split))) == UNSIGNED


@pytest.mark.parametrize(
    ("said", "code", "text"),
    [
        ({"issuer": "https://other.example.com"}, "InvalidIdentityToken",
         "Issuer not present in specified provider"),
        ({"recipient": "https://shop.example.com/saml"}, "InvalidIdentityToken",
         "Response does not contain the required audience."),
        ({"audience": "https://signin.aws.amazon.com.evil.com/saml"}, "InvalidIdentityToken",
         "Response does not contain the required audience."),
        ({"method": "urn:oasis:names:tc:SAML:2.0:cm:holder-of-key"}, *INVALID),
        ({"subject": ""}, *INVALID),
        ({"issued": "yesterday"}, *INVALID),
        ({"issued": time(START - timedelta(minutes=5))}, "ExpiredTokenException",
         "Token must be redeemed within 5 minutes of issuance"),
        ({"ends": time(START)}, "ExpiredTokenException",
         "Token must be redeemed within 5 minutes of issuance"),
        ({"subject_ends": time(START)}, "ExpiredTokenException",
         "Token must be redeemed within 5 minutes of issuance"),
        ({"begins": time(START + timedelta(minutes=6))}, "InvalidIdentityToken",
         "The SAML response is not valid yet."),
    ],
)  # fmt: skip
def test_an_assertion_is_for_aws_and_for_now(said: dict[str, Any], code: str, text: str) -> None:
    @told
    async def story(world: World) -> None:
        await stage(world)
        assert await refusal(assume(world, sent(world, **said))) == (code, text)

    story()


@told
async def test_regional_recipients_and_the_urn_of_aws_are_taken(world: World) -> None:
    place = "https://eu-west-1.signin.aws.amazon.com/saml/acs/SAMLSPABC"
    await stage(world, trusting(StringEquals={"saml:aud": place}))
    response = sent(world, recipient=place, audience="urn:amazon:webservices")
    assert (await assume(world, response))["Audience"] == place


@told
async def test_role_and_provider_are_those_that_the_assertion_names(world: World) -> None:
    await stage(world)
    other = idp().assertion(
        world.now, {**attributes(), f"{AWS}Role": [f"{ROLE}x,{PROVIDER}", PROVIDER]}
    )
    assert await refusal(assume(world, encoded(idp().response(idp().signed(other))))) == DENIED
    turned = idp().assertion(world.now, {**attributes(), f"{AWS}Role": [f"{PROVIDER},{ROLE}"]})
    assert await assume(world, encoded(idp().response(idp().signed(turned))))
    assert await refusal(assume(world, sent(world), RoleArn=f"{ROLE}x")) == DENIED
    assert await refusal(assume(world, sent(world), PrincipalArn=f"{PROVIDER}x")) == (
        "InvalidIdentityToken", "Specified provider doesn't exist",
    )  # fmt: skip
    await iam(world, "delete_saml_provider", SAMLProviderArn=PROVIDER)
    error = await refused(assume(world, sent(world)))
    assert error.message == "Specified provider doesn't exist"


@told
async def test_the_trust_policy_sees_what_the_assertion_says(world: World) -> None:
    await stage(
        world,
        trusting(
            StringEquals={
                "saml:sub": "barista-1", "saml:sub_type": "persistent",
                "saml:iss": "https://idp.example.com/saml", "saml:doc": f"{ACCOUNT}/Cafe",
                "sts:RoleSessionName": "shift", "saml:mail": "b@example.com",
            },
            **{"ForAnyValue:StringEquals": {"saml:edupersonaffiliation": ["staff"]}},
        ),
    )  # fmt: skip
    said = {
        **attributes(), "urn:oid:1.3.6.1.4.1.5923.1.1.1.1": ["member", "staff"],
        "urn:oid:0.9.2342.19200300.100.1.3": ["b@example.com"],
    }  # fmt: skip
    good = idp().signed(idp().assertion(world.now, said))
    assert await assume(world, encoded(idp().response(good)))
    assert await refusal(assume(world, sent(world))) == DENIED


@told
async def test_tags_and_a_source_identity_come_with_the_assertion(world: World) -> None:
    wishes = {
        "PrincipalTag:shop": ["harbour"], "PrincipalTag:team": ["bar"],
        "TransitiveTagKeys": ["shop"], "SourceIdentity": ["alice"],
    }  # fmt: skip
    await stage(world)
    assert await refusal(assume(world, sent(world, wishes))) == (
        "AccessDenied", "Not authorized to perform sts:TagSession",
    )  # fmt: skip
    trust = trusting(
        "sts:TagSession", "sts:SetSourceIdentity",
        StringEquals={"aws:RequestTag/shop": "harbour", "sts:SourceIdentity": "alice"},
    )  # fmt: skip
    await iam(world, "update_assume_role_policy", RoleName="brewing", PolicyDocument=trust)
    got = await assume(world, sent(world, wishes))
    assert got["SourceIdentity"] == "alice"
    session = await world.who(got["Credentials"])
    assert session.session["aws:principaltag/team"] == "bar"
    assert session.session["aws:sourceidentity"] == "alice"
    assert session.session[TRANSITIVE] == {"shop": "harbour"}


@pytest.mark.parametrize(
    ("more", "text"),
    [
        ({"RoleSessionName": []}, "RoleSessionName is required in AuthnResponse"),
        ({"RoleSessionName": ["no good"]},
         "RoleSessionName in AuthnResponse must match [a-zA-Z_0-9+=,.@-]{2,64}"),
        ({"SourceIdentity": ["aws:x"]},
         'Source Identity must match [a-zA-Z_0-9+=,.@-]{2,64} and not begin with "aws:"'),
        ({"SessionDuration": ["899"]},
         "SessionDuration in AuthnResponse must be an integer between 900 and 43200"),
    ],
)  # fmt: skip
def test_what_an_assertion_asks_for_must_be_possible(more: dict[str, Any], text: str) -> None:
    @told
    async def story(world: World) -> None:
        await stage(world)
        error = await refused(assume(world, sent(world, more)))
        assert (error.code, error.message) == ("InvalidIdentityToken", text)

    story()


@told
async def test_a_session_is_as_long_as_asked_for_and_ends_with_the_providers(world: World) -> None:
    await stage(world)

    async def lasts(more: dict[str, Any] | None = None, seconds: int = 0, **said: Any) -> timedelta:
        asked = {"DurationSeconds": seconds} if seconds else {}
        got = await assume(world, sent(world, more, **said), **asked)
        found: timedelta = got["Credentials"]["Expiration"] - world.now
        return found

    assert await lasts({"SessionDuration": ["1800"]}) == timedelta(minutes=30)
    assert await lasts({"SessionDuration": ["1800"]}, 900) == timedelta(minutes=15)
    soon = time(world.now + timedelta(minutes=20))
    assert await lasts(session=f' SessionNotOnOrAfter="{soon}"') == timedelta(minutes=20)
    assert await refusal(assume(world, sent(world), DurationSeconds=7_201)) == (
        "ValidationError",
        "The requested DurationSeconds exceeds the MaxSessionDuration set for this role.",
    )
    got = await assume(world, sent(world), Policy=document("s3:*"))
    assert got["PackedPolicySize"] > 0
    session = await world.who(got["Credentials"])
    assert (await refused(world.call("sqs", "list_queues", caller=session))).status == 403


@pytest.mark.parametrize("how", [{}, {"cbc": True}, {"sha256": True}])
def test_an_encrypted_assertion_is_read_with_the_providers_key(how: dict[str, Any]) -> None:
    @told
    async def story(world: World) -> None:
        key = rsa_key(7)
        await stage(world, AddPrivateKey=pem_of(key), AssertionEncryptionMode="Required")
        signed = idp().signed(idp().assertion(world.now, attributes()))
        sealed = encrypted(signed, key.public_key(), **how)
        assert (await assume(world, encoded(idp().response(sealed))))["Subject"] == "barista-1"
        # The response around it may be what is signed.
        plain = encrypted(idp().assertion(world.now, attributes()), key.public_key(), **how)
        whole = idp().response(plain, sign=True)
        assert (await assume(world, encoded(whole)))["Subject"] == "barista-1"
        assert await refusal(assume(world, encoded(idp().response(plain)))) == UNSIGNED
        assert await refusal(assume(world, sent(world))) == INVALID
        other = encrypted(signed, rsa_key(8).public_key(), **how)
        assert await refusal(assume(world, encoded(idp().response(other)))) == (
            "InvalidIdentityToken", "Unable to decrypt the assertion",
        )  # fmt: skip
        await iam(
            world, "update_saml_provider", SAMLProviderArn=PROVIDER,
            AssertionEncryptionMode="Allowed",
        )  # fmt: skip
        assert await assume(world, sent(world))

    story()


@told
async def test_metadata_that_has_expired_vouches_for_nobody(world: World) -> None:
    await stage(world, metadata=idp().metadata(until=START + timedelta(minutes=1)))
    assert await assume(world, sent(world))
    world.host.run_to((START + timedelta(minutes=1)).timestamp())
    error = await refused(assume(world, sent(world)))
    assert error.message == "The metadata of the specified provider has expired"


@told
async def test_a_providers_context_goes_with_the_session(world: World) -> None:
    await stage(world, ContextProvider={
        "SubjectSourceKey": "urn:oid:0.9.2342.19200300.100.1.1", "SubjectTypeValue": "user",
        "KeyDefinitionList": [{"SourceKey": "department", "TargetKey": "Dept"}],
    })  # fmt: skip
    only = {"StringEquals": {
        "aws:OriginIdentity/Subject": "alice",
        "aws:TransactionContext/IdentityProvider/Dept": "bar",
    }}  # fmt: skip
    await iam(
        world, "put_role_policy", RoleName="brewing", PolicyName="p",
        PolicyDocument=document("sqs:ListQueues", Condition=only),
    )  # fmt: skip

    async def comes(**more: list[str]) -> Any:
        said = {**attributes(), "urn:oid:0.9.2342.19200300.100.1.1": ["alice"], **more}
        good = idp().signed(idp().assertion(world.now, said))
        return await assume(world, encoded(idp().response(good)))

    got = await comes(department=["bar"])
    hashes = (await iam(world, "get_saml_provider", SAMLProviderArn=PROVIDER))["SAMLKeyHashes"]
    assert got["TrustedIdentityPropagationContext"] == {
        "OriginIdentity": {
            "Subject": "alice", "SubjectType": "user", "Issuer": hashes[0]["KeyHashes"][0],
            "FederatedProviderArn": PROVIDER,
        },
        "TransactionContext": {"IdentityProvider": {"Dept": "bar"}},
    }  # fmt: skip
    await world.call("sqs", "list_queues", caller=await world.who(got["Credentials"]))
    other = await comes(department=["kitchen"])
    denied = world.call("sqs", "list_queues", caller=await world.who(other["Credentials"]))
    assert (await refused(denied)).status == 403
    assert await refusal(assume(world, sent(world))) == (
        "InvalidIdentityToken", "Missing a required claim: urn:oid:0.9.2342.19200300.100.1.1",
    )  # fmt: skip
