"""TLS with a certificate authority of the cloud's own.

The authority is made once per data directory. Clients trust it by `AWS_CA_BUNDLE`; the one server
certificate under it covers loopback and the names that SDKs use for AWS.
"""

from __future__ import annotations

import ipaddress
import os
import ssl
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from doppio.kernel.store import StoreCorrupt

AUTHORITY_LIFE = timedelta(days=3650)
# Apple's and others' clients refuse server certificates that live longer.
SERVER_LIFE = timedelta(days=397)
NAMES = (
    "localhost", "*.localhost", "*.s3.localhost", "localhost.localstack.cloud",
    "*.localhost.localstack.cloud", "*.s3.localhost.localstack.cloud", "*.amazonaws.com",
    "*.s3.amazonaws.com", "*.us-east-1.amazonaws.com", "*.s3.us-east-1.amazonaws.com",
)  # fmt: skip
ADDRESSES = ("127.0.0.1", "::1")


@dataclass(frozen=True, slots=True)
class Authority:
    """Where the authority's certificate is, and the server's certificate with its key."""

    certificate: Path
    server: Path


def ensure_ca(folder: Path, now: datetime) -> Authority:
    """The authority of a folder, made if there is none; a server certificate that is near its end
    is made anew.

    Raises StoreCorrupt rather than make another one: clients trust the old one.
    """
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    certificate, key, server = folder / "ca.pem", folder / "ca.key", folder / "server.pem"
    if not (certificate.exists() and key.exists()):
        _make_authority(certificate, key, now)
        server.unlink(missing_ok=True)
    try:
        if not server.exists() or not _serves(certificate, server, now):
            _make_server(certificate, key, server, now)
    except ValueError as error:
        raise StoreCorrupt(
            f"the certificate authority in {folder} is damaged ({error}): restore it from a copy, or "
            "delete that folder, and let clients trust the new one that the next start makes"
        ) from error
    return Authority(certificate, server)


def server_context(authority: Authority) -> ssl.SSLContext:
    """The listener's side of TLS."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(authority.server)
    return context


def _serves(certificate: Path, server: Path, now: datetime) -> bool:
    """Whether a server's certificate is of this authority, has its key, and lives on for a while.

    Raises ValueError where the authority's is none.
    """
    authority = x509.load_pem_x509_certificate(certificate.read_bytes())
    try:
        content = server.read_bytes()
        one = x509.load_pem_x509_certificate(content)
        key = serialization.load_pem_private_key(content, None)
        one.verify_directly_issued_by(authority)
    except (ValueError, TypeError, InvalidSignature):
        return False
    if key.public_key() != one.public_key():
        return False
    return one.not_valid_after_utc >= now + timedelta(days=30)


def _make_authority(certificate: Path, key_path: Path, now: datetime) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Doppio local authority")])
    made = (
        _builder(name, name, key.public_key(), now, AUTHORITY_LIFE)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(signs=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    _write(key_path, _pem(key))
    _write(certificate, made.public_bytes(serialization.Encoding.PEM))


def _make_server(certificate: Path, key_path: Path, server: Path, now: datetime) -> None:
    issuer = x509.load_pem_x509_certificate(certificate.read_bytes())
    issuer_key = serialization.load_pem_private_key(key_path.read_bytes(), None)
    assert isinstance(issuer_key, ec.EllipticCurvePrivateKey)
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    others: list[x509.GeneralName] = [x509.DNSName(one) for one in NAMES]
    others += [x509.IPAddress(ipaddress.ip_address(one)) for one in ADDRESSES]
    made = (
        _builder(name, issuer.subject, key.public_key(), now, SERVER_LIFE)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(signs=False), critical=True)
        .add_extension(x509.SubjectAlternativeName(others), critical=False)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()),
            critical=False,
        )
        .sign(issuer_key, hashes.SHA256())
    )
    _write(server, _pem(key) + made.public_bytes(serialization.Encoding.PEM))


def _builder(
    subject: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePublicKey,
    now: datetime,
    life: timedelta,
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + life)
    )


def _usage(*, signs: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs, content_commitment=False, key_encipherment=False,
        data_encipherment=False, key_agreement=False, key_cert_sign=signs, crl_sign=signs,
        encipher_only=False, decipher_only=False,
    )  # fmt: skip


def _pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


def _write(path: Path, content: bytes) -> None:
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(content)
