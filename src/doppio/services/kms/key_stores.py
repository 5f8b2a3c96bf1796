"""Custom key stores: where keys can lie that are not KMS's own.

An external key store is reached through its proxy, which is really asked. A store in CloudHSM needs a
cluster, and none is here, so KMS finds none.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from msgspec.structs import replace

from doppio.kernel.context import Context, Reader, Tx
from doppio.kernel.jobs import Job
from doppio.kernel.paging import page_of
from doppio.services.kms import crypto, limits, xks_proxy
from doppio.services.kms.access import root_key
from doppio.services.kms.errors import (
    CloudHsmClusterNotFound,
    CustomKeyStoreHasKeys,
    CustomKeyStoreInvalidState,
    CustomKeyStoreNameInUse,
    CustomKeyStoreNotFound,
    LimitExceeded,
    Validation,
    XksKeyAlreadyInUse,
    XksKeyInvalidConfiguration,
    XksKeyNotFound,
    XksProxyIncorrectCredential,
    XksProxyInvalidConfiguration,
    XksProxyInvalidResponse,
    XksProxyUriInUse,
    XksProxyUriUnreachable,
    XksProxyVpcEndpointServiceNotFound,
)
from doppio.services.kms.pages import position
from doppio.services.kms.records import ExternalKey, Key, KeyStore
from doppio.services.kms.xks_proxy import ProxyError
from doppio.wire.errors import AwsError

if TYPE_CHECKING:
    from doppio._stubs import kms as w

CONNECT = "kms.connect"
EXTERNAL = "EXTERNAL_KEY_STORE"
# What a proxy's refusal is to who connects to it.
_CODES = {
    "AccessDeniedException": "XKS_PROXY_ACCESS_DENIED",
    "AuthenticationFailedException": "XKS_PROXY_ACCESS_DENIED",
    "InvalidUriPathException": "XKS_PROXY_INVALID_CONFIGURATION",
    "InvalidResponse": "XKS_PROXY_INVALID_RESPONSE",
    "TimedOut": "XKS_PROXY_TIMED_OUT",
    "Unreachable": "XKS_PROXY_NOT_REACHABLE",
}
# What may change while a store is connected.
_AT_ANY_TIME = {"CustomKeyStoreId", "NewCustomKeyStoreName", "XksProxyAuthenticationCredential",
                "XksProxyUriPath"}  # fmt: skip


class KeyStores:
    """The operations on custom key stores."""

    async def create_custom_key_store(
        self, ctx: Context, req: w.CreateCustomKeyStoreRequest
    ) -> w.CreateCustomKeyStoreResponse:
        """Make an external key store, if its proxy answers."""
        if req.get("CustomKeyStoreType", "AWS_CLOUDHSM") != EXTERNAL:
            for member in ("CloudHsmClusterId", "KeyStorePassword", "TrustAnchorCertificate"):
                if not req.get(member):
                    raise Validation(f"{member} is required for an AWS CloudHSM key store.")
            raise CloudHsmClusterNotFound
        for member in ("XksProxyConnectivity", "XksProxyAuthenticationCredential",
                       "XksProxyUriEndpoint", "XksProxyUriPath"):  # fmt: skip
            if not req.get(member):
                raise Validation(f"{member} is required for an external key store.")
        if req["XksProxyConnectivity"] != "PUBLIC_ENDPOINT":
            raise XksProxyVpcEndpointServiceNotFound
        store_id = f"cks-{ctx.new_id('hex32')[:17]}"
        credential = req["XksProxyAuthenticationCredential"]
        store = KeyStore(
            account=ctx.account,
            region=ctx.region,
            id=store_id,
            name=req["CustomKeyStoreName"],
            created_at=ctx.now,
            endpoint=req["XksProxyUriEndpoint"],
            path=req["XksProxyUriPath"],
            access_key=credential["AccessKeyId"],
            secret=await _sealed(ctx, store_id, credential["RawSecretAccessKey"]),
        )
        await _check_proxy(ctx, store, "CreateCustomKeyStore")
        async with ctx.write() as tx:
            await _check_unique(tx, store)
            tx.put(store)
            tx.meter("KMS-Requests")
        return {"CustomKeyStoreId": store_id}

    async def describe_custom_key_stores(
        self, ctx: Context, req: w.DescribeCustomKeyStoresRequest
    ) -> w.DescribeCustomKeyStoresResponse:
        """The account's key stores in the Region, or one of them."""
        reader = ctx.read()
        if "CustomKeyStoreId" in req and "CustomKeyStoreName" in req:
            raise Validation("CustomKeyStoreId and CustomKeyStoreName exclude each other.")
        where = (ctx.account, ctx.region)
        if "CustomKeyStoreId" in req:
            found = [await store_of(reader, req["CustomKeyStoreId"])]
        elif "CustomKeyStoreName" in req:
            listed = await reader.list(KeyStore, where, limit=limits.KEY_STORES_MAX)
            found = [one for one in listed if one.name == req["CustomKeyStoreName"]]
            if not found:
                raise CustomKeyStoreNotFound
        else:
            scope = f"stores/{ctx.account}/{ctx.region}"
            most = req.get("Limit", limits.LISTED_KEYS)
            shown, token = await page_of(
                reader, KeyStore, where, most=most, scope=scope, after=position(req, scope)
            )
            told: dict[str, Any] = {
                "CustomKeyStores": [_told(one) for one in shown],
                "Truncated": token is not None,
            }
            if token is not None:
                told["NextMarker"] = token
            return cast("w.DescribeCustomKeyStoresResponse", told)
        told = {"CustomKeyStores": [_told(one) for one in found], "Truncated": False}
        return cast("w.DescribeCustomKeyStoresResponse", told)

    async def update_custom_key_store(
        self, ctx: Context, req: w.UpdateCustomKeyStoreRequest
    ) -> w.UpdateCustomKeyStoreResponse:
        """Change a store; where its proxy lies only while it is disconnected."""
        seen = await store_of(ctx.read(), req["CustomKeyStoreId"])
        if req.get("CloudHsmClusterId") or req.get("KeyStorePassword"):
            raise Validation("An external key store has no AWS CloudHSM cluster.")
        if req.get("XksProxyConnectivity", "PUBLIC_ENDPOINT") != "PUBLIC_ENDPOINT":
            raise XksProxyVpcEndpointServiceNotFound
        if seen.state != "DISCONNECTED" and not set(req) <= _AT_ANY_TIME:
            raise CustomKeyStoreInvalidState
        wanted = replace(
            seen,
            name=req.get("NewCustomKeyStoreName", seen.name),
            endpoint=req.get("XksProxyUriEndpoint", seen.endpoint),
            path=req.get("XksProxyUriPath", seen.path),
        )
        credential = req.get("XksProxyAuthenticationCredential")
        if credential is not None:
            secret = await _sealed(ctx, seen.id, credential["RawSecretAccessKey"])
            wanted = replace(wanted, access_key=credential["AccessKeyId"], secret=secret)
        if replace(wanted, name=seen.name) != seen:
            await _check_proxy(ctx, wanted, "UpdateCustomKeyStore")
        async with ctx.write() as tx:
            store = await store_of(tx, seen.id)
            if store != seen:
                raise CustomKeyStoreInvalidState
            await _check_unique(tx, wanted)
            tx.put(wanted)
            tx.meter("KMS-Requests")
        return {}

    async def connect_custom_key_store(
        self, ctx: Context, req: w.ConnectCustomKeyStoreRequest
    ) -> w.ConnectCustomKeyStoreResponse:
        """Begin to connect; whether it worked is said by the store's state."""
        async with ctx.write() as tx:
            store = await store_of(tx, req["CustomKeyStoreId"])
            if store.state == "FAILED":
                raise CustomKeyStoreInvalidState
            if store.state == "DISCONNECTED":
                tx.put(replace(store, state="CONNECTING", error=""))
                await tx.schedule(ctx.now, CONNECT, store.id)
            tx.meter("KMS-Requests")
        return {}

    async def disconnect_custom_key_store(
        self, ctx: Context, req: w.DisconnectCustomKeyStoreRequest
    ) -> w.DisconnectCustomKeyStoreResponse:
        """Let a store's keys be of no use, until it is connected again."""
        async with ctx.write() as tx:
            store = await store_of(tx, req["CustomKeyStoreId"])
            tx.put(replace(store, state="DISCONNECTED", error=""))
            await tx.unschedule(CONNECT, store.id)
            tx.meter("KMS-Requests")
        return {}

    async def delete_custom_key_store(
        self, ctx: Context, req: w.DeleteCustomKeyStoreRequest
    ) -> w.DeleteCustomKeyStoreResponse:
        """Forget a store that has no keys and is not connected."""
        async with ctx.write() as tx:
            store = await store_of(tx, req["CustomKeyStoreId"])
            if store.state not in {"DISCONNECTED", "FAILED"}:
                raise CustomKeyStoreInvalidState
            where = (store.account, store.region, store.id)
            if await tx.list(ExternalKey, where, limit=1):
                raise CustomKeyStoreHasKeys
            tx.delete(store)
            tx.meter("KMS-Requests")
        return {}


async def connect(ctx: Context, job: Job) -> None:
    """Ask a store's proxy whether it works."""
    store = await ctx.read().get(KeyStore, job.account, job.region, job.key)
    if store is None or store.state != "CONNECTING":
        return
    code = ""
    try:
        await xks_proxy.check_health(ctx, store, "ConnectCustomKeyStore")
    except ProxyError as error:
        code = _CODES.get(error.name, "INTERNAL_ERROR")

    async def end(tx: Tx) -> None:
        now = await tx.get(KeyStore, job.account, job.region, job.key)
        if now == store:
            tx.put(replace(now, state="FAILED" if code else "CONNECTED", error=code))

    await ctx.transact(end)


async def store_of(reader: Reader, store_id: str) -> KeyStore:
    """A store of the account and Region. Raises CustomKeyStoreNotFound."""
    ctx = reader.context
    found = await reader.get(KeyStore, ctx.account, ctx.region, store_id)
    if found is None:
        raise CustomKeyStoreNotFound
    return found


async def check_key(ctx: Context, store_id: str, name: str) -> None:
    """Raise what keeps an external key from being a new KMS key's."""
    store = await store_of(ctx.read(), store_id)
    if store.state != "CONNECTED":
        raise CustomKeyStoreInvalidState
    try:
        is_right = await xks_proxy.key_is_right(ctx, store, name)
    except ProxyError as error:
        if error.name == "KeyNotFoundException":
            raise XksKeyNotFound from error
        raise _of_proxy(error) from error
    if not is_right:
        raise XksKeyInvalidConfiguration


async def take_key(tx: Tx, key: Key) -> None:
    """Keep which KMS key an external key is for: for one alone."""
    where = (key.account, key.region, key.store, key.xks_key)
    if await tx.get(ExternalKey, *where) is not None:
        raise XksKeyAlreadyInUse
    store = await store_of(tx, key.store)
    if store.state != "CONNECTED":
        raise CustomKeyStoreInvalidState
    tx.put(ExternalKey(account=key.account, region=key.region, store=key.store,
                       name=key.xks_key, key=key.id))  # fmt: skip


async def _sealed(ctx: Context, store_id: str, secret: str) -> bytes:
    nonce = ctx.kernel.ids.bytes(crypto.NONCE_BYTES)
    return crypto.seal(await root_key(ctx), nonce, secret.encode(), store_id)


async def _check_proxy(ctx: Context, store: KeyStore, operation: str) -> None:
    try:
        await xks_proxy.check_health(ctx, store, operation)
    except ProxyError as error:
        raise _of_proxy(error) from error


def _of_proxy(error: ProxyError) -> AwsError:
    code = _CODES.get(error.name)
    text = f"{error.name}: {error.message}"
    if code == "XKS_PROXY_ACCESS_DENIED":
        return XksProxyIncorrectCredential(text)
    if code in {"XKS_PROXY_NOT_REACHABLE", "XKS_PROXY_TIMED_OUT"}:
        return XksProxyUriUnreachable(text)
    if code == "XKS_PROXY_INVALID_RESPONSE":
        return XksProxyInvalidResponse(text)
    return XksProxyInvalidConfiguration(text)


async def _check_unique(tx: Tx, store: KeyStore) -> None:
    listed = await tx.list(KeyStore, (store.account, store.region), limit=limits.KEY_STORES_MAX + 1)
    rest = [one for one in listed if one.id != store.id]
    if any(one.name == store.name for one in rest):
        raise CustomKeyStoreNameInUse
    if any((one.endpoint, one.path) == (store.endpoint, store.path) for one in rest):
        raise XksProxyUriInUse
    if len(rest) >= limits.KEY_STORES_MAX:
        raise LimitExceeded("The account has as many custom key stores as it can have.")


def _told(store: KeyStore) -> dict[str, Any]:
    told: dict[str, Any] = {
        "CustomKeyStoreId": store.id,
        "CustomKeyStoreName": store.name,
        "ConnectionState": store.state,
        "CreationDate": store.created_at,
        "CustomKeyStoreType": EXTERNAL,
        "XksProxyConfiguration": {
            "Connectivity": "PUBLIC_ENDPOINT",
            "AccessKeyId": store.access_key,
            "UriEndpoint": store.endpoint,
            "UriPath": store.path,
        },
    }
    if store.error:
        told["ConnectionErrorCode"] = store.error
    return told
