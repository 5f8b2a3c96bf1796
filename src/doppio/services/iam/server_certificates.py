"""Server certificates: what a load balancer or a distribution shows its clients.

What is uploaded must be a certificate that is valid now, the private key that belongs to it, and a
chain in which each signs the one before. The key is sealed, and no operation shows it again.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from msgspec.structs import replace

from doppio.kernel import own_keys, tags
from doppio.kernel.context import Context, Reader
from doppio.services.iam import limits
from doppio.services.iam.common import (
    check_room,
    checked_name,
    checked_path,
    named,
    new_tags,
    page,
    under,
)
from doppio.services.iam.errors import (
    EntityAlreadyExists,
    KeyPairMismatch,
    MalformedCertificate,
    NoSuchEntity,
)
from doppio.services.iam.records import ServerCertificate, tags_to_wire

if TYPE_CHECKING:
    from cryptography import x509

    from doppio._stubs import iam as w

KEYS = "iam/server-certificates"


class ServerCertificates:
    """The operations on server certificates."""

    async def upload_server_certificate(
        self, ctx: Context, req: w.UploadServerCertificateRequest
    ) -> w.UploadServerCertificateResponse:
        """Keep a certificate, its key and its chain, each as PEM; white space around it goes."""
        name = checked_name(req["ServerCertificateName"], "serverCertificateName", 128)
        certificate = checked_certificate(req["CertificateBody"], ctx.now)
        check_key(req["PrivateKey"], certificate)
        chain = req.get("CertificateChain")
        if chain is not None:
            check_chain(certificate, chain)
            chain = chain.strip()
        cipher = await own_keys.own_cipher(ctx, KEYS)
        async with ctx.write() as tx:
            if await tx.get(ServerCertificate, ctx.account, name.lower()) is not None:
                raise _taken(name)
            await check_room(
                tx, ctx.account, ServerCertificate, "ServerCertificatesPerAccount",
                limits.SERVER_CERTIFICATES_MAX,
            )  # fmt: skip
            made = ServerCertificate(
                account=ctx.account, name=name, id=ctx.new_id("server-certificate"),
                path=checked_path(req), created_at=ctx.now, body=req["CertificateBody"].strip(),
                chain=chain, expires_at=certificate.not_valid_after_utc,
                sealed_key=own_keys.seal(ctx, cipher, req["PrivateKey"].encode()),
                tags=new_tags(req), partition=ctx.partition,
            )  # fmt: skip
            tx.put(made)
        shown: dict[str, Any] = {"ServerCertificateMetadata": _to_wire(made)}
        if made.tags:
            shown["Tags"] = tags_to_wire(made.tags)
        return shown  # type: ignore[return-value]

    async def get_server_certificate(
        self, ctx: Context, req: w.GetServerCertificateRequest
    ) -> w.GetServerCertificateResponse:
        """A certificate and its chain, without the key."""
        found = await _existing(ctx.read(), ctx, req["ServerCertificateName"])
        shown: dict[str, Any] = {
            "ServerCertificateMetadata": _to_wire(found), "CertificateBody": found.body,
        }  # fmt: skip
        if found.chain is not None:
            shown["CertificateChain"] = found.chain
        if found.tags:
            shown["Tags"] = tags_to_wire(found.tags)
        return {"ServerCertificate": shown}  # type: ignore[typeddict-item]

    async def list_server_certificates(
        self, ctx: Context, req: w.ListServerCertificatesRequest
    ) -> w.ListServerCertificatesResponse:
        """The account's certificates by name."""
        rows = await ctx.read().list(ServerCertificate, (ctx.account,), limit=limits.ROWS_MAX)
        shown = under(req, rows)
        return page(  # type: ignore[return-value]
            req, shown, "ServerCertificateMetadataList", _to_wire, "server-certificates"
        )

    async def update_server_certificate(
        self, ctx: Context, req: w.UpdateServerCertificateRequest
    ) -> None:
        """Give a certificate another name or path; its id stays."""
        async with ctx.write() as tx:
            old = await _existing(tx, ctx, req["ServerCertificateName"])
            name = checked_name(
                req.get("NewServerCertificateName", old.name), "newServerCertificateName", 128
            )
            there = await tx.get(ServerCertificate, ctx.account, name.lower())
            if there is not None and there.id != old.id:
                raise _taken(name)
            tx.delete(old)
            tx.put(replace(old, name=name, path=checked_path(req, "NewPath", old.path)))

    async def delete_server_certificate(
        self, ctx: Context, req: w.DeleteServerCertificateRequest
    ) -> None:
        """Delete a certificate and its key."""
        async with ctx.write() as tx:
            tx.delete(await _existing(tx, ctx, req["ServerCertificateName"]))

    async def tag_server_certificate(
        self, ctx: Context, req: w.TagServerCertificateRequest
    ) -> None:
        """Put tags on a certificate."""
        async with ctx.write() as tx:
            found = await _existing(tx, ctx, req["ServerCertificateName"])
            tx.put(replace(found, tags=new_tags(req, found.tags)))

    async def untag_server_certificate(
        self, ctx: Context, req: w.UntagServerCertificateRequest
    ) -> None:
        """Take tags off a certificate."""
        async with ctx.write() as tx:
            found = await _existing(tx, ctx, req["ServerCertificateName"])
            tx.put(replace(found, tags=tags.without(found.tags, req["TagKeys"])))

    async def list_server_certificate_tags(
        self, ctx: Context, req: w.ListServerCertificateTagsRequest
    ) -> w.ListServerCertificateTagsResponse:
        """The tags of a certificate."""
        found = await _existing(ctx.read(), ctx, req["ServerCertificateName"])
        return page(req, tags_to_wire(found.tags), "Tags", lambda tag: tag, f"tags/{found.arn}")  # type: ignore[return-value]


def checked_certificate(body: str, now: datetime) -> x509.Certificate:
    """The one certificate of a PEM text, which is valid now. Raises MalformedCertificate."""
    from cryptography import x509  # Imported when somebody needs it: a start need not wait.

    try:
        found = x509.load_pem_x509_certificates(body.encode())
    except (ValueError, UnsupportedAlgorithm) as error:
        raise _no_certificate() from error
    if len(found) != 1:
        raise _no_certificate()
    certificate = found[0]
    if now > certificate.not_valid_after_utc:
        ended = certificate.not_valid_after_utc.strftime("%Y-%m-%dT%H:%M:%SZ")
        raise MalformedCertificate(
            f'Certificate is no longer valid. The "Not After" date is {ended}.'
        )
    if now < certificate.not_valid_before_utc:
        begins = certificate.not_valid_before_utc.strftime("%Y-%m-%dT%H:%M:%SZ")
        raise MalformedCertificate(
            f'Certificate is not yet valid. The "Not Before" date is {begins}.'
        )
    return certificate


def check_key(pem: str, certificate: x509.Certificate) -> None:
    """Raise unless it is the private key of the certificate, and bears no passphrase."""
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ec, rsa

    try:
        key = serialization.load_pem_private_key(pem.encode(), None)
        public = certificate.public_key()
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise MalformedCertificate("Invalid Private Key.") from error
    if not isinstance(key, rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey):
        raise MalformedCertificate("Invalid Private Key.")
    if key.public_key() != public:
        raise KeyPairMismatch()


def check_chain(certificate: x509.Certificate, pem: str) -> None:
    """Raise MalformedCertificate unless each of the chain has signed the one before."""
    from cryptography import x509

    try:
        chain = x509.load_pem_x509_certificates(pem.encode())
    except (ValueError, UnsupportedAlgorithm) as error:
        raise MalformedCertificate(
            "Unable to parse certificate chain. Please ensure the chain is in PEM format."
        ) from error
    signed = certificate
    for index, signer in enumerate(chain):
        try:
            signed.verify_directly_issued_by(signer)
        except (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm) as error:
            raise MalformedCertificate(
                "Unable to validate certificate chain. The certificate chain must start with the "
                "immediate signing certificate, followed by any intermediaries in order. The index "
                f"within the chain of the invalid certificate is: {index}"
            ) from error
        signed = signer


async def _existing(reader: Reader, ctx: Context, name: str) -> ServerCertificate:
    found = await named(reader, ServerCertificate, ctx.account, name)
    if found is None:
        raise NoSuchEntity(f"The Server Certificate with name {name} cannot be found.")
    return found


def _taken(name: str) -> EntityAlreadyExists:
    return EntityAlreadyExists(f"The Server Certificate with name {name} already exists.")


def _no_certificate() -> MalformedCertificate:
    return MalformedCertificate(
        "Unable to parse certificate. Please ensure the certificate is in PEM format."
    )


def _to_wire(row: ServerCertificate) -> dict[str, Any]:
    return {
        "Path": row.path,
        "ServerCertificateName": row.name,
        "ServerCertificateId": row.id,
        "Arn": row.arn,
        "UploadDate": row.created_at,
        "Expiration": row.expires_at,
    }
