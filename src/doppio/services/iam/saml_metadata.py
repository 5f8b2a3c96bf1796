"""SAML metadata: what an identity provider says of itself. Pure.

XML comes from anybody: documents with a DOCTYPE are refused, nothing is fetched, no entity is
resolved, and lxml's limits on size and depth hold.
"""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from typing import Any

import msgspec
from cryptography.exceptions import UnsupportedAlgorithm

METADATA = "urn:oasis:names:tc:SAML:2.0:metadata"
SIGNATURES = "http://www.w3.org/2000/09/xmldsig#"
PROTOCOL = "urn:oasis:names:tc:SAML:2.0:protocol"
RSA_KEY_BITS_MIN = 1_024


class BadXml(ValueError):
    """What is no XML, or more than we care to read."""


class BadMetadata(ValueError):
    """What is no metadata of an identity provider."""


class Metadata(msgspec.Struct, frozen=True, kw_only=True):
    """An identity provider: its name, the certificates (DER) that it signs with, and until when."""

    entity_id: str
    certificates: tuple[bytes, ...]
    valid_until: datetime | None = None


def parsed_xml(content: bytes) -> Any:
    """The root element of a document, without comments. Raises BadXml."""
    from lxml import etree  # Imported when somebody comes with XML.

    parser = etree.XMLParser(
        resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False,
        remove_comments=True, remove_pis=True,
    )  # fmt: skip
    try:
        root = etree.fromstring(content, parser)
    except (etree.XMLSyntaxError, ValueError) as error:
        raise BadXml(str(error)) from error
    if root.getroottree().docinfo.doctype:
        raise BadXml("a document type is not allowed")
    return root


def parsed_metadata(document: str) -> Metadata:
    """Metadata that IAM takes. Raises BadMetadata.

    That a certificate has expired does not matter: so says the profile that IAM follows ("SAML V2.0
    Metadata Interoperability Profile").
    """
    try:
        root = parsed_xml(document.encode())
    except BadXml as error:
        raise BadMetadata(str(error)) from error
    entity_id = root.get("entityID")
    if root.tag != f"{{{METADATA}}}EntityDescriptor" or not entity_id:
        raise BadMetadata("it describes no entity")
    roles = [
        role
        for role in root.findall(f"{{{METADATA}}}IDPSSODescriptor")
        if PROTOCOL in role.get("protocolSupportEnumeration", "").split()
    ]
    if len(roles) != 1:
        raise BadMetadata("it describes no identity provider of SAML 2.0")
    certificates: dict[bytes, None] = {}
    for described in roles[0].findall(f"{{{METADATA}}}KeyDescriptor"):
        if described.get("use", "signing") == "signing":
            for found in described.iter(f"{{{SIGNATURES}}}X509Certificate"):
                certificates[_certificate(found.text or "")] = None
    if not certificates:
        raise BadMetadata("it names no key that signs")
    ends = [parsed_time(one.get("validUntil")) for one in (root, roles[0]) if one.get("validUntil")]
    return Metadata(
        entity_id=entity_id, certificates=tuple(certificates),
        valid_until=min(ends) if ends else None,
    )  # fmt: skip


def key_hash(certificate: bytes) -> str:
    """How a key that signs is named: SHA-256 over it. AWS says a hash, and not which."""
    from cryptography import x509  # Imported when somebody needs it: a start need not wait.
    from cryptography.hazmat.primitives import serialization

    key = x509.load_der_x509_certificate(certificate).public_key()
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    return hashlib.sha256(key.public_bytes(serialization.Encoding.DER, form)).hexdigest()


def parsed_time(text: str | None) -> datetime:
    """A moment as XML Schema writes it, which in SAML is UTC. Raises BadMetadata."""
    try:
        found = datetime.fromisoformat(text or "")
    except ValueError as error:
        raise BadMetadata(f"{text} is no time") from error
    return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)


def _certificate(text: str) -> bytes:
    from cryptography import x509
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ec, rsa

    pem = f"-----BEGIN CERTIFICATE-----\n{''.join(text.split())}\n-----END CERTIFICATE-----\n"
    try:
        certificate = x509.load_pem_x509_certificate(pem.encode())
        key = certificate.public_key()
    except (ValueError, UnsupportedAlgorithm) as error:
        raise BadMetadata("a certificate is none") from error
    if isinstance(key, rsa.RSAPublicKey):
        if key.key_size < RSA_KEY_BITS_MIN:
            raise BadMetadata("a key is too small")
    elif not isinstance(key, ec.EllipticCurvePublicKey):
        raise BadMetadata("a key is of a kind that does not sign")
    return certificate.public_bytes(serialization.Encoding.DER)
