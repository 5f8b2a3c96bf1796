"""SAML responses: whether one is genuine, and what it says. Pure.

What is read is what was signed, and nothing else: the verifier hands back the signed element, and
whatever stands around it is not looked at, however a forger has arranged it.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

import msgspec

from doppio.services.iam.ports import BadMetadata, BadXml, parsed_time, parsed_xml
from doppio.services.sts.errors import InvalidIdentityToken
from doppio.services.sts.saml_encryption import Undecipherable, decrypted

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric import rsa

SAML = "urn:oasis:names:tc:SAML:2.0:assertion"
SAMLP = "urn:oasis:names:tc:SAML:2.0:protocol"
DSIG = "http://www.w3.org/2000/09/xmldsig#"
SUCCESS = "urn:oasis:names:tc:SAML:2.0:status:Success"
BEARER = "urn:oasis:names:tc:SAML:2.0:cm:bearer"
FORMATS = "urn:oasis:names:tc:SAML:2.0:nameid-format:"


class Assertion(msgspec.Struct, frozen=True, kw_only=True):
    """What an assertion says, as far as AWS asks for it; `signer` is the certificate (DER)."""

    issuer: str
    issued_at: datetime
    subject: str
    format: str
    recipient: str
    subject_ends: datetime | None
    begins: datetime | None
    ends: datetime | None
    audiences: tuple[str, ...]
    session_ends: datetime | None
    signer: bytes
    attributes: Mapping[str, tuple[str, ...]]

    @property
    def subject_type(self) -> str:
        """The format of the subject's name, without the prefix of SAML's own formats."""
        return self.format.removeprefix(FORMATS)


def parsed_response(encoded: str) -> Any:
    """The response as it was sent. Raises InvalidIdentityToken."""
    try:
        content = base64.b64decode("".join(encoded.split()), validate=True)
    except (binascii.Error, ValueError) as error:
        raise InvalidIdentityToken("Invalid base64 SAMLResponse") from error
    try:
        root = parsed_xml(content)
    except BadXml as error:
        raise _invalid() from error
    if root.tag != f"{{{SAMLP}}}Response":
        raise _invalid()
    status = root.find(f"{{{SAMLP}}}Status/{{{SAMLP}}}StatusCode")
    if status is None or status.get("Value") != SUCCESS:
        raise _invalid()
    return root


def genuine(
    root: Any, certificates: Sequence[bytes], keys: Sequence[rsa.RSAPrivateKey], *, encrypted: bool
) -> Assertion:
    """The assertion that one of the certificates vouches for. Raises InvalidIdentityToken.

    Signed is the response, the assertion, or both. `encrypted`: it must not lie open.
    """
    if _signature_of(root) is not None:
        root, signer = _signed(root, certificates)
        if root.tag != f"{{{SAMLP}}}Response":
            raise _unsigned()
        return read(_assertion(root, keys, encrypted=encrypted), signer)
    assertion = _assertion(root, keys, encrypted=encrypted)
    if _signature_of(assertion) is None:
        raise _unsigned()
    assertion, signer = _signed(assertion, certificates)
    if assertion.tag != f"{{{SAML}}}Assertion":
        raise _unsigned()
    return read(assertion, signer)


def read(assertion: Any, signer: bytes) -> Assertion:
    """What an assertion says. Raises InvalidIdentityToken where it lacks what each must have."""
    issuer = _text(assertion.find(f"{{{SAML}}}Issuer"))
    name = assertion.find(f"{{{SAML}}}Subject/{{{SAML}}}NameID")
    subject = _text(name)
    if not issuer or name is None or not subject:
        raise _invalid()
    recipient, subject_ends = _confirmation(assertion)
    conditions = assertion.find(f"{{{SAML}}}Conditions")
    audience = f"{{{SAML}}}AudienceRestriction/{{{SAML}}}Audience"
    audiences = () if conditions is None else conditions.findall(audience)
    sessions = [
        one.get("SessionNotOnOrAfter") for one in assertion.findall(f"{{{SAML}}}AuthnStatement")
    ]
    try:
        ends = [parsed_time(one) for one in sessions if one is not None]
        return Assertion(
            issuer=issuer, issued_at=parsed_time(assertion.get("IssueInstant")),
            subject=subject, format=name.get("Format", f"{FORMATS}unspecified"),
            recipient=recipient, subject_ends=subject_ends,
            begins=_time_of(conditions, "NotBefore"), ends=_time_of(conditions, "NotOnOrAfter"),
            audiences=tuple(_text(one) for one in audiences),
            session_ends=min(ends) if ends else None, signer=signer, attributes=_attributes(assertion),
        )  # fmt: skip
    except BadMetadata as error:
        raise _invalid() from error


def _confirmation(assertion: Any) -> tuple[str, datetime | None]:
    """To whom the bearer is to show the assertion, and until when."""
    for one in assertion.findall(f"{{{SAML}}}Subject/{{{SAML}}}SubjectConfirmation"):
        data = one.find(f"{{{SAML}}}SubjectConfirmationData")
        if one.get("Method") == BEARER and data is not None and data.get("Recipient"):
            try:
                return data.get("Recipient"), _time_of(data, "NotOnOrAfter")
            except BadMetadata as error:
                raise _invalid() from error
    raise _invalid()


def _attributes(assertion: Any) -> dict[str, tuple[str, ...]]:
    found: dict[str, tuple[str, ...]] = {}
    for one in assertion.findall(f"{{{SAML}}}AttributeStatement/{{{SAML}}}Attribute"):
        values = tuple(_text(value) for value in one.findall(f"{{{SAML}}}AttributeValue"))
        name = one.get("Name", "")
        found[name] = found.get(name, ()) + values
    return found


def _assertion(root: Any, keys: Sequence[rsa.RSAPrivateKey], *, encrypted: bool) -> Any:
    """The one assertion of a response."""
    plain = root.findall(f"{{{SAML}}}Assertion")
    sealed = root.findall(f"{{{SAML}}}EncryptedAssertion")
    if len(plain) + len(sealed) != 1 or (encrypted and plain):
        raise _invalid()
    if plain:
        return plain[0]
    try:
        assertion = parsed_xml(decrypted(sealed[0], keys))
    except (Undecipherable, BadXml) as error:
        raise InvalidIdentityToken("Unable to decrypt the assertion") from error
    if assertion.tag != f"{{{SAML}}}Assertion":
        raise _invalid()
    return assertion


def _signature_of(element: Any) -> Any:
    return element.find(f"{{{DSIG}}}Signature")


def _signed(element: Any, certificates: Sequence[bytes]) -> tuple[Any, bytes]:
    """What a signature in an element covers, and of which of the certificates it is.

    It must cover the element itself. That a certificate has expired does not matter, which is why
    the time of verification is its own.
    """
    from cryptography import x509
    from lxml import etree  # Imported when somebody comes with an assertion.
    from signxml.algorithms import SignatureMethod
    from signxml.exceptions import SignXMLException
    from signxml.verifier import SignatureConfiguration, XMLVerifier

    methods = frozenset(
        method
        for method in SignatureMethod
        if method.name.startswith(("RSA_SHA", "ECDSA_SHA", "SHA")) and "SHA1" not in method.name
    )
    alone = etree.fromstring(etree.tostring(element), etree.XMLParser(resolve_entities=False))
    for der in certificates:
        certificate = x509.load_der_x509_certificate(der)
        config = SignatureConfiguration(
            location="./", signature_methods=methods, ignore_ambiguous_key_info=True,
            verification_time=certificate.not_valid_before_utc,
        )  # fmt: skip
        try:
            found: Any = XMLVerifier().verify(alone, x509_cert=certificate, expect_config=config)
        except (SignXMLException, etree.LxmlError, ValueError, LookupError):
            continue
        if found.signed_xml is not None and found.signed_xml.get("ID") == alone.get("ID"):
            return found.signed_xml, der
    raise _unsigned()


def _text(element: Any) -> str:
    return "" if element is None else (element.text or "").strip()


def _time_of(element: Any, name: str) -> datetime | None:
    text = None if element is None else element.get(name)
    return None if text is None else parsed_time(text)


def _invalid() -> InvalidIdentityToken:
    return InvalidIdentityToken("Your request included an invalid SAML response.")


def _unsigned() -> InvalidIdentityToken:
    return InvalidIdentityToken("Response signature invalid")
