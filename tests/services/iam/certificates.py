"""Certificates and keys for tests."""

from __future__ import annotations

from datetime import datetime, timedelta
from functools import cache
from typing import Any, NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from tests.services.world import START

PEM = serialization.Encoding.PEM


class Issued(NamedTuple):
    """A certificate and its private key."""

    certificate: x509.Certificate
    key: Any

    @property
    def pem(self) -> str:
        """The certificate as text."""
        return self.certificate.public_bytes(PEM).decode()

    @property
    def key_pem(self) -> str:
        """The private key as text."""
        return self.key.private_bytes(
            PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        ).decode()


@cache
def rsa_key(number: int = 0) -> rsa.RSAPrivateKey:
    """A private key."""
    return rsa.generate_private_key(public_exponent=65_537, key_size=2_048)


def issued(
    name: str, by: Issued | None = None, *, key: Any = None, since: datetime = START,
    days: int = 30,
) -> Issued:  # fmt: skip
    """A certificate of this common name, signed by another or by itself."""
    key = key or ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    made = (
        x509.CertificateBuilder().subject_name(subject)
        .issuer_name(by.certificate.subject if by else subject)
        .public_key(key.public_key()).serial_number(x509.random_serial_number())
        .not_valid_before(since).not_valid_after(since + timedelta(days=days))
        .sign(by.key if by else key, hashes.SHA256())
    )  # fmt: skip
    return Issued(made, key)
