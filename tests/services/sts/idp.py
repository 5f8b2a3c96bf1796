"""A SAML identity provider for tests: it describes itself, and signs what it is told to."""

from __future__ import annotations

import base64
import os
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from lxml import etree
from signxml.algorithms import CanonicalizationMethod, SignatureMethod
from signxml.signer import XMLSigner

from tests.services.iam.certificates import Issued, issued, rsa_key

SAML = "urn:oasis:names:tc:SAML:2.0:assertion"
SAMLP = "urn:oasis:names:tc:SAML:2.0:protocol"
XENC = "http://www.w3.org/2001/04/xmlenc#"
XENC11 = "http://www.w3.org/2009/xmlenc11#"
AWS = "https://aws.amazon.com/SAML/Attributes/"
SIGN_IN = "https://signin.aws.amazon.com/saml"
ENTITY = "https://idp.example.com/saml"


def time(at: datetime) -> str:
    """A moment as XML has it."""
    return at.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


class IdP:
    """An identity provider with a key of its own."""

    def __init__(self, entity: str = ENTITY, key: Issued | None = None) -> None:
        self.entity = entity
        self.key = key or issued("idp", key=rsa_key())

    def metadata(self, *more: Issued, until: datetime | None = None) -> str:
        """How it describes itself."""
        described = "".join(
            "<md:KeyDescriptor use='signing'><ds:KeyInfo><ds:X509Data><ds:X509Certificate>"
            + "".join(one.pem.splitlines()[1:-1])
            + "</ds:X509Certificate></ds:X509Data></ds:KeyInfo></md:KeyDescriptor>"
            for one in (self.key, *more)
        )
        ends = f" validUntil='{time(until)}'" if until else ""
        return (
            "<?xml version='1.0'?><md:EntityDescriptor "
            "xmlns:md='urn:oasis:names:tc:SAML:2.0:metadata' "
            "xmlns:ds='http://www.w3.org/2000/09/xmldsig#' "
            f"entityID='{self.entity}'{ends}><md:IDPSSODescriptor "
            f"protocolSupportEnumeration='{SAMLP}'>{described}"
            "<md:SingleSignOnService Binding='urn:oasis:names:tc:SAML:2.0:bindings:HTTP-POST' "
            f"Location='{self.entity}/sso'/></md:IDPSSODescriptor></md:EntityDescriptor>"
        )

    def assertion(
        self, now: datetime, attributes: Mapping[str, Sequence[str]], **said: Any
    ) -> etree._Element:
        """An assertion; `said` takes the place of what a good one says."""
        soon = time(now + timedelta(minutes=5))
        values = {
            "issuer": self.entity, "issued": time(now), "recipient": SIGN_IN,
            "subject_ends": soon, "begins": time(now), "ends": soon, "audience": SIGN_IN,
            "subject": "barista-1", "id": "_a1",
            "format": "urn:oasis:names:tc:SAML:2.0:nameid-format:persistent",
            "session": "", "method": "urn:oasis:names:tc:SAML:2.0:cm:bearer", **said,
        }  # fmt: skip
        listed = "".join(
            f"<saml:Attribute Name='{name}'>"
            + "".join(f"<saml:AttributeValue>{one}</saml:AttributeValue>" for one in many)
            + "</saml:Attribute>"
            for name, many in attributes.items()
        )
        text = """
        <saml:Assertion xmlns:saml="urn:oasis:names:tc:SAML:2.0:assertion" ID="{id}" Version="2.0"
            IssueInstant="{issued}"><saml:Issuer>{issuer}</saml:Issuer>
          <saml:Subject><saml:NameID Format="{format}">{subject}</saml:NameID>
            <saml:SubjectConfirmation Method="{method}"><saml:SubjectConfirmationData
              NotOnOrAfter="{subject_ends}" Recipient="{recipient}"/></saml:SubjectConfirmation>
          </saml:Subject>
          <saml:Conditions NotBefore="{begins}" NotOnOrAfter="{ends}"><saml:AudienceRestriction>
            <saml:Audience>{audience}</saml:Audience></saml:AudienceRestriction></saml:Conditions>
          <saml:AuthnStatement AuthnInstant="{issued}"{session}/>
          <saml:AttributeStatement>{listed}</saml:AttributeStatement>
        </saml:Assertion>"""
        return etree.fromstring(text.strip().format(listed=listed, **values))

    def signed(self, element: etree._Element, **how: Any) -> etree._Element:
        """The element with a signature."""
        signer = XMLSigner(
            signature_algorithm=how.pop("method", SignatureMethod.RSA_SHA256),
            c14n_algorithm=CanonicalizationMethod.EXCLUSIVE_XML_CANONICALIZATION_1_0,
        )
        by: Issued = how.pop("by", self.key)
        return signer.sign(
            element, key=by.key, cert=[by.certificate], reference_uri=element.get("ID")
        )

    def response(
        self, *assertions: etree._Element, sign: bool = False, status: str = "Success"
    ) -> etree._Element:
        """A response around assertions."""
        root = etree.fromstring(
            f'<samlp:Response xmlns:samlp="{SAMLP}" ID="_r1" Version="2.0"><samlp:Status>'
            f'<samlp:StatusCode Value="urn:oasis:names:tc:SAML:2.0:status:{status}"/>'
            "</samlp:Status></samlp:Response>"
        )
        root.extend(assertions)
        return self.signed(root) if sign else root


def encoded(root: etree._Element) -> str:
    """A response as it is sent."""
    return base64.b64encode(etree.tostring(root)).decode()


def encrypted(
    assertion: etree._Element, public: rsa.RSAPublicKey, *, cbc: bool = False,
    sha256: bool = False,
) -> etree._Element:  # fmt: skip
    """An assertion that only one can read."""
    key, plain = os.urandom(32), etree.tostring(assertion)
    if cbc:
        method, begin = f"{XENC}aes256-cbc", os.urandom(16)
        fill = 16 - len(plain) % 16
        sealer = Cipher(algorithms.AES(key), modes.CBC(begin)).encryptor()
        content = begin + sealer.update(plain + bytes(fill - 1) + bytes([fill]))
    else:
        method, nonce = f"{XENC11}aes256-gcm", os.urandom(12)
        content = nonce + AESGCM(key).encrypt(nonce, plain, None)
    digest: hashes.HashAlgorithm = hashes.SHA256() if sha256 else hashes.SHA1()
    wrapped = public.encrypt(key, padding.OAEP(padding.MGF1(digest), digest, None))
    if sha256:
        how = (
            f'<x:EncryptionMethod Algorithm="{XENC11}rsa-oaep">'
            f'<ds:DigestMethod Algorithm="{XENC}sha256"/>'
            f'<y:MGF xmlns:y="{XENC11}" Algorithm="{XENC11}mgf1sha256"/></x:EncryptionMethod>'
        )
    else:
        how = f'<x:EncryptionMethod Algorithm="{XENC}rsa-oaep-mgf1p"/>'
    return etree.fromstring(
        f'<saml:EncryptedAssertion xmlns:saml="{SAML}"><x:EncryptedData xmlns:x="{XENC}" '
        f'xmlns:ds="http://www.w3.org/2000/09/xmldsig#"><x:EncryptionMethod Algorithm="{method}"/>'
        f"<ds:KeyInfo><x:EncryptedKey>{how}<x:CipherData><x:CipherValue>"
        f"{base64.b64encode(wrapped).decode()}</x:CipherValue></x:CipherData></x:EncryptedKey>"
        f"</ds:KeyInfo><x:CipherData><x:CipherValue>{base64.b64encode(content).decode()}"
        "</x:CipherValue></x:CipherData></x:EncryptedData></saml:EncryptedAssertion>"
    )


def pem_of(key: rsa.RSAPrivateKey) -> str:
    """A private key as text."""
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()
