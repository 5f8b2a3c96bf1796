"""An OpenID Connect issuer for tests: HTTPS on loopback, with a certificate of its own making."""

from __future__ import annotations

import datetime as dt
import hashlib
import ipaddress
import json
import ssl
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import jwt
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID

from tests.outside import Asked, Said, serving


class Issuer:
    """Signs tokens, and shows its keys."""

    def __init__(self, port: int, thumbprint: str) -> None:
        self.url = f"https://127.0.0.1:{port}/coffee"
        self.thumbprint = thumbprint
        self.key = rsa.generate_private_key(public_exponent=65537, key_size=2048)

    def token(self, *, now: dt.datetime, key: Any = None, **claims: Any) -> str:
        """A token that lives for five minutes, for the client `till`."""
        seconds = int(now.timestamp())
        content = {
            "iss": self.url, "sub": "barista-1", "aud": "till", "iat": seconds,
            "exp": seconds + 300, **claims,
        }  # fmt: skip
        return jwt.encode(content, key or self.key, algorithm="RS256", headers={"kid": "k1"})

    def keys(self) -> dict[str, Any]:
        """The keys as issuers show them."""
        shown = jwt.algorithms.RSAAlgorithm.to_jwk(self.key.public_key(), as_dict=True)
        return {"keys": [{**shown, "kid": "k1", "use": "sig", "alg": "RS256"}]}


def _certificate(folder: Path) -> tuple[Path, str]:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "issuer")])
    began = dt.datetime.now(dt.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(began - dt.timedelta(days=1))
        .not_valid_after(began + dt.timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]),
            critical=False,
        )
        .sign(key, hashes.SHA256())
    )
    path = folder / "issuer.pem"
    path.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        + made.public_bytes(serialization.Encoding.PEM)
    )  # fmt: skip
    return path, hashlib.sha1(made.public_bytes(serialization.Encoding.DER)).hexdigest()


@contextmanager
def issuing() -> Iterator[Issuer]:
    """An issuer that answers."""
    with tempfile.TemporaryDirectory() as folder:
        path, thumbprint = _certificate(Path(folder))

        def answer(asked: Asked) -> Said:
            if asked.path == "/coffee/.well-known/openid-configuration":
                content: Any = {"issuer": issuer.url, "jwks_uri": f"{issuer.url}/keys"}
            else:
                content = issuer.keys()
            return Said(json.dumps(content).encode())

        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(path)
        with serving(answer, context) as port:
            issuer = Issuer(port, thumbprint)
            yield issuer
