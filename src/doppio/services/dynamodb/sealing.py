"""Encryption at rest with a KMS key: items of a table that asks for it lie on disk as ciphertext.

A table has a data key of its own, wrapped by its KMS key, under which each item, index entry and past
image is sealed; keys of rows stay as they are, since rows are in their order. Who uses the table asks
KMS for the data key, through DynamoDB and as themselves, and again after five minutes: so a key that
is disabled or denied makes the items unreadable. What the service does by itself it does by a grant
that was made with the table; with AWS's managed key, as the account.

A table without a KMS key is not sealed: its owner said nothing, and its disk's encryption is the
machine's. One that once was keeps its data key, under the cloud's own key.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

import msgspec
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from msgspec.structs import replace

from doppio.kernel import data_keys
from doppio.kernel.context import Context, Tx
from doppio.kernel.identity import root_of
from doppio.kernel.jobs import Job
from doppio.kernel.own_keys import own_cipher, seal, unseal
from doppio.services.dynamodb import limits
from doppio.services.dynamodb.errors import KeyInaccessible, KmsDenied, ValidationException
from doppio.services.dynamodb.item_rows import decode_row, encode_row, item_in
from doppio.services.dynamodb.records import ITEMS, SealKey, Stream, Table
from doppio.services.dynamodb.values import Item
from doppio.wire.errors import AwsError

INACCESSIBLE = "INACCESSIBLE_ENCRYPTION_CREDENTIALS"
RESEAL = "dynamodb.reseal"
_OWN, _MANAGED = "dynamodb", "alias/aws/dynamodb"
# No value of msgpack begins with it.
_MARK = b"\xc1"
_ID_BYTES = 16
_REFUSALS: dict[str, type[AwsError]] = {
    "AccessDeniedException": KmsDenied,
    "DisabledException": KeyInaccessible,
    "KMSInvalidStateException": KeyInaccessible,
    "NotFoundException": KeyInaccessible,
}
_keys = data_keys.DataKeys("dynamodb", _REFUSALS)
# Data keys that somebody was let in to, by their ids: a hint, filled before each use.
_ciphers: dict[bytes, tuple[bytes, AESGCM]] = {}

_encode = msgspec.msgpack.Encoder().encode


def decode_item(raw: bytes) -> Item:
    """An item as it lies on disk, sealed or not; who was let in to its table has its key."""
    return item_in(raw if raw[0] != _MARK[0] else opened(raw))


def decode_sized(raw: bytes) -> tuple[int, Item]:
    """The same with the item's size before it."""
    return decode_row(raw if raw[0] != _MARK[0] else opened(raw))


def decoder(table: Table) -> Callable[[bytes], tuple[int, Item]]:
    """What reads the rows of a table; the short way where nothing of it was ever sealed."""
    return decode_row if table.seal is None else decode_sized


def encoder(ctx: Context, table: Table) -> Callable[[int, Item], bytes]:
    """What writes the rows of a table: the items' sizes, and the items."""
    if table.seal is None:
        return encode_row
    held = table.seal
    return lambda size, item: sealed(ctx, held, encode_row(size, item))


def entry_encoder(ctx: Context, table: Table) -> Callable[[Item], bytes]:
    """What writes what of a table has no size: what is shipped of it, and entries of vectors."""
    if table.seal is None:
        return _encode
    held = table.seal
    return lambda item: sealed(ctx, held, _encode(item))


def sealed(ctx: Context, key: SealKey, plain: bytes) -> bytes:
    """Bytes under a table's data key."""
    return _MARK + key.id + seal(ctx, _ciphers[key.id][1], plain)


def opened(raw: bytes) -> bytes:
    """The bytes again."""
    behind = len(_MARK) + _ID_BYTES
    return unseal(_ciphers[raw[len(_MARK) : behind]][1], raw[behind:])


def is_sealed(raw: bytes) -> bool:
    """Whether bytes are sealed."""
    return raw.startswith(_MARK)


async def admit(ctx: Context, table: Table) -> None:
    """Let the caller in to a sealed table. Raises KmsDenied, or KeyInaccessible.

    A key that cannot be used by anybody changes the table's status, and back again.
    """
    assert table.seal is not None
    try:
        await admit_by_key(ctx, table.seal)
    except KeyInaccessible:
        if table.status != INACCESSIBLE:
            await ctx.transact(lambda tx: _mark(tx, table, INACCESSIBLE, ctx.now))
        raise
    if table.status == INACCESSIBLE:
        await ctx.transact(lambda tx: _mark(tx, table, "ACTIVE", None))


async def admit_by_key(ctx: Context, key: SealKey) -> None:
    """Let the caller in to what lies under a data key."""
    if key.kms_key is None:
        own = ctx.kernel.own_ciphers.get(_OWN) or await own_cipher(ctx, _OWN)
        _hold(key.id, unseal(own, key.wrapped))
    else:
        _hold(key.id, await _keys.for_opening(ctx, key.wrapped, key.context, limits.KEY_REUSE))


async def admit_work(ctx: Context, *tables: Table) -> None:
    """Let the service's own work in to tables."""
    for table in tables:
        key = table.seal
        if key is not None:
            who = (
                root_of(table.account, partition=ctx.partition)
                if key.managed
                else ctx.as_service("dynamodb").caller
            )
            await admit_by_key(ctx.derive(who), key)


async def _mark(tx: Tx, table: Table, status: str, since: datetime | None) -> None:
    found = await tx.get(Table, table.account, table.region, table.name)
    if found is None or found.id != table.id or found.seal is None:
        return
    if found.status in ("ACTIVE", INACCESSIBLE):
        tx.put(replace(found, status=status, seal=replace(found.seal, inaccessible_at=since)))


def _hold(name: bytes, plain: bytes) -> None:
    held = _ciphers.get(name)
    if held is None or held[0] != plain:
        if len(_ciphers) >= data_keys.HELD_MAX:
            _ciphers.clear()
        _ciphers[name] = (plain, AESGCM(plain))


def wanted(specification: Mapping[str, Any]) -> bool:
    """Whether a KMS key is asked for. Raises ValidationException where it is unclear."""
    on = bool(specification.get("Enabled"))
    if specification.get("SSEType", "KMS") != "KMS":
        raise ValidationException(
            "One or more parameter values were invalid: SSEType AES256 is not supported: the only "
            "supported SSEType is KMS"
        )
    if not on and ("KMSMasterKeyId" in specification or "SSEType" in specification):
        raise ValidationException(
            "One or more parameter values were invalid: SSEType and KMSMasterKeyId cannot be "
            "specified when encryption is not enabled"
        )
    return on


async def made_key(ctx: Context, specification: Mapping[str, Any], table: str) -> SealKey | None:
    """A data key for a new table, made as the caller; None where no KMS key is asked for."""
    if not wanted(specification):
        return None
    made = SealKey(id=b"", wrapped=b"", context=_context(ctx, table))
    return await _wrapped(ctx, specification, made, None)


async def _wrapped(
    ctx: Context, specification: Mapping[str, Any], key: SealKey, plain: bytes | None
) -> SealKey:
    """A key under the KMS key that is asked for; it is new where there is no `plain`."""
    kms_key = specification.get("KMSMasterKeyId", _MANAGED)
    kms = ctx.via("dynamodb")
    try:
        if plain is None:
            asked = {"KeyId": kms_key, "KeySpec": "AES_256", "EncryptionContext": key.context}
            made = await kms.call("kms", "generate_data_key", asked)
            plain, name = made["Plaintext"], ctx.kernel.ids.bytes(_ID_BYTES)
        else:
            asked = {"KeyId": kms_key, "Plaintext": plain, "EncryptionContext": key.context}
            made, name = await kms.call("kms", "encrypt", asked), key.id
        # Who makes a table under a key must be able to read it.
        managed = kms_key == _MANAGED
        if not managed:
            await kms.call(
                "kms",
                "create_grant",
                {
                    "KeyId": made["KeyId"],
                    "GranteeServicePrincipal": "dynamodb.amazonaws.com",
                    "SourceArn": f"arn:{ctx.partition}:dynamodb:{ctx.region}:{ctx.account}:table/*",
                    "Operations": ["Decrypt", "DescribeKey"],
                    "Constraints": {"EncryptionContextEquals": key.context},
                },
            )
    except AwsError as error:
        if error.code == "AccessDeniedException":
            raise KmsDenied(f"KMS key access denied error: {error.message}") from error
        raise ValidationException(
            f"One or more parameter values were invalid: KMS validation error: {error.message}"
        ) from error
    _hold(name, plain)
    return replace(
        key, id=name, wrapped=made["CiphertextBlob"], kms_key=made["KeyId"], managed=managed
    )


async def switched(ctx: Context, tx: Tx, table: Table, specification: Mapping[str, Any]) -> Table:
    """The table under another key, or none of KMS; rows that are not sealed yet are, by a job."""
    on = wanted(specification)
    old = table.seal
    if old is None:
        if not on:
            raise ValidationException(
                "One or more parameter values were invalid: Table is already decrypted"
            )
        made = await made_key(ctx, specification, table.name)
        assert made is not None
        new = replace(made, status="UPDATING")
        await tx.schedule(ctx.now, RESEAL, table.arn, id=table.id)
    else:
        await admit(ctx, table)
        plain = _ciphers[old.id][0]
        if on:
            new = await _wrapped(ctx, specification, old, plain)
            if new.kms_key == old.kms_key:
                raise ValidationException(
                    "One or more parameter values were invalid: Table is already encrypted by given "
                    "KMSMasterKeyId"
                )
        elif old.kms_key is None:
            raise ValidationException(
                "One or more parameter values were invalid: Table is already decrypted"
            )
        else:
            own = await own_cipher(ctx, _OWN)
            new = replace(old, kms_key=None, managed=False, wrapped=seal(ctx, own, plain))
    if table.stream is not None:
        stream = await tx.get(Stream, table.account, table.region, table.name, table.stream.label)
        if stream is not None:
            tx.put(replace(stream, seal=new))
    return replace(table, seal=new)


def described(table: Table) -> dict[str, Any] | None:
    """SSEDescription; None where AWS's own key would seal, of which it says nothing."""
    key = table.seal
    if key is None or key.kms_key is None:
        return None
    shown: dict[str, Any] = {
        "Status": key.status, "SSEType": "KMS", "KMSMasterKeyArn": key.kms_key,
    }  # fmt: skip
    if key.inaccessible_at is not None:
        shown["InaccessibleEncryptionDateTime"] = key.inaccessible_at
    return shown


async def reseal(ctx: Context, job: Job) -> None:
    """Seal what a table holds in clear, some rows a commit."""
    from doppio.services.dynamodb.item_keys import INDEXED
    from doppio.services.dynamodb.past import past_prefix

    account, region, name = job.key.split(":")[4], job.key.split(":")[3], job.key.split("/")[1]
    table_id = job.arguments["id"]
    table = await ctx.read().get(Table, account, region, name)
    if table is None or table.id != table_id or table.seal is None:
        return
    await admit_work(ctx, table)
    key = table.seal
    prefixes = (ITEMS + table_id.encode(), INDEXED + table_id.encode(), past_prefix(table_id))
    for prefix in prefixes:
        lo: bytes | None = prefix
        while lo is not None:

            async def batch(tx: Tx, lo: bytes = lo, prefix: bytes = prefix) -> bytes | None:
                rows = await tx.raw.scan(lo, prefix + b"\xff", limit=limits.ROWS_A_READ)
                for row, raw in rows:
                    if raw and not is_sealed(raw):
                        tx.raw.put(row, sealed(ctx, key, raw))
                return rows[-1][0] + b"\0" if len(rows) == limits.ROWS_A_READ else None

            lo = await ctx.transact(batch)

    async def finish(tx: Tx) -> None:
        found = await tx.get(Table, account, region, name)
        if found is not None and found.id == table_id and found.seal is not None:
            tx.put(replace(found, seal=replace(found.seal, status="ENABLED")))

    await ctx.transact(finish)


def _context(ctx: Context, table: str) -> dict[str, str]:
    return {"aws:dynamodb:tableName": table, "aws:dynamodb:subscriberId": ctx.account}
