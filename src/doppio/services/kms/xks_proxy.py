"""Speaking to the proxy of an external key store: AWS's published XKS proxy API, version 1.

Requests are JSON by POST, signed by Signature Version 4 for the service `kms-xks-proxy` with the
credential that the proxy was set up with. Source: "AWS KMS External Key Store (XKS) Proxy API
Specification".
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
from collections.abc import Mapping
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from doppio.kernel.context import Context
from doppio.services.kms import crypto, limits
from doppio.services.kms.access import root_key
from doppio.services.kms.records import Key, KeyStore
from doppio.wire.sigv4 import signing_key

_SERVICE = "kms-xks-proxy"
_ALGORITHM = "AWS4-HMAC-SHA256"
_SIGNED = "content-type;host;x-amz-date"


class ProxyError(Exception):
    """What a proxy said that it cannot do; `name` is the API's, or one of ours.

    Ours are Unreachable, TimedOut and InvalidResponse.
    """

    def __init__(self, name: str, message: str) -> None:
        super().__init__(message)
        self.name = name
        self.message = message


class Wrapped(NamedTuple):
    """What a proxy has encrypted."""

    ciphertext: bytes
    iv: bytes
    tag: bytes
    metadata: bytes


async def check_health(ctx: Context, store: KeyStore, operation: str) -> None:
    """Raise ProxyError unless a key manager behind the proxy works."""
    said = await _ask(ctx, store, "health", {"requestMetadata": _metadata(ctx, operation)})
    try:
        healthy = [one["healthStatus"] for one in said["ekmFleetDetails"]]
    except (KeyError, TypeError) as error:
        raise ProxyError("InvalidResponse", "the health is not told") from error
    if all(one == "UNAVAILABLE" for one in healthy):
        raise ProxyError("Unreachable", "no external key manager is available")


async def key_is_right(ctx: Context, store: KeyStore, name: str) -> bool:
    """Whether an external key can be a KMS key's. Raises ProxyError, also where there is none."""
    body = {"requestMetadata": _metadata(ctx, "CreateKey")}
    said = await _ask(ctx, store, f"keys/{name}/metadata", body)
    try:
        usable = {"ENCRYPT", "DECRYPT"} <= set(said["keyUsage"])
        return said["keySpec"] == "AES_256" and said["keyStatus"] == "ENABLED" and usable
    except (KeyError, TypeError) as error:
        raise ProxyError("InvalidResponse", "the key is not described") from error


async def encrypt(
    ctx: Context, store: KeyStore, key: Key, operation: str, plaintext: bytes, bound: bytes
) -> Wrapped:
    """Have the external key encrypt; `bound` must be known to decrypt."""
    body = {
        "requestMetadata": _metadata(ctx, operation, key),
        "plaintext": _text(plaintext),
        "encryptionAlgorithm": "AES_GCM",
        "additionalAuthenticatedData": _text(bound),
    }
    said = await _ask(ctx, store, f"keys/{key.xks_key}/encrypt", body)
    return Wrapped(
        _bytes(said, "ciphertext"), _bytes(said, "initializationVector"),
        _bytes(said, "authenticationTag"), _bytes(said, "ciphertextMetadata", rare=True),
    )  # fmt: skip


async def decrypt(
    ctx: Context, store: KeyStore, key: Key, operation: str, wrapped: Wrapped, bound: bytes
) -> bytes:
    """Have the external key decrypt. Raises ProxyError."""
    body = {
        "requestMetadata": _metadata(ctx, operation, key),
        "ciphertext": _text(wrapped.ciphertext),
        "encryptionAlgorithm": "AES_GCM",
        "initializationVector": _text(wrapped.iv),
        "authenticationTag": _text(wrapped.tag),
        "additionalAuthenticatedData": _text(bound),
    }
    if wrapped.metadata:
        body["ciphertextMetadata"] = _text(wrapped.metadata)
    return _bytes(await _ask(ctx, store, f"keys/{key.xks_key}/decrypt", body), "plaintext")


async def _ask(
    ctx: Context, store: KeyStore, path: str, body: Mapping[str, Any]
) -> Mapping[str, Any]:
    raw = crypto.unseal(await root_key(ctx), store.secret, store.id)
    url = f"{store.endpoint}{store.path}/{path}"
    content = json.dumps(body).encode()
    answer = await ctx.machine.http.send(
        "POST",
        url,
        headers=_signed(ctx, store.access_key, raw.decode(), url, content),
        body=content,
        seconds_max=limits.PROXY_SECONDS_MAX,
    )
    if answer.status == 0:
        slow = "timed out" in answer.error
        raise ProxyError("TimedOut" if slow else "Unreachable", answer.error)
    try:
        said = json.loads(answer.body)
    except ValueError as error:
        raise ProxyError("InvalidResponse", f"status {answer.status} without JSON") from error
    if not isinstance(said, dict):
        raise ProxyError("InvalidResponse", f"status {answer.status} without an object")
    if answer.status != 200:
        name = str(said.get("errorName", "InvalidResponse"))
        raise ProxyError(name, str(said.get("errorMessage", f"status {answer.status}")))
    return said


def _signed(ctx: Context, access_key: str, secret: str, url: str, content: bytes) -> dict[str, str]:
    """The headers of a signed request. Signatures follow the host's time, as their skew does."""
    parts = urlsplit(url)
    when = ctx.clock.host_now().strftime("%Y%m%dT%H%M%SZ")
    headers = {"content-type": "application/json", "host": parts.netloc, "x-amz-date": when}
    lines = "".join(f"{name}:{headers[name]}\n" for name in _SIGNED.split(";"))
    digest = hashlib.sha256(content).hexdigest()
    canonical = f"POST\n{parts.path}\n\n{lines}\n{_SIGNED}\n{digest}"
    scope = f"{when[:8]}/{ctx.region}/{_SERVICE}/aws4_request"
    hashed = hashlib.sha256(canonical.encode()).hexdigest()
    text = f"{_ALGORITHM}\n{when}\n{scope}\n{hashed}"
    key = signing_key(secret, when[:8], ctx.region, _SERVICE)
    signature = hmac.digest(key, text.encode(), "sha256").hex()
    headers["authorization"] = (
        f"{_ALGORITHM} Credential={access_key}/{scope}, SignedHeaders={_SIGNED}, "
        f"Signature={signature}"
    )
    return headers


def _metadata(ctx: Context, operation: str, key: Key | None = None) -> dict[str, str]:
    told = {
        "awsPrincipalArn": ctx.caller.arn, "kmsOperation": operation,
        "kmsRequestId": ctx.request_id,
    }  # fmt: skip
    if key is not None:
        told["kmsKeyArn"] = key.arn
    via = ctx.caller.session.get("kms:viaservice")
    if via:
        told["kmsViaService"] = str(via).partition(".")[0]
    return told


def _text(content: bytes) -> str:
    return base64.b64encode(content).decode()


def _bytes(said: Mapping[str, Any], member: str, *, rare: bool = False) -> bytes:
    if rare and member not in said:
        return b""
    try:
        return base64.b64decode(said[member], validate=True)
    except (KeyError, TypeError, binascii.Error, ValueError) as error:
        raise ProxyError("InvalidResponse", f"no {member} in the answer") from error
