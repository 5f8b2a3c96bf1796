"""External key stores: a proxy that speaks AWS's API, and keys that lie behind it."""

from __future__ import annotations

import asyncio
import base64
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from doppio.machine.drivers import Machine
from tests.outside import Asked, Said, serving
from tests.services.kms.helpers import allow, key, user
from tests.services.world import ACCOUNT, REGION, World, refusal, run

HOST = "xks.example.com"
PATH = "/shop/kms/xks/v1"
CREDENTIAL = {"AccessKeyId": "ABCDEFGHIJKLMNOPQRST", "RawSecretAccessKey": "s" * 43}
STORE = {
    "CustomKeyStoreType": "EXTERNAL_KEY_STORE",
    "XksProxyConnectivity": "PUBLIC_ENDPOINT",
    "XksProxyUriEndpoint": f"https://{HOST}",
    "XksProxyUriPath": PATH,
    "XksProxyAuthenticationCredential": CREDENTIAL,
}


class Refused(Exception):
    """What the proxy does not do: a status, and a name."""

    def __init__(self, status: int, name: str) -> None:
        super().__init__(name)
        self.status = status
        self.name = name


def _text(content: bytes) -> str:
    return base64.b64encode(content).decode()


class Proxy:
    """A key manager behind AWS's proxy API, written from its specification."""

    def __init__(self) -> None:
        self.keys = {"beans": AESGCM(os.urandom(32)), "tea": AESGCM(os.urandom(32))}
        self.status = "ENABLED"
        self.health = "ACTIVE"
        self.raw: bytes | None = None
        self.asked: list[tuple[str, Any]] = []

    def answer(self, path: str, headers: Any, body: bytes) -> Any:
        """What the proxy says to a request."""
        self._check_signature(path, headers, body)
        if not path.startswith(f"{PATH}/"):
            raise Refused(404, "InvalidUriPathException")
        said = json.loads(body)
        name = path.removeprefix(f"{PATH}/")
        self.asked.append((name, said))
        assert said["requestMetadata"]["awsPrincipalArn"].startswith("arn:") or name == "health"
        if name == "health":
            manager = {"id": "one", "model": "tests", "healthStatus": self.health}
            return {
                "xksProxyFleetSize": 1, "xksProxyVendor": "doppio", "xksProxyModel": "tests",
                "ekmVendor": "doppio", "ekmFleetDetails": [manager],
            }  # fmt: skip
        _, key_id, what = name.split("/")
        if key_id not in self.keys:
            raise Refused(404, "KeyNotFoundException")
        if what == "metadata":
            usage = ["ENCRYPT", "DECRYPT"]
            return {"keySpec": "AES_256", "keyUsage": usage, "keyStatus": self.status}
        bound = base64.b64decode(said["additionalAuthenticatedData"])
        if what == "encrypt":
            iv = os.urandom(12)
            sealed = self.keys[key_id].encrypt(iv, base64.b64decode(said["plaintext"]), bound)
            return {
                "ciphertext": _text(sealed[:-16]), "initializationVector": _text(iv),
                "authenticationTag": _text(sealed[-16:]), "ciphertextMetadata": _text(b"v1"),
            }  # fmt: skip
        if base64.b64decode(said["ciphertextMetadata"]) != b"v1":
            raise Refused(400, "ValidationException")
        sealed = base64.b64decode(said["ciphertext"]) + base64.b64decode(said["authenticationTag"])
        iv = base64.b64decode(said["initializationVector"])
        try:
            return {"plaintext": _text(self.keys[key_id].decrypt(iv, sealed, bound))}
        except InvalidTag as error:
            raise Refused(400, "InvalidCiphertextException") from error

    def _check_signature(self, path: str, headers: Any, body: bytes) -> None:
        """By botocore, so that both sides cannot be wrong in the same way."""
        names = ("content-type", "host", "x-amz-date")
        request = AWSRequest(
            method="POST", url=f"https://{HOST}{path}", data=body,
            headers={name: headers[name] for name in names},
        )  # fmt: skip
        request.context["timestamp"] = headers["x-amz-date"]
        secret = CREDENTIAL["RawSecretAccessKey"]
        signer = SigV4Auth(Credentials(CREDENTIAL["AccessKeyId"], secret), "kms-xks-proxy", REGION)
        text = signer.string_to_sign(request, signer.canonical_request(request))
        given = headers["authorization"]
        right = given.endswith(f"Signature={signer.signature(text, request)}")
        if not right or CREDENTIAL["AccessKeyId"] not in given or headers["host"] != HOST:
            raise Refused(401, "AuthenticationFailedException")


@contextmanager
def served(proxy: Proxy) -> Iterator[str]:
    """The proxy at a port of its own."""

    def answer(asked: Asked) -> Said:
        try:
            status, said = 200, proxy.answer(asked.path, asked.headers, asked.body)
        except Refused as error:
            status, said = error.status, {"errorName": error.name, "errorMessage": "no"}
        return Said(proxy.raw if proxy.raw is not None else json.dumps(said).encode(), status)

    with serving(answer) as port:
        yield f"http://127.0.0.1:{port}"


def with_proxy(story: Any) -> Any:
    """A test that tells a story with a proxy."""

    def test() -> None:
        proxy = Proxy()

        async def told(world: World) -> None:
            with served(proxy) as url:
                world.cloud.machine = Machine(outside={HOST: url})
                await story(world, proxy)
                world.cloud.machine.close()

        run(told)

    test.__name__ = story.__name__
    return test


async def make(world: World, name: str = "vault", **req: Any) -> str:
    """Make a store."""
    found = await world.call(
        "kms", "create_custom_key_store", CustomKeyStoreName=name, **{**STORE, **req}
    )
    made: str = found["CustomKeyStoreId"]
    return made


async def state(world: World, store: str) -> tuple[str, str]:
    """A store's state, once it is not connecting, and why it failed."""
    while True:
        [found] = (await world.call("kms", "describe_custom_key_stores", CustomKeyStoreId=store))[
            "CustomKeyStores"
        ]
        if found["ConnectionState"] != "CONNECTING":
            return found["ConnectionState"], found.get("ConnectionErrorCode", "")
        await asyncio.sleep(0.01)


async def connected(world: World) -> str:
    """A store that is connected."""
    store = await make(world)
    await world.call("kms", "connect_custom_key_store", CustomKeyStoreId=store)
    assert await state(world, store) == ("CONNECTED", "")
    return store


async def outside(world: World, store: str, name: str = "beans", **req: Any) -> dict[str, Any]:
    """A key that lies in the store."""
    return await key(
        world, Origin="EXTERNAL_KEY_STORE", CustomKeyStoreId=store, XksKeyId=name, **req
    )


@with_proxy
async def test_an_external_key_encrypts_what_kms_has_encrypted(world: World, proxy: Proxy) -> None:
    made = await outside(world, await connected(world))
    assert (made["Origin"], made["XksKeyConfiguration"]) == ("EXTERNAL_KEY_STORE", {"Id": "beans"})
    assert "CurrentKeyMaterialId" not in made
    name = {"KeyId": made["KeyId"]}
    context = {"EncryptionContext": {"shop": "one"}}
    blob = (await world.call("kms", "encrypt", **name, Plaintext=b"recipe", **context))[
        "CiphertextBlob"
    ]
    what, said = proxy.asked[-1]
    assert what == "keys/beans/encrypt"
    assert b"recipe" not in base64.b64decode(said["plaintext"])
    metadata = said["requestMetadata"]
    assert metadata["awsPrincipalArn"] == f"arn:aws:iam::{ACCOUNT}:root"
    assert (metadata["kmsKeyArn"], metadata["kmsOperation"]) == (made["Arn"], "Encrypt")
    found = await world.call("kms", "decrypt", CiphertextBlob=blob, **context)
    assert found["Plaintext"] == b"recipe"
    assert "KeyMaterialId" not in found
    for wrong in ({}, {"EncryptionContext": {"shop": "two"}}):
        call = world.call("kms", "decrypt", CiphertextBlob=blob, **wrong)
        assert (await refusal(call))[0] == "InvalidCiphertextException"
    data = await world.call("kms", "generate_data_key", **name, KeySpec="AES_256")
    opened = await world.call("kms", "decrypt", CiphertextBlob=data["CiphertextBlob"])
    assert opened["Plaintext"] == data["Plaintext"]
    inside = await key(world)
    moved = await world.call(
        "kms", "re_encrypt", CiphertextBlob=blob, DestinationKeyId=inside["KeyId"],
        SourceEncryptionContext={"shop": "one"},
    )  # fmt: skip
    opened = await world.call("kms", "decrypt", CiphertextBlob=moved["CiphertextBlob"])
    assert opened["Plaintext"] == b"recipe"
    # Without the external key there is no plaintext.
    proxy.keys["beans"] = AESGCM(os.urandom(32))
    call = world.call("kms", "decrypt", CiphertextBlob=blob, **context)
    assert (await refusal(call))[0] == "InvalidCiphertextException"


@with_proxy
async def test_what_other_keys_can_an_external_one_cannot(world: World, proxy: Proxy) -> None:
    store = await connected(world)
    name = {"KeyId": (await outside(world, store))["KeyId"]}
    for method, req in (
        ("generate_data_key_pair", {"KeyPairSpec": "ECC_NIST_P256"}),
        ("enable_key_rotation", {}),
        ("rotate_key_on_demand", {}),
        (
            "get_parameters_for_import",
            {"WrappingAlgorithm": "RSAES_OAEP_SHA_256", "WrappingKeySpec": "RSA_2048"},
        ),
    ):
        call = world.call("kms", method, **name, **req)
        assert (await refusal(call))[0] == "UnsupportedOperationException", method
    for req, code in (
        ({"name": "beans"}, "XksKeyAlreadyInUseException"),
        ({"name": "none"}, "XksKeyNotFoundException"),
        ({"name": "tea", "MultiRegion": True}, "UnsupportedOperationException"),
        (
            {"name": "tea", "KeySpec": "RSA_2048", "KeyUsage": "SIGN_VERIFY"},
            "UnsupportedOperationException",
        ),
    ):
        assert (await refusal(outside(world, store, **req)))[0] == code
    proxy.status = "DISABLED"
    call = outside(world, store, "tea")
    assert (await refusal(call))[0] == "XksKeyInvalidConfigurationException"
    call = key(world, Origin="EXTERNAL_KEY_STORE", CustomKeyStoreId=store)
    assert (await refusal(call))[0] == "ValidationException"
    call = key(world, XksKeyId="tea")
    assert (await refusal(call))[0] == "ValidationException"
    call = outside(world, "cks-none")
    assert (await refusal(call))[0] == "CustomKeyStoreNotFoundException"


@with_proxy
async def test_keys_of_a_store_that_is_disconnected_are_of_no_use(
    world: World, proxy: Proxy
) -> None:
    store = await connected(world)
    made = await outside(world, store)
    asked = {"KeyId": made["KeyId"], "Plaintext": b"x"}
    blob = (await world.call("kms", "encrypt", **asked))["CiphertextBlob"]
    await world.call("kms", "disconnect_custom_key_store", CustomKeyStoreId=store)
    found = await world.call("kms", "describe_key", KeyId=made["KeyId"])
    assert found["KeyMetadata"]["KeyState"] == "Unavailable"
    for call in (
        world.call("kms", "encrypt", **asked),
        world.call("kms", "decrypt", CiphertextBlob=blob),
    ):
        assert await refusal(call) == (
            "KMSInvalidStateException",
            f"{made['Arn']} is unavailable.",
        )
    assert (await refusal(outside(world, store, "tea")))[0] == (
        "CustomKeyStoreInvalidStateException"
    )
    held = world.call("kms", "delete_custom_key_store", CustomKeyStoreId=store)
    assert (await refusal(held))[0] == "CustomKeyStoreHasCMKsException"
    await world.call("kms", "connect_custom_key_store", CustomKeyStoreId=store)
    assert await state(world, store) == ("CONNECTED", "")
    assert (await world.call("kms", "decrypt", CiphertextBlob=blob))["Plaintext"] == b"x"
    open_one = world.call("kms", "delete_custom_key_store", CustomKeyStoreId=store)
    assert (await refusal(open_one))[0] == "CustomKeyStoreInvalidStateException"
    await world.call("kms", "schedule_key_deletion", KeyId=made["KeyId"], PendingWindowInDays=7)
    await world.advance(days=8)
    await world.call("kms", "disconnect_custom_key_store", CustomKeyStoreId=store)
    await world.call("kms", "delete_custom_key_store", CustomKeyStoreId=store)
    gone = world.call("kms", "describe_custom_key_stores", CustomKeyStoreId=store)
    assert (await refusal(gone))[0] == "CustomKeyStoreNotFoundException"


@with_proxy
async def test_a_proxy_that_does_not_work_says_why(world: World, proxy: Proxy) -> None:
    store = await make(world)
    wrong = {**CREDENTIAL, "RawSecretAccessKey": "t" * 43}
    for req, code in (
        ({"XksProxyAuthenticationCredential": wrong},
         "XksProxyIncorrectAuthenticationCredentialException"),
        ({"XksProxyUriPath": "/other/kms/xks/v1"}, "XksProxyInvalidConfigurationException"),
        ({"XksProxyUriEndpoint": "https://nowhere.invalid"}, "XksProxyUriUnreachableException"),
        ({"XksProxyConnectivity": "VPC_ENDPOINT_SERVICE"},
         "XksProxyVpcEndpointServiceNotFoundException"),
        ({}, "XksProxyUriInUseException"),
        ({"XksProxyUriPath": ""}, "ValidationException"),
    ):  # fmt: skip
        assert (await refusal(make(world, "other", **req)))[0] == code
    same = make(world, XksProxyUriPath="/kms/xks/v1")
    assert (await refusal(same))[0] == "XksProxyInvalidConfigurationException"
    for health, raw, code in (
        ("UNAVAILABLE", None, "XKS_PROXY_NOT_REACHABLE"),
        ("ACTIVE", b"<html>", "XKS_PROXY_INVALID_RESPONSE"),
    ):
        proxy.health, proxy.raw = health, raw
        await world.call("kms", "connect_custom_key_store", CustomKeyStoreId=store)
        assert await state(world, store) == ("FAILED", code)
        call = world.call("kms", "connect_custom_key_store", CustomKeyStoreId=store)
        assert (await refusal(call))[0] == "CustomKeyStoreInvalidStateException"
        await world.call("kms", "disconnect_custom_key_store", CustomKeyStoreId=store)


@with_proxy
async def test_a_store_is_changed_while_it_is_disconnected(world: World, proxy: Proxy) -> None:
    store = await connected(world)
    change = {"CustomKeyStoreId": store}
    moved = world.call(
        "kms", "update_custom_key_store", **change, XksProxyUriEndpoint=f"https://{HOST}"
    )
    assert (await refusal(moved))[0] == "CustomKeyStoreInvalidStateException"
    await world.call("kms", "update_custom_key_store", **change, NewCustomKeyStoreName="safe")
    found = await world.call("kms", "describe_custom_key_stores", CustomKeyStoreName="safe")
    [one] = found["CustomKeyStores"]
    assert one["XksProxyConfiguration"] == {
        "Connectivity": "PUBLIC_ENDPOINT",
        "AccessKeyId": CREDENTIAL["AccessKeyId"],
        "UriEndpoint": f"https://{HOST}",
        "UriPath": PATH,
    }
    wrong = {**CREDENTIAL, "RawSecretAccessKey": "t" * 43}
    call = world.call(
        "kms", "update_custom_key_store", **change, XksProxyAuthenticationCredential=wrong
    )
    assert (await refusal(call))[0] == "XksProxyIncorrectAuthenticationCredentialException"
    none = world.call("kms", "describe_custom_key_stores", CustomKeyStoreName="vault")
    assert (await refusal(none))[0] == "CustomKeyStoreNotFoundException"
    # The secret lies sealed.
    secret = CREDENTIAL["RawSecretAccessKey"].encode()
    assert not [row for row in world.memory.disk.values() if secret in bytes(row or b"")]


@with_proxy
async def test_stores_are_for_who_is_allowed_to_have_them(world: World, proxy: Proxy) -> None:
    ann = await user(world, "ann", allow("kms:CreateKey"))
    assert (await refusal(make(world, caller=ann)))[0] == "AccessDeniedException"
    for method in ("connect", "disconnect", "delete", "update"):
        call = world.call("kms", f"{method}_custom_key_store", caller=ann, CustomKeyStoreId="cks-1")
        assert (await refusal(call))[0] == "AccessDeniedException"


def test_there_is_no_cluster_of_cloudhsm() -> None:
    async def story(world: World) -> None:
        asked = {
            "CustomKeyStoreName": "hsm",
            "CloudHsmClusterId": "cluster-1234abcdefg".replace("1", "2"),
            "KeyStorePassword": "kmsuser-pass",
            "TrustAnchorCertificate": "-----BEGIN CERTIFICATE-----",
        }
        call = world.call("kms", "create_custom_key_store", **asked)
        assert (await refusal(call))[0] == "CloudHsmClusterNotFoundException"
        del asked["KeyStorePassword"]
        call = world.call("kms", "create_custom_key_store", **asked)
        assert (await refusal(call))[0] == "ValidationException"
        call = key(world, Origin="AWS_CLOUDHSM", CustomKeyStoreId="cks-1")
        assert (await refusal(call))[0] == "CustomKeyStoreNotFoundException"

    run(story)


@pytest.mark.parametrize("value", ["xks.example", "xks.example=localhost:1", "=http://localhost"])
def test_a_place_outside_is_a_host_and_a_url(value: str) -> None:
    from click.testing import CliRunner

    from doppio.cli.start import command

    said = CliRunner().invoke(command, ["--outside", value])
    assert said.exit_code == 2
    assert "give a host and a URL" in said.output
