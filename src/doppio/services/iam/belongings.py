"""What users keep in IAM for other services: SSH public keys, signing certificates, passwords.

IAM checks, counts and keeps them; the services that take them (CodeCommit, Keyspaces) ask for
them here.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from cryptography.exceptions import UnsupportedAlgorithm
from msgspec.structs import replace

from doppio.kernel.context import Context, Reader
from doppio.services.iam import limits
from doppio.services.iam.common import acting_user, page
from doppio.services.iam.errors import (
    DuplicateCertificate,
    DuplicateSSHPublicKey,
    InvalidInput,
    InvalidPublicKey,
    LimitExceeded,
    MalformedCertificate,
    NoSuchEntity,
    NotSupportedService,
)
from doppio.services.iam.records import Belonging

if TYPE_CHECKING:
    from doppio._stubs import iam as w

_SERVICES = ("cassandra.amazonaws.com", "codecommit.amazonaws.com")
_TITLES = {
    "ssh-key": "Public Key", "certificate": "Certificate", "service": "Service Specific Credential",
}  # fmt: skip


class SshKeys:
    """The SSH public key operations."""

    async def upload_ssh_public_key(
        self, ctx: Context, req: w.UploadSSHPublicKeyRequest
    ) -> w.UploadSSHPublicKeyResponse:
        """Keep an RSA public key, given as OpenSSH writes it or as PEM."""
        body = _openssh(req["SSHPublicKeyBody"])
        async with ctx.write() as tx:
            user = await acting_user(tx, ctx, req)
            old = await _all(tx, ctx, user, "ssh-key")
            if any(one.body == body for one in old):
                raise DuplicateSSHPublicKey("SSH public key is already associated with this user.")
            _check_room(old, limits.SSH_KEYS_A_USER_MAX, "SSHPublicKeysPerUser")
            made = tx.add(
                Belonging(
                    account=ctx.account, user=user, kind="ssh-key", body=body,
                    id=f"APKA{ctx.new_id('iam-user')[4:]}", created_at=ctx.now,
                )
            )  # fmt: skip
        return {"SSHPublicKey": _key_to_wire(made, "SSH")}  # type: ignore[typeddict-item]

    async def get_ssh_public_key(
        self, ctx: Context, req: w.GetSSHPublicKeyRequest
    ) -> w.GetSSHPublicKeyResponse:
        """A key in either form."""
        reader = ctx.read()
        found = await _existing(reader, ctx, req, "ssh-key", req["SSHPublicKeyId"])
        return {"SSHPublicKey": _key_to_wire(found, req["Encoding"])}  # type: ignore[typeddict-item]

    async def list_ssh_public_keys(
        self, ctx: Context, req: w.ListSSHPublicKeysRequest
    ) -> w.ListSSHPublicKeysResponse:
        """The keys of a user."""
        reader = ctx.read()
        user = await acting_user(reader, ctx, req)
        rows = await _all(reader, ctx, user, "ssh-key")
        return page(  # type: ignore[return-value]
            req, rows, "SSHPublicKeys",
            lambda row: _shown(row, "SSHPublicKeyId", "UploadDate"), f"ssh/{user}",
        )  # fmt: skip

    async def update_ssh_public_key(self, ctx: Context, req: w.UpdateSSHPublicKeyRequest) -> None:
        """Switch a key on or off."""
        await _switch(ctx, req, "ssh-key", req["SSHPublicKeyId"])

    async def delete_ssh_public_key(self, ctx: Context, req: w.DeleteSSHPublicKeyRequest) -> None:
        """Delete a key."""
        await _delete(ctx, req, "ssh-key", req["SSHPublicKeyId"])


class Certificates:
    """The signing certificate operations."""

    async def upload_signing_certificate(
        self, ctx: Context, req: w.UploadSigningCertificateRequest
    ) -> w.UploadSigningCertificateResponse:
        """Keep an X.509 certificate, given as PEM."""
        from cryptography import x509  # Imported when somebody needs it: a start need not wait.

        body = req["CertificateBody"]
        try:
            x509.load_pem_x509_certificate(body.encode())
        except (ValueError, UnsupportedAlgorithm) as error:
            raise MalformedCertificate("Certificate body is invalid.") from error
        async with ctx.write() as tx:
            user = await acting_user(tx, ctx, req)
            old = await _all(tx, ctx, user, "certificate")
            if any(one.body.split() == body.split() for one in old):
                raise DuplicateCertificate("Certificate is already associated with this user.")
            _check_room(old, limits.CERTIFICATES_A_USER_MAX, "CertificatesPerUser")
            made = tx.add(
                Belonging(
                    account=ctx.account, user=user, kind="certificate", body=body,
                    id=ctx.new_id("base32-52")[:32], created_at=ctx.now,
                )
            )  # fmt: skip
        return {"Certificate": _certificate_to_wire(made)}  # type: ignore[typeddict-item]

    async def list_signing_certificates(
        self, ctx: Context, req: w.ListSigningCertificatesRequest
    ) -> w.ListSigningCertificatesResponse:
        """The certificates of a user."""
        reader = ctx.read()
        user = await acting_user(reader, ctx, req)
        rows = await _all(reader, ctx, user, "certificate")
        return page(req, rows, "Certificates", _certificate_to_wire, f"certificates/{user}")  # type: ignore[return-value]

    async def update_signing_certificate(
        self, ctx: Context, req: w.UpdateSigningCertificateRequest
    ) -> None:
        """Switch a certificate on or off."""
        await _switch(ctx, req, "certificate", req["CertificateId"])

    async def delete_signing_certificate(
        self, ctx: Context, req: w.DeleteSigningCertificateRequest
    ) -> None:
        """Delete a certificate."""
        await _delete(ctx, req, "certificate", req["CertificateId"])


class ServiceCredentials:
    """The operations on passwords for single services."""

    async def create_service_specific_credential(
        self, ctx: Context, req: w.CreateServiceSpecificCredentialRequest
    ) -> w.CreateServiceSpecificCredentialResponse:
        """Make a user name and a password for one service; the password is shown this once."""
        service = req["ServiceName"]
        if service not in _SERVICES:
            raise NotSupportedService(
                f"No such service {service} is supported for Service Specific Credentials"
            )
        if "CredentialAgeDays" in req:
            raise InvalidInput(f"CredentialAgeDays is not supported for {service}")
        async with ctx.write() as tx:
            user = await acting_user(tx, ctx, req)
            old = [one for one in await _all(tx, ctx, user, "service") if one.service == service]
            quota = "ServiceSpecificCredentialsPerUser"
            _check_room(old, limits.SERVICE_CREDENTIALS_A_USER_MAX, quota)
            name = f"{user}-at-{ctx.account}"
            if any(one.service_user == name for one in old):
                name = f"{user}+1-at-{ctx.account}"
            made = tx.add(
                Belonging(
                    account=ctx.account, user=user, kind="service", service=service,
                    id=f"ACCA{ctx.new_id('iam-user')[4:]}", created_at=ctx.now,
                    body=ctx.new_id("secret-key"), service_user=name,
                )
            )  # fmt: skip
        shown = {**_service_to_wire(made), "ServicePassword": made.body}
        return {"ServiceSpecificCredential": shown}  # type: ignore[typeddict-item]

    async def list_service_specific_credentials(
        self, ctx: Context, req: w.ListServiceSpecificCredentialsRequest
    ) -> w.ListServiceSpecificCredentialsResponse:
        """The credentials of a user, or of all users, without their passwords."""
        reader = ctx.read()
        if req.get("AllUsers"):
            found = await reader.list(Belonging, (ctx.account,), limit=limits.ATTACHMENTS_MAX)
            rows, scope = [row for row in found if row.kind == "service"], "all"
        else:
            user = await acting_user(reader, ctx, req)
            rows, scope = await _all(reader, ctx, user, "service"), f"services/{user}"
        if "ServiceName" in req:
            rows = [row for row in rows if row.service == req["ServiceName"]]
        return page(req, rows, "ServiceSpecificCredentials", _service_to_wire, scope)  # type: ignore[return-value]

    async def update_service_specific_credential(
        self, ctx: Context, req: w.UpdateServiceSpecificCredentialRequest
    ) -> None:
        """Switch a credential on or off."""
        await _switch(ctx, req, "service", req["ServiceSpecificCredentialId"])

    async def reset_service_specific_credential(
        self, ctx: Context, req: w.ResetServiceSpecificCredentialRequest
    ) -> w.ResetServiceSpecificCredentialResponse:
        """Make a new password; the old one is gone."""
        async with ctx.write() as tx:
            found = await _existing(tx, ctx, req, "service", req["ServiceSpecificCredentialId"])
            found = tx.put(replace(found, body=ctx.new_id("secret-key")))
        shown = {**_service_to_wire(found), "ServicePassword": found.body}
        return {"ServiceSpecificCredential": shown}  # type: ignore[typeddict-item]

    async def delete_service_specific_credential(
        self, ctx: Context, req: w.DeleteServiceSpecificCredentialRequest
    ) -> None:
        """Delete a credential."""
        await _delete(ctx, req, "service", req["ServiceSpecificCredentialId"])


async def _all(reader: Reader, ctx: Context, user: str, kind: str) -> list[Belonging]:
    return await reader.list(Belonging, (ctx.account, user, kind), limit=limits.ROWS_MAX)


async def _existing(
    reader: Reader, ctx: Context, req: Mapping[str, Any], kind: str, id_: str
) -> Belonging:
    user = await acting_user(reader, ctx, req)
    found = await reader.get(Belonging, ctx.account, user, kind, id_)
    if found is None:
        raise NoSuchEntity(f"The {_TITLES[kind]} with id {id_} cannot be found.")
    return found


def _check_room(old: list[Belonging], most: int, quota: str) -> None:
    if len(old) >= most:
        raise LimitExceeded(f"Cannot exceed quota for {quota}: {most}")


async def _switch(ctx: Context, req: Mapping[str, Any], kind: str, id_: str) -> None:
    if req["Status"] == "Expired":
        raise InvalidInput("Status must be Active or Inactive")
    async with ctx.write() as tx:
        found = await _existing(tx, ctx, req, kind, id_)
        tx.put(replace(found, active=req["Status"] == "Active"))


async def _delete(ctx: Context, req: Mapping[str, Any], kind: str, id_: str) -> None:
    async with ctx.write() as tx:
        tx.delete(await _existing(tx, ctx, req, kind, id_))


def _openssh(body: str) -> str:
    """An RSA key as OpenSSH writes it, without a comment. Raises InvalidPublicKey."""
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

    try:
        raw = body.strip().encode()
        if raw.startswith(b"-----"):
            key: Any = serialization.load_pem_public_key(raw)
        else:
            key = serialization.load_ssh_public_key(raw)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise InvalidPublicKey("The public key is malformed or otherwise invalid.") from error
    if not isinstance(key, RSAPublicKey):
        raise InvalidPublicKey("The public key is malformed or otherwise invalid.")
    forms = serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH
    return key.public_bytes(*forms).decode()


def _key_to_wire(row: Belonging, encoding: str) -> dict[str, Any]:
    blob = base64.b64decode(row.body.split()[1])
    digest = hashlib.md5(blob, usedforsecurity=False).hexdigest()
    body = row.body
    if encoding == "PEM":
        from cryptography.hazmat.primitives import serialization

        key = serialization.load_ssh_public_key(body.encode())
        forms = serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        body = key.public_bytes(*forms).decode()
    return {
        **_shown(row, "SSHPublicKeyId", "UploadDate"),
        "Fingerprint": ":".join(digest[at : at + 2] for at in range(0, 32, 2)),
        "SSHPublicKeyBody": body,
    }


def _certificate_to_wire(row: Belonging) -> dict[str, Any]:
    return {**_shown(row, "CertificateId", "UploadDate"), "CertificateBody": row.body}


def _service_to_wire(row: Belonging) -> dict[str, Any]:
    return {
        **_shown(row, "ServiceSpecificCredentialId", "CreateDate"),
        "ServiceName": row.service,
        "ServiceUserName": row.service_user,
    }


def _shown(row: Belonging, id_: str, date: str) -> dict[str, Any]:
    return {
        "UserName": row.user,
        id_: row.id,
        "Status": "Active" if row.active else "Inactive",
        date: row.created_at,
    }
