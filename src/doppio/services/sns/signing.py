"""The key with which SNS signs, and its certificate, which everybody may read."""

from __future__ import annotations

import asyncio
import base64
import hashlib
from collections.abc import Callable
from datetime import datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.x509.oid import NameOID

from doppio.kernel.context import Context, Tx
from doppio.services.sns.records import SigningKey

PAGE = "sns/SimpleNotificationService-"
_NAME = "own"
_KEY_BITS = 2048
_LIFE = timedelta(days=3650)


class Signer:
    """Signs with the cloud's own key, which is made when it is first needed."""

    def __init__(self) -> None:
        self._keys: dict[bytes, rsa.RSAPrivateKey] = {}

    async def ready(self, ctx: Context, version: str) -> tuple[Callable[[bytes], str], str]:
        """How to sign in a version of the signature, and the URL of the certificate."""
        found = await _key(ctx)
        key = self._keys.get(found.key)
        if key is None:
            loaded = serialization.load_pem_private_key(found.key, None)
            assert isinstance(loaded, rsa.RSAPrivateKey)
            key = self._keys[found.key] = loaded
        digest: hashes.HashAlgorithm = hashes.SHA256() if version == "2" else hashes.SHA1()  # noqa: S303

        def sign(text: bytes) -> str:
            return base64.b64encode(key.sign(text, padding.PKCS1v15(), digest)).decode()

        return sign, f"{ctx.kernel.endpoint}/_aws/{PAGE}{_mark(found.certificate)}.pem"


async def certificate_page(ctx: Context, name: str) -> tuple[bytes, str] | None:
    """The certificate, as anybody may fetch it."""
    found = await ctx.read().get(SigningKey, _NAME)
    if found is None or name != f"{_mark(found.certificate)}.pem":
        return None
    return found.certificate, "application/x-pem-file"


def _mark(certificate: bytes) -> str:
    return hashlib.sha256(certificate).hexdigest()[:32]


async def _key(ctx: Context) -> SigningKey:
    found = await ctx.read().get(SigningKey, _NAME)
    if found is not None:
        return found
    made = await asyncio.get_running_loop().run_in_executor(None, _make, ctx.now)

    async def keep(tx: Tx) -> SigningKey:
        return await tx.get(SigningKey, _NAME) or tx.put(made)

    return await ctx.transact(keep)


def _make(now: datetime) -> SigningKey:
    key = rsa.generate_private_key(65537, _KEY_BITS)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "sns.amazonaws.com")])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + _LIFE)
        .sign(key, hashes.SHA256())
    )
    return SigningKey(
        name=_NAME,
        key=key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        ),
        certificate=certificate.public_bytes(serialization.Encoding.PEM),
    )
