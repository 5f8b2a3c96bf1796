"""The keys with which STS signs identity tokens: made when needed, replaced in time, shown to all."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Callable
from datetime import timedelta
from typing import Any
from weakref import WeakKeyDictionary

import msgspec
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from msgspec.structs import replace

from doppio.kernel.context import Context, Reader, Tx
from doppio.services.iam.ports import issuer_of, issuer_url
from doppio.services.sts import limits
from doppio.services.sts.records import TokenKey

ALGORITHMS = ("RS256", "ES384")
_RSA_BITS = 2_048
_ES384_BYTES = 48
_SIGNS = timedelta(days=limits.TOKEN_KEY_SIGNS_DAYS)
_SHOWN = timedelta(days=limits.TOKEN_KEY_SHOWN_DAYS)
_DISCOVERY = ".well-known/openid-configuration"
_JWKS = ".well-known/jwks.json"

# Who makes keys: one at a time, since it is work for a while.
_making: WeakKeyDictionary[Any, asyncio.Lock] = WeakKeyDictionary()


async def signing_key(ctx: Context, algorithm: str) -> TokenKey:
    """The key that signs now; a new one takes the place of one that has signed for long enough."""
    found = await _signs_now(ctx.read(), ctx, algorithm)
    if found is not None:
        return found
    async with _making.setdefault(ctx.kernel, asyncio.Lock()):
        found = await _signs_now(ctx.read(), ctx, algorithm)
        if found is not None:
            return found
        body = await asyncio.get_running_loop().run_in_executor(None, _MAKES[algorithm])
        made = TokenKey(algorithm=algorithm, id=ctx.new_id(), key=body, made_at=ctx.now)

        async def keep(tx: Tx) -> TokenKey:
            other = await _signs_now(tx, ctx, algorithm)
            if other is not None:
                return other
            for old in await _all(tx, algorithm):
                if old.retired_at is None:
                    tx.put(replace(old, retired_at=ctx.now))
                elif old.retired_at + _SHOWN <= ctx.now:
                    tx.delete(old)
            return tx.put(made)

        return await ctx.transact(keep)


def signed(key: TokenKey, claims: dict[str, Any]) -> str:
    """A JSON Web Token of these claims."""
    head = {"alg": key.algorithm, "kid": key.id, "typ": "JWT"}
    text = f"{_text(msgspec.json.encode(head))}.{_text(msgspec.json.encode(claims))}"
    return f"{text}.{_text(_signature(key, text.encode()))}"


async def issuer_page(ctx: Context, path: str) -> tuple[bytes, str] | None:
    """What an issuer shows to everybody: who it is, and its keys."""
    issuer, _, name = path.partition("/")
    federation = await issuer_of(ctx, issuer)
    if federation is None:
        return None
    if name == _DISCOVERY:
        url = issuer_url(ctx, federation)
        return msgspec.json.encode(_discovery(url)), "application/json"
    if name == _JWKS:
        shown = [_jwk(key) for key in await _shown(ctx)]
        return msgspec.json.encode({"keys": shown}), "application/json"
    return None


def _discovery(url: str) -> dict[str, Any]:
    return {
        "issuer": url,
        "jwks_uri": f"{url}/{_JWKS}",
        "response_types_supported": ["id_token"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": list(ALGORITHMS),
        "claims_supported": [
            "aud",
            "exp",
            "iat",
            "iss",
            "jti",
            "sub",
            "https://sts.amazonaws.com/",
        ],
    }


async def _shown(ctx: Context) -> list[TokenKey]:
    """The keys whose tokens may still be about. Those that will sign are made, so that they are known."""
    for algorithm in ALGORITHMS:
        await signing_key(ctx, algorithm)
    reader = ctx.read()
    keys = [key for algorithm in ALGORITHMS for key in await _all(reader, algorithm)]
    return [key for key in keys if key.retired_at is None or key.retired_at + _SHOWN > ctx.now]


async def _all(reader: Reader, algorithm: str) -> list[TokenKey]:
    return await reader.list(TokenKey, (algorithm,), limit=limits.TOKEN_KEYS_MAX)


async def _signs_now(reader: Reader, ctx: Context, algorithm: str) -> TokenKey | None:
    for key in await _all(reader, algorithm):
        if key.retired_at is None and key.made_at + _SIGNS > ctx.now:
            return key
    return None


def _pem(key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


_MAKES: dict[str, Callable[[], bytes]] = {
    "RS256": lambda: _pem(rsa.generate_private_key(65_537, _RSA_BITS)),
    "ES384": lambda: _pem(ec.generate_private_key(ec.SECP384R1())),
}


def _signature(key: TokenKey, text: bytes) -> bytes:
    private = serialization.load_pem_private_key(key.key, None)
    if isinstance(private, rsa.RSAPrivateKey):
        return private.sign(text, padding.PKCS1v15(), hashes.SHA256())
    assert isinstance(private, ec.EllipticCurvePrivateKey)
    r, s = decode_dss_signature(private.sign(text, ec.ECDSA(hashes.SHA384())))
    return r.to_bytes(_ES384_BYTES, "big") + s.to_bytes(_ES384_BYTES, "big")


def _jwk(key: TokenKey) -> dict[str, str]:
    """The public half (RFC 7517)."""
    private = serialization.load_pem_private_key(key.key, None)
    shown = {"kid": key.id, "use": "sig", "alg": key.algorithm}
    if isinstance(private, rsa.RSAPrivateKey):
        numbers = private.public_key().public_numbers()
        return {"kty": "RSA", **shown, "n": _number(numbers.n), "e": _number(numbers.e)}
    assert isinstance(private, ec.EllipticCurvePrivateKey)
    point = private.public_key().public_numbers()
    x, y = _number(point.x, _ES384_BYTES), _number(point.y, _ES384_BYTES)
    return {"kty": "EC", "crv": "P-384", **shown, "x": x, "y": y}


def _number(value: int, size: int = 0) -> str:
    return _text(value.to_bytes(size or (value.bit_length() + 7) // 8, "big"))


def _text(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
