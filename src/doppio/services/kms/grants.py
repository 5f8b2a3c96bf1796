"""Grants: leave to use a key, given and taken back without touching its policy."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, cast

from msgspec.structs import replace

from doppio.kernel.context import Context, Reader, Tx, index_row_key, row_key
from doppio.kernel.paging import page_token
from doppio.services.kms import limits
from doppio.services.kms.access import (
    again,
    check,
    check_tokens,
    named,
    not_pending,
    permitted,
    root_key,
)
from doppio.services.kms.conditions import of_request
from doppio.services.kms.errors import (
    Disabled,
    DryRunOperation,
    InvalidArn,
    InvalidGrantId,
    LimitExceeded,
    NotFound,
    Validation,
)
from doppio.services.kms.granted import grant_for, is_within, named_by, names_of, token_of
from doppio.services.kms.pages import position
from doppio.services.kms.records import BY_GRANTEE, BY_RETIRING, Grant, Key

if TYPE_CHECKING:
    from doppio._stubs import kms as w

_PRINCIPAL = re.compile(
    r"arn:aws[a-z-]*:(iam::\d{12}:(root|user/.+|role/.+)|"
    r"sts::\d{12}:(assumed-role/.+/.+|federated-user/.+))"
)
_MANAGING = {"CreateGrant", "RetireGrant", "DescribeKey"}
_OPERATIONS = {
    "SYMMETRIC": {
        "Encrypt", "Decrypt", "ReEncryptFrom", "ReEncryptTo", "GenerateDataKey",
        "GenerateDataKeyWithoutPlaintext", "GenerateDataKeyPair",
        "GenerateDataKeyPairWithoutPlaintext",
    },
    "ENCRYPT_DECRYPT": {"Encrypt", "Decrypt", "ReEncryptFrom", "ReEncryptTo", "GetPublicKey"},
    "SIGN_VERIFY": {"Sign", "Verify", "GetPublicKey"},
    "GENERATE_VERIFY_MAC": {"GenerateMac", "VerifyMac"},
    "KEY_AGREEMENT": {"DeriveSharedSecret", "GetPublicKey"},
    "ENCAPSULATE_DECAPSULATE": {"Encapsulate", "Decapsulate", "GetPublicKey"},
}  # fmt: skip


class Grants:
    """The operations on grants."""

    async def create_grant(self, ctx: Context, req: w.CreateGrantRequest) -> w.CreateGrantResponse:
        """Let a principal use a key; the same grant of the same name is made once."""
        root = await root_key(ctx)
        await check_tokens(ctx, req)
        grantee, retiring = _principals(req)
        key = await named(ctx.read(), req["KeyId"])
        await _check_create(ctx, key, req, grantee, retiring)
        if key.state == "Disabled":
            raise Disabled(f"{key.arn} is disabled.")
        not_pending(key)
        _check_operations(key, req["Operations"])
        constraints = _constraints(key, req.get("Constraints") or {})
        if req.get("DryRun"):
            raise DryRunOperation
        made = Grant(
            key=key.arn,
            id=ctx.new_id("hex32") + ctx.new_id("hex32"),
            account=key.account,
            region=key.region,
            grantee=grantee,
            operations=list(req["Operations"]),
            issuer=ctx.account,
            created_at=ctx.now,
            retiring=retiring,
            name=req.get("Name", ""),
            subset=constraints.get("EncryptionContextSubset"),
            equals=constraints.get("EncryptionContextEquals"),
            source=constraints.get("SourceArn"),
        )
        async with ctx.write() as tx:
            grant = await _same(tx, made) if made.name else None
            if grant is None:
                grant = await _added(tx, key, made)
            tx.meter("KMS-Requests")
        return {"GrantToken": token_of(root, grant), "GrantId": grant.id}

    async def list_grants(self, ctx: Context, req: w.ListGrantsRequest) -> w.ListGrantsResponse:
        """A key's grants: all, one, or those of a principal."""
        key = await permitted(ctx, req["KeyId"], "ListGrants", req)
        reader = ctx.read()
        if "GrantId" in req:
            _check_id(req["GrantId"])
            one = await reader.get(Grant, key.arn, req["GrantId"])
            told = [_told(one)] if one is not None and _is_of(one, req) else []
            return {"Grants": told, "Truncated": False}
        most = req.get("Limit", limits.LISTED_GRANTS)
        grantee = req.get("GranteePrincipal") or req.get("GranteeServicePrincipal")
        scope = f"grants/{key.arn}/{grantee}"
        after = position(req, scope)
        if grantee is None:
            found = await reader.list(Grant, (key.arn,), after=after, limit=most + 1)
        else:
            found = await reader.find(BY_GRANTEE, (key.arn, grantee), after=after, limit=most + 1)
        last = found[most - 1] if len(found) > most else None
        mark = None
        if last is not None:
            mark = row_key(last) if grantee is None else index_row_key(BY_GRANTEE, last)
        return cast("w.ListGrantsResponse", _page(found[:most], mark, scope))

    async def list_retirable_grants(
        self, ctx: Context, req: w.ListRetirableGrantsRequest
    ) -> w.ListGrantsResponse:
        """The grants of the account and Region that a principal may retire."""
        retiring = req.get("RetiringPrincipal") or req.get("RetiringServicePrincipal")
        if retiring is None:
            raise Validation("RetiringPrincipal or RetiringServicePrincipal is required.")
        await ctx.authorise("kms:ListRetirableGrants", "*")
        most = req.get("Limit", limits.LISTED_GRANTS)
        scope = f"retirable/{ctx.account}/{ctx.region}/{retiring}"
        found = await ctx.read().find(
            BY_RETIRING,
            (ctx.account, ctx.region, retiring),
            after=position(req, scope),
            limit=most + 1,
        )
        mark = index_row_key(BY_RETIRING, found[most - 1]) if len(found) > most else None
        return cast("w.ListGrantsResponse", _page(found[:most], mark, scope))

    async def revoke_grant(self, ctx: Context, req: w.RevokeGrantRequest) -> None:
        """Take a grant back; who relied on it is denied from now on."""
        _check_id(req["GrantId"])
        key = await permitted(ctx, req["KeyId"], "RevokeGrant", req)
        await _end(ctx, key, req["GrantId"], dry=bool(req.get("DryRun")))

    async def retire_grant(self, ctx: Context, req: w.RetireGrantRequest) -> None:
        """Give a grant back, as who it was made for, or as who was named to clean up."""
        if "GrantToken" in req:
            arn, grant_id = named_by(await root_key(ctx), req["GrantToken"])
        elif "KeyId" in req and "GrantId" in req:
            arn, grant_id = req["KeyId"], req["GrantId"]
            if not arn.startswith("arn:"):
                raise InvalidArn(f"Invalid arn {arn}")
            _check_id(grant_id)
        else:
            raise Validation("Either a grant token, or a key ID and a grant ID are required.")
        key = await named(ctx.read(), arn)
        grant = await _found(ctx.read(), key, grant_id)
        names = names_of(ctx.caller)
        own = grant.grantee in names and "RetireGrant" in grant.operations
        if grant.retiring not in names and not own:
            extra: dict[str, Any] = {}
            context = grant.equals or grant.subset
            if context is not None:
                kind = "Equals" if grant.equals is not None else "Subset"
                extra["kms:grantconstrainttype"] = f"EncryptionContext{kind}"
            await check(ctx, key, "RetireGrant", extra=extra, context=context, by_grants=False)
        await _end(ctx, key, grant_id, dry=bool(req.get("DryRun")))


async def _check_create(
    ctx: Context, key: Key, req: w.CreateGrantRequest, grantee: str, retiring: str | None
) -> None:
    constraints = req.get("Constraints") or {}
    extra: dict[str, Any] = {
        "kms:grantoperations": list(req["Operations"]),
        "kms:granteeprincipal": grantee,
        **of_request(ctx, "CreateGrant", {}, req["KeyId"]),
    }
    if retiring is not None:
        extra["kms:retiringprincipal"] = retiring
    kinds = [kind for kind, value in constraints.items() if value and kind != "SourceArn"]
    if kinds:
        extra["kms:grantconstrainttype"] = kinds[0]
    parent = await grant_for(ctx, key, "CreateGrant", None)
    # Who may make grants by a grant alone may give no more than it has.
    within = parent is not None and is_within(req, parent)
    context = constraints.get("EncryptionContextEquals") or constraints.get(
        "EncryptionContextSubset"
    )
    await check(ctx, key, "CreateGrant", extra=extra, context=context, by_grants=within)


def _principals(req: w.CreateGrantRequest) -> tuple[str, str | None]:
    found: list[str | None] = []
    for kind in ("Grantee", "Retiring"):
        arn = cast("str | None", req.get(f"{kind}Principal"))
        service = cast("str | None", req.get(f"{kind}ServicePrincipal"))
        if arn is not None and service is not None:
            raise Validation(f"{kind}Principal and {kind}ServicePrincipal exclude each other.")
        if arn is not None and _PRINCIPAL.fullmatch(arn) is None:
            raise InvalidArn(f"Invalid {kind.lower()} principal: {arn}")
        found.append(arn or service)
    grantee, retiring = found
    if grantee is None:
        raise Validation("GranteePrincipal or GranteeServicePrincipal is required.")
    return grantee, retiring


def _check_operations(key: Key, operations: list[Any]) -> None:
    if not operations:
        raise Validation(
            "1 validation error detected: Value '[]' at 'operations' failed to satisfy "
            "constraint: Member must have length greater than or equal to 1"
        )
    kind = "SYMMETRIC" if key.spec == "SYMMETRIC_DEFAULT" else key.usage
    for operation in operations:
        if operation not in _OPERATIONS[kind] | _MANAGING:
            raise Validation(
                f"Grant operation {operation} is not supported by {key.arn}, whose key spec is "
                f"{key.spec} and key usage {key.usage}."
            )


def _constraints(key: Key, given: Mapping[str, Any]) -> Mapping[str, Any]:
    # An empty context constrains nothing; Terraform sends one beside the other.
    given = {kind: value for kind, value in given.items() if value}
    contexts = [kind for kind in given if kind.startswith("EncryptionContext")]
    if len(contexts) > 1:
        raise Validation("A grant has at most one encryption context constraint.")
    if contexts and key.spec != "SYMMETRIC_DEFAULT":
        raise Validation(f"{key.arn} does not take an encryption context.")
    return given


async def _same(tx: Tx, made: Grant) -> Grant | None:
    """The grant that an earlier, equal request has made."""
    wanted = replace(made, id="", created_at=tx.context.now)
    for grant in await tx.find(BY_GRANTEE, (made.key, made.grantee), limit=limits.GRANTS_A_KEY_MAX):
        if replace(grant, id="", created_at=tx.context.now) == wanted:
            return grant
    return None


async def _added(tx: Tx, seen: Key, made: Grant) -> Grant:
    key = await again(tx, seen)
    if key.grants >= limits.GRANTS_A_KEY_MAX:
        raise LimitExceeded(f"{key.arn} has as many grants as a key can have.")
    tx.put(replace(key, grants=key.grants + 1))
    return tx.add(made)


async def _found(reader: Reader, key: Key, grant_id: str) -> Grant:
    grant = await reader.get(Grant, key.arn, grant_id)
    if grant is None:
        raise NotFound(f"Grant ID {grant_id} not found")
    return grant


async def _end(ctx: Context, seen: Key, grant_id: str, *, dry: bool) -> None:
    await _found(ctx.read(), seen, grant_id)
    if dry:
        raise DryRunOperation
    async with ctx.write() as tx:
        key = await again(tx, seen)
        tx.delete(await _found(tx, key, grant_id))
        tx.put(replace(key, grants=key.grants - 1))
        tx.meter("KMS-Requests")


def _check_id(grant_id: str) -> None:
    if re.fullmatch(r"[0-9a-f]{64}", grant_id) is None:
        raise InvalidGrantId(f"Invalid grant ID: {grant_id}")


def _is_of(grant: Grant, req: w.ListGrantsRequest) -> bool:
    grantee = req.get("GranteePrincipal") or req.get("GranteeServicePrincipal")
    return grantee is None or grantee == grant.grantee


def _page(found: list[Grant], mark: bytes | None, scope: str) -> dict[str, Any]:
    page: dict[str, Any] = {
        "Grants": [_told(grant) for grant in found], "Truncated": mark is not None
    }  # fmt: skip
    if mark is not None:
        page["NextMarker"] = page_token(mark, scope)
    return page


def _told(grant: Grant) -> w.GrantListEntry:
    told: dict[str, Any] = {
        "KeyId": grant.key,
        "GrantId": grant.id,
        "Name": grant.name,
        "CreationDate": grant.created_at,
        "IssuingAccount": f"arn:{grant.key.split(':')[1]}:iam::{grant.issuer}:root",
        "Operations": grant.operations,
        _kind("Grantee", grant.grantee): grant.grantee,
    }
    if grant.retiring is not None:
        told[_kind("Retiring", grant.retiring)] = grant.retiring
    constraints = {
        "EncryptionContextSubset": grant.subset,
        "EncryptionContextEquals": grant.equals,
        "SourceArn": grant.source,
    }
    given = {kind: value for kind, value in constraints.items() if value is not None}
    if given:
        told["Constraints"] = given
    return cast("w.GrantListEntry", told)


def _kind(role: str, name: str) -> str:
    return f"{role}Principal" if name.startswith("arn:") else f"{role}ServicePrincipal"
