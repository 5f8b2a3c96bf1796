"""How an object is encrypted: with S3's own keys, with KMS's, or with the customer's.

What nobody asked to be encrypted lies on disk as it came, and is shown as AES256, as S3 shows every
object. What a request or the bucket's default asks for is ciphertext on disk. A customer's key is
never kept: only a salt, from which the data key follows again, and a proof to know it by.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Mapping
from typing import Any, NamedTuple

import msgspec

from doppio.kernel.context import Context, Tx
from doppio.services.s3.errors import (
    AccessDenied,
    InvalidArgument,
    InvalidEncryptionAlgorithm,
    InvalidRequest,
)
from doppio.services.s3.records import Bucket, MasterKey, More, Sealed
from doppio.services.s3.sealing import KEY_BYTES, NONCE_BYTES, DataKeys, unwrap, wrap
from doppio.wire.errors import AccessDenied as AccessDeniedByPolicy
from doppio.wire.errors import AwsError, NotImplementedByDoppio

AES256 = "AES256"
KMS = "aws:kms"
DSSE = "aws:kms:dsse"
CUSTOMER = "customer"
_OWN = "own"
_CUSTOMER_MEMBERS = frozenset({"SSECustomerAlgorithm", "SSECustomerKey", "SSECustomerKeyMD5"})
_KMS_MEMBERS = frozenset({"SSEKMSKeyId", "SSEKMSEncryptionContext"})
_ASKED = frozenset({"ServerSideEncryption"}) | _CUSTOMER_MEMBERS | _KMS_MEMBERS
_CONTEXT_BYTES_MAX = 8 * 1024
_NOT_APPLICABLE = "The encryption parameters are not applicable to this object."
_MISSING = (
    "The object was stored using a form of Server Side Encryption. The correct parameters must be "
    "provided to retrieve the object."
)


class Sealing(NamedTuple):
    """How one object's bytes are sealed: with which data keys, and what is kept about it."""

    keys: DataKeys
    sealed: Sealed


class CustomerKey(NamedTuple):
    """A customer's key, as a request brings it."""

    key: bytes
    md5: str


def asks(req: Mapping[str, Any]) -> bool:
    """Whether a write says anything of encryption."""
    return not _ASKED.isdisjoint(req)


def with_sealing(more: More | None, sealing: Sealing | None) -> More | None:
    """The rare fields of a version that is sealed so."""
    if sealing is None:
        return more
    return msgspec.structs.replace(more or More(), sealed=sealing.sealed)


async def sealing_of(
    ctx: Context, bucket: Bucket, req: Mapping[str, Any], key: str
) -> Sealing | None:
    """How a new object is sealed, as its request or its bucket asks; None: not at all."""
    customer = customer_key(req)
    default = _default_of(bucket)
    kind = req.get("ServerSideEncryption")
    if customer is not None:
        if "SSE-C" in _blocked_of(bucket):
            raise AccessDenied
        if kind is not None:
            raise InvalidArgument(
                "Server Side Encryption with Customer provided key is incompatible with the "
                "encryption method specified",
                ArgumentName="x-amz-server-side-encryption",
                ArgumentValue=kind,
            )
        return _of_customer(ctx, customer)
    if kind is None:
        if not _KMS_MEMBERS.isdisjoint(req):
            raise InvalidArgument(
                "Server Side Encryption with AWS KMS managed key requires HTTP header "
                "x-amz-server-side-encryption : aws:kms",
                ArgumentName="x-amz-server-side-encryption",
                ArgumentValue="null",
            )
        if default is None:
            return None
        kind = default["SSEAlgorithm"]
        key_id = default.get("KMSMasterKeyID")
    else:
        key_id = req.get("SSEKMSKeyId")
        if key_id is None and default is not None and default["SSEAlgorithm"] == kind:
            key_id = default.get("KMSMasterKeyID")
    if kind == AES256:
        if not _KMS_MEMBERS.isdisjoint(req):
            raise InvalidArgument(
                "Server Side Encryption with AWS KMS managed key requires HTTP header "
                "x-amz-server-side-encryption : aws:kms",
                ArgumentName="x-amz-server-side-encryption",
                ArgumentValue=AES256,
            )
        own, wrapped = await _own_key(ctx)
        return Sealing((own,), Sealed(kind=AES256, keys=[wrapped]))
    if kind not in {KMS, DSSE}:
        raise InvalidArgument(
            "The encryption method specified is not supported",
            ArgumentName="x-amz-server-side-encryption",
            ArgumentValue=kind,
        )
    bucket_key = bool(req.get("BucketKeyEnabled", _bucket_key_of(bucket))) and kind == KMS
    return await _of_kms(ctx, bucket, req, key, kind, key_id, bucket_key)


async def under_kms(
    ctx: Context, bucket: Bucket, key: str, kms_key: str, bucket_key: bool
) -> Sealing:
    """How an object's bytes are sealed under a new data key of this key of KMS."""
    return await _of_kms(ctx, bucket, {}, key, KMS, kms_key, bucket_key)


async def rewrapped(
    ctx: Context, bucket: Bucket, key: str, sealed: Sealed, kms_key: str, bucket_key: bool
) -> Sealed:
    """The same data key under another key of KMS: the bytes stay as they are.

    From one key of KMS to another, KMS does it by itself; it is S3's own key that S3 must open.
    """
    context = {"aws:s3:arn": bucket.told if bucket_key else f"{bucket.told}/{key}"}
    context = {**_context(sealed.given_context or None), **context}
    if sealed.kind == AES256:
        plain = await _unwrapped(ctx, sealed.keys[0])
        answer = await _kms(
            ctx,
            "encrypt",
            {"KeyId": kms_key, "Plaintext": plain, "EncryptionContext": context},
        )
    else:
        answer = await _kms(
            ctx,
            "re_encrypt",
            {
                "CiphertextBlob": sealed.keys[0],
                "SourceKeyId": sealed.key_id,
                "SourceEncryptionContext": sealed.context,
                "DestinationKeyId": kms_key,
                "DestinationEncryptionContext": context,
            },
        )
    return msgspec.structs.replace(
        sealed,
        kind=KMS,
        keys=[answer["CiphertextBlob"]],
        key_id=answer["KeyId"],
        context=context,
        bucket_key=bucket_key,
    )


async def keys_of(ctx: Context, req: Mapping[str, Any], sealed: Sealed, of: str = "") -> DataKeys:
    """The data keys of a version that is read. `of` is the members' prefix (`CopySource`).

    Raises what S3 says where the caller may not use the KMS key, or brings not the customer's.
    """
    if sealed.kind == CUSTOMER:
        customer = customer_key(req, of)
        if customer is None:
            raise InvalidRequest(_MISSING)
        return (_known_customer(customer, sealed),)
    if customer_key(req, of) is not None:
        raise InvalidRequest(_NOT_APPLICABLE)
    if sealed.kind == AES256:
        return (await _unwrapped(ctx, sealed.keys[0]),)
    answer = await _kms(
        ctx,
        "decrypt",
        {
            "CiphertextBlob": sealed.keys[0],
            "EncryptionContext": sealed.context,
            "KeyId": sealed.key_id,
        },
    )
    keys = [answer["Plaintext"]]
    if sealed.kind == DSSE:
        keys.append(await _unwrapped(ctx, sealed.keys[1]))
    return tuple(keys)


def is_plain(req: Mapping[str, Any], more: More | None) -> bool:
    """Whether reading is only reading, as it nearly always is."""
    return more is None and _CUSTOMER_MEMBERS.isdisjoint(req)


async def keys_to_read(
    ctx: Context, req: Mapping[str, Any], more: More | None, of: str = ""
) -> DataKeys | None:
    """The data keys of a version that a request reads; None: it is not sealed."""
    sealed = None if more is None else more.sealed
    if sealed is not None:
        return await keys_of(ctx, req, sealed, of)
    if customer_key(req, of) is not None:
        raise InvalidRequest(_NOT_APPLICABLE)
    return None


def check_customer(req: Mapping[str, Any], more: More | None) -> None:
    """What says something of a version needs a customer's key too, but no leave of KMS's."""
    sealed = None if more is None else more.sealed
    customer = customer_key(req)
    if sealed is None or sealed.kind != CUSTOMER:
        if customer is not None:
            raise InvalidRequest(_NOT_APPLICABLE)
    elif customer is None:
        raise InvalidRequest(_MISSING)
    else:
        _known_customer(customer, sealed)


def encryption_of(more: More | None) -> dict[str, Any]:
    """What answers say of a version's encryption."""
    sealed = None if more is None else more.sealed
    if sealed is None:
        return {"ServerSideEncryption": AES256}
    if sealed.kind == CUSTOMER:
        return {"SSECustomerAlgorithm": AES256, "SSECustomerKeyMD5": sealed.md5}
    shown: dict[str, Any] = {"ServerSideEncryption": sealed.kind}
    if sealed.key_id:
        shown["SSEKMSKeyId"] = sealed.key_id
        if sealed.bucket_key:
            shown["BucketKeyEnabled"] = True
    return shown


def told_of(sealing: Sealing | None) -> dict[str, Any]:
    """What the answer to a write says of the encryption, with the context that was given."""
    if sealing is None:
        return {"ServerSideEncryption": AES256}
    shown = encryption_of(More(sealed=sealing.sealed))
    if sealing.sealed.given_context:
        shown["SSEKMSEncryptionContext"] = sealing.sealed.given_context
    return shown


def etag_of(ctx: Context, sealing: Sealing | None, md5: str) -> str:
    """An ETag: the MD5 of the bytes, but with KMS's or a customer's key something that says
    nothing of them."""
    return md5 if sealing is None or sealing.sealed.kind == AES256 else _bytes(ctx, 16).hex()


def opaque_etag(ctx: Context, more: More | None) -> str | None:
    """An ETag that says nothing of the bytes, for what is kept as a version under KMS's keys is."""
    sealed = None if more is None else more.sealed
    return None if sealed is None or sealed.kind == AES256 else _bytes(ctx, 16).hex()


def customer_key(req: Mapping[str, Any], of: str = "") -> CustomerKey | None:
    """The customer's key that a request brings, checked. `of` as in `keys_of`."""
    algorithm = req.get(f"{of}SSECustomerAlgorithm")
    text = req.get(f"{of}SSECustomerKey")
    md5 = req.get(f"{of}SSECustomerKeyMD5")
    if algorithm is None and text is None and md5 is None:
        return None
    if algorithm is None:
        raise InvalidArgument(
            "Requests specifying Server Side Encryption with Customer provided keys must provide "
            "a valid encryption algorithm.",
            ArgumentName=_header(of, ""),
            ArgumentValue="null",
        )
    if algorithm != AES256:
        raise InvalidEncryptionAlgorithm(
            ArgumentName=_header(of, "-algorithm"), ArgumentValue=algorithm
        )
    try:
        key = base64.b64decode(text or "", validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if text is None or len(key) != KEY_BYTES:
        raise InvalidArgument(
            "The secret key was invalid for the specified algorithm."
            if text
            else "Requests specifying Server Side Encryption with Customer provided keys must "
            "provide an appropriate secret key.",
            ArgumentName=_header(of, "-key"),
            ArgumentValue="null",
        )
    if md5 is None:
        raise InvalidArgument(
            "Requests specifying Server Side Encryption with Customer provided keys must provide "
            "the client calculated MD5 of the secret key.",
            ArgumentName=_header(of, "-key-MD5"),
            ArgumentValue="null",
        )
    digest = hashlib.md5(key, usedforsecurity=False).digest()
    if base64.b64encode(digest).decode() != md5:
        raise InvalidArgument(
            "The calculated MD5 hash of the key did not match the hash that was provided.",
            ArgumentName=_header(of, "-key-MD5"),
            ArgumentValue=md5,
        )
    return CustomerKey(key, md5)


def check_same_customer(req: Mapping[str, Any], sealed: Sealed | None) -> None:
    """A part of an upload must bring the key with which the upload began."""
    customer = customer_key(req)
    begun = sealed is not None and sealed.kind == CUSTOMER
    if begun != (customer is not None):
        raise InvalidRequest(
            "The multipart upload initiate requested encryption. Subsequent part requests must "
            "include the appropriate encryption parameters."
            if begun
            else "The multipart upload initiate did not request encryption. Please resend the "
            "request without sending encryption parameters."
        )
    if customer is not None and sealed is not None and customer.md5 != sealed.md5:
        raise InvalidRequest(
            "The provided encryption parameters did not match the ones used originally."
        )


async def sealing_of_part(
    ctx: Context, req: Mapping[str, Any], more: More | None
) -> Sealing | None:
    """How a part is sealed: as its upload, whose customer must bring the same key again."""
    sealed = None if more is None else more.sealed
    check_same_customer(req, sealed)
    return None if sealed is None else Sealing(await keys_of(ctx, req, sealed), sealed)


class DefaultApplies(Exception):
    """A body that a request leaves to the bucket's default must be sealed before it is kept."""

    def __init__(self, bucket: Bucket) -> None:
        super().__init__(bucket.name)
        self.bucket = bucket


def _header(of: str, rest: str) -> str:
    source = "copy-source-" if of else ""
    return f"x-amz-{source}server-side-encryption-customer{rest or '-algorithm'}"


def _default_of(bucket: Bucket) -> Mapping[str, Any] | None:
    if bucket.encryption is None:
        return None
    rule: Mapping[str, Any] = bucket.encryption["Rules"][0]
    found: Mapping[str, Any] = rule["ApplyServerSideEncryptionByDefault"]
    return found


def _blocked_of(bucket: Bucket) -> list[str]:
    if bucket.encryption is None:
        return []
    blocked = bucket.encryption["Rules"][0].get("BlockedEncryptionTypes") or {}
    found: list[str] = blocked.get("EncryptionType") or []
    return found


def _bucket_key_of(bucket: Bucket) -> bool:
    if bucket.encryption is None:
        return False
    return bool(bucket.encryption["Rules"][0].get("BucketKeyEnabled"))


def _bytes(ctx: Context, count: int) -> bytes:
    return ctx.kernel.ids.bytes(count)


async def _own_key(ctx: Context) -> tuple[bytes, bytes]:
    """A new data key, and the same under S3's own key."""
    master = await _master(ctx)
    data_key = _bytes(ctx, KEY_BYTES)
    return data_key, wrap(master, _bytes(ctx, NONCE_BYTES), data_key)


async def _master(ctx: Context) -> bytes:
    """S3's own key, under which it keeps data keys; made when it is first needed."""
    found = await ctx.read().get(MasterKey, _OWN)
    if found is not None:
        return found.key

    async def make(tx: Tx) -> bytes:
        old = await tx.get(MasterKey, _OWN)
        return (old or tx.put(MasterKey(name=_OWN, key=_bytes(ctx, KEY_BYTES)))).key

    return await ctx.transact(make)


async def _unwrapped(ctx: Context, wrapped: bytes) -> bytes:
    return unwrap(await _master(ctx), wrapped)


def _of_customer(ctx: Context, customer: CustomerKey) -> Sealing:
    salt = _bytes(ctx, KEY_BYTES)
    sealed = Sealed(
        kind=CUSTOMER,
        keys=[salt],
        md5=customer.md5,
        proof=hmac.digest(customer.key, b"proof" + salt, "sha256"),
    )
    return Sealing((_known_customer(customer, sealed),), sealed)


def _known_customer(customer: CustomerKey, sealed: Sealed) -> bytes:
    salt = sealed.keys[0]
    proof = hmac.digest(customer.key, b"proof" + salt, "sha256")
    if not hmac.compare_digest(proof, sealed.proof):
        raise AccessDenied(
            "The provided encryption parameters did not match the ones used originally."
        )
    return hmac.digest(customer.key, b"data" + salt, "sha256")


async def _of_kms(
    ctx: Context,
    bucket: Bucket,
    req: Mapping[str, Any],
    key: str,
    kind: str,
    key_id: str | None,
    bucket_key: bool,
) -> Sealing:
    given = req.get("SSEKMSEncryptionContext")
    # What CloudTrail and key policies see: which object (or bucket) a data key is for.
    context = {"aws:s3:arn": bucket.told if bucket_key else f"{bucket.told}/{key}"}
    context = {**_context(given), **context}
    answer = await _kms(
        ctx,
        "generate_data_key",
        {
            "KeyId": key_id or "alias/aws/s3",
            "KeySpec": "AES_256",
            "EncryptionContext": context,
        },
    )
    keys, kept = [answer["Plaintext"]], [answer["CiphertextBlob"]]
    if kind == DSSE:
        own, wrapped = await _own_key(ctx)
        keys.append(own)
        kept.append(wrapped)
    sealed = Sealed(
        kind=kind,
        keys=kept,
        key_id=answer["KeyId"],
        context=context,
        given_context=given or "",
        bucket_key=bucket_key,
    )
    return Sealing(tuple(keys), sealed)


def _context(given: str | None) -> dict[str, str]:
    if given is None:
        return {}
    problem = InvalidArgument(
        "The header 'x-amz-server-side-encryption-context' shall be Base64-encoded UTF-8 string "
        "holding JSON which represents a string-string map",
        ArgumentName="x-amz-server-side-encryption-context",
        ArgumentValue=given,
    )
    if len(given) > _CONTEXT_BYTES_MAX:
        raise problem
    try:
        return msgspec.json.decode(base64.b64decode(given, validate=True), type=dict[str, str])
    except (ValueError, msgspec.DecodeError) as error:
        raise problem from error


async def _kms(ctx: Context, method: str, req: Mapping[str, Any]) -> Any:
    """Ask KMS as the caller, for whom S3 speaks. Its errors are called `KMS.…` in S3's answers."""
    try:
        return await ctx.via("s3").call("kms", method, req)
    except (AccessDeniedByPolicy, NotImplementedByDoppio):
        raise
    except AwsError as error:
        if error.status >= 500:
            raise
        raise KmsProblem(error) from error


class KmsProblem(AwsError):
    """What KMS says, as S3 passes it on."""

    def __init__(self, error: AwsError) -> None:
        super().__init__(error.message)
        self.code = f"KMS.{error.code}"  # type: ignore[misc]
