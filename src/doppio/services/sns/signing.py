"""The key with which SNS signs, and its certificate, which everybody may read."""

from __future__ import annotations

import asyncio
import base64
import hashlib
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any
from weakref import WeakKeyDictionary

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
# So many signatures are remembered: those of messages that are being delivered.
SIGNATURES_MAX = 512


class Signer:
    """Signs with the cloud's own key, which is made when it is first needed."""

    def __init__(self) -> None:
        self._signatures: dict[tuple[str, str, bytes], str] = {}
        # What each cloud signs with, and the mark of the certificate: once made they stay.
        self._own: WeakKeyDictionary[Any, tuple[rsa.RSAPrivateKey, str]] = WeakKeyDictionary()
        self._making: WeakKeyDictionary[Any, asyncio.Lock] = WeakKeyDictionary()

    async def ready(self, ctx: Context, version: str) -> tuple[Callable[[bytes], str], str]:
        """How to sign in a version of the signature, and the URL of the certificate."""
        key, mark = self._own.get(ctx.kernel) or await self._loaded(ctx)

        def sign(text: bytes) -> str:
            return self._signature(key, (mark, version, hashlib.sha256(text).digest()), text)

        return sign, f"{ctx.kernel.endpoint}/_aws/{PAGE}{mark}.pem"

    async def _loaded(self, ctx: Context) -> tuple[rsa.RSAPrivateKey, str]:
        stored = await ctx.read().get(SigningKey, _NAME) or await self._made(ctx)
        key = serialization.load_pem_private_key(stored.key, None)
        assert isinstance(key, rsa.RSAPrivateKey)
        self._own[ctx.kernel] = found = (key, _mark(stored.certificate))
        return found

    def _signature(self, key: rsa.RSAPrivateKey, name: tuple[str, str, bytes], text: bytes) -> str:
        # All who hear of a message are sent the same signature, and it is dear to make.
        signatures = self._signatures
        found = signatures.get(name)
        if found is None:
            digest: hashes.HashAlgorithm = hashes.SHA256() if name[1] == "2" else hashes.SHA1()  # noqa: S303
            made = key.sign(text, padding.PKCS1v15(), digest)
            if len(signatures) >= SIGNATURES_MAX:
                signatures.clear()
            found = signatures[name] = base64.b64encode(made).decode()
        return found

    async def _made(self, ctx: Context) -> SigningKey:
        """The cloud's key. Making one is work for a while, so of many who need it one does it."""
        async with self._making.setdefault(ctx.kernel, asyncio.Lock()):
            found = await ctx.read().get(SigningKey, _NAME)
            if found is not None:
                return found
            made = await asyncio.get_running_loop().run_in_executor(None, _make, ctx.now)

            async def keep(tx: Tx) -> SigningKey:
                return await tx.get(SigningKey, _NAME) or tx.put(made)

            return await ctx.transact(keep)


async def certificate_page(ctx: Context, name: str) -> tuple[bytes, str] | None:
    """The certificate, as anybody may fetch it."""
    found = await ctx.read().get(SigningKey, _NAME)
    if found is None or name != f"{_mark(found.certificate)}.pem":
        return None
    return found.certificate, "application/x-pem-file"


def _mark(certificate: bytes) -> str:
    return hashlib.sha256(certificate).hexdigest()[:32]


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
