from __future__ import annotations

import asyncio
import hashlib
import os
import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from doppio.gateway import tls
from doppio.kernel.store import StoreCorrupt
from doppio.wire.http import FileRange, Request, Response

from .sockets import echo, get, listening, put, run

pytestmark = pytest.mark.usefixtures("on_each_loop")

NOW = datetime.now(UTC)


def test_a_client_that_trusts_the_authority_speaks_tls(tmp_path: Path) -> None:
    authority = tls.ensure_ca(tmp_path / "ca", NOW)
    trusting = ssl.create_default_context(cafile=str(authority.certificate))

    async def story() -> None:
        async with listening(echo, tls=tls.server_context(authority)) as here:
            for name in (
                "localhost",
                "127.0.0.1",
                "bucket.s3.localhost",
                "sqs.us-east-1.amazonaws.com",
            ):
                peer = await here.connect(ssl=trusting, server_hostname=name)
                await peer.send(get("/tls"))
                assert (await peer.answer())[2] == b"GET /tls? "

    run(story())


def test_a_client_that_closes_its_side_of_tls_makes_nobody_warn(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    authority = tls.ensure_ca(tmp_path / "ca", NOW)
    trusting = ssl.create_default_context(cafile=str(authority.certificate))

    async def story() -> None:
        async with listening(echo, tls=tls.server_context(authority)) as here:
            peer = await here.connect(ssl=trusting, server_hostname="localhost")
            await peer.send(get("/tls"))
            assert (await peer.answer())[0] == 200
            peer.writer.close()
            await peer.writer.wait_closed()
            # Another round trip, so that the server has seen the end of the first.
            other = await here.connect(ssl=trusting, server_hostname="localhost")
            await other.send(get("/tls"))
            assert (await other.answer())[0] == 200

    run(story())
    assert caplog.text == ""


def test_a_request_in_many_records_that_come_at_once_is_read_whole(tmp_path: Path) -> None:
    authority = tls.ensure_ca(tmp_path / "ca", NOW)
    trusting = ssl.create_default_context(cafile=str(authority.certificate))

    async def story() -> None:
        async with listening(echo, tls=tls.server_context(authority)) as here:
            peer = await here.connect(ssl=trusting, server_hostname="localhost")
            for _ in range(3):
                head, body = (
                    b"PUT /k HTTP/1.1\r\nHost: x\r\nContent-Length: 500\r\n\r\n",
                    b"b" * 500,
                )
                # Each write is a record; nothing lets the server read in between.
                for part in (head[:10], head[10:], body[:1], body[1:]):
                    peer.writer.write(part)
                await peer.send(b"")
                status, _, said = await peer.answer()
                assert (status, said) == (200, b"PUT /k? " + body)

    run(story())


def test_a_client_that_hangs_up_leaves_nothing_in_the_log(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    authority = tls.ensure_ca(tmp_path / "ca", NOW)
    trusting = ssl.create_default_context(cafile=str(authority.certificate))

    async def story() -> None:
        async with listening(echo, tls=tls.server_context(authority)) as here:
            for asked in (b"", get("/tls"), get("/tls")[:9]):
                peer = await here.connect(ssl=trusting, server_hostname="localhost")
                await peer.send(asked)
                if asked == get("/tls"):
                    assert (await peer.answer())[0] == 200
                await peer.close()
            while here.server._connections:
                await asyncio.sleep(0.001)

    run(story())
    assert caplog.records == []


def test_a_damaged_authority_is_said_to_be_and_never_replaced(tmp_path: Path) -> None:
    folder = tmp_path / "ca"
    tls.ensure_ca(folder, NOW)
    whole = (folder / "ca.pem").read_bytes()
    for harm in (whole[:100], b"", b"\0" * len(whole)):
        (folder / "ca.pem").write_bytes(harm)
        with pytest.raises(StoreCorrupt, match="restore it from a copy, or delete that folder"):
            tls.ensure_ca(folder, NOW)
        assert (folder / "ca.pem").read_bytes() == harm
    (folder / "ca.pem").write_bytes(whole)
    (folder / "ca.key").write_bytes(b"harm")
    tls.ensure_ca(folder, NOW)
    (folder / "server.pem").unlink()
    with pytest.raises(StoreCorrupt, match="restore it from a copy"):
        tls.ensure_ca(folder, NOW)


def test_a_servers_certificate_that_is_damaged_or_of_another_authority_is_made_anew(
    tmp_path: Path,
) -> None:
    authority, other = tls.ensure_ca(tmp_path / "a", NOW), tls.ensure_ca(tmp_path / "b", NOW)
    whole = authority.server.read_bytes()
    for harm in (whole[:300], b"", other.server.read_bytes()):
        authority.server.write_bytes(harm)
        tls.server_context(tls.ensure_ca(tmp_path / "a", NOW))
        made = authority.server.read_bytes()
        assert made not in {harm, whole}
        assert tls.ensure_ca(tmp_path / "a", NOW).server.read_bytes() == made


def test_large_bodies_and_files_go_through_tls_whole(tmp_path: Path) -> None:
    authority = tls.ensure_ca(tmp_path / "ca", NOW)
    trusting = ssl.create_default_context(cafile=str(authority.certificate))
    path = tmp_path / "file"
    path.write_bytes(os.urandom(1_000_000) * 5)

    async def handler(request: Request) -> Response:
        if request.method == "GET":
            return Response(200, [], FileRange(path, 3, 4_900_000))
        body = b"".join([bytes(chunk) async for chunk in request.body])
        return Response(200, [], hashlib.sha256(body).hexdigest().encode())

    async def story() -> None:
        async with listening(handler, tls=tls.server_context(authority)) as here:
            peer = await here.connect(ssl=trusting, server_hostname="localhost")
            for size in (70_000, 1_000_000, 5_000_000):
                body = path.read_bytes()[:size]
                await peer.send(put(body))
                assert (await peer.answer())[2] == hashlib.sha256(body).hexdigest().encode()
                await peer.send(get())
                assert (await peer.answer())[2] == path.read_bytes()[3:4_900_003]

    run(story())


def test_a_client_that_does_not_is_safe_from_us(tmp_path: Path) -> None:
    authority = tls.ensure_ca(tmp_path / "ca", NOW)

    async def story() -> None:
        async with listening(echo, tls=tls.server_context(authority)) as here:
            try:
                await here.connect(ssl=ssl.create_default_context(), server_hostname="localhost")
            except ssl.SSLCertVerificationError:
                return
            raise AssertionError("a stranger's certificate was taken")

    run(story())


def test_keys_are_the_owners_alone_and_the_authority_stays(tmp_path: Path) -> None:
    folder = tmp_path / "ca"
    first = tls.ensure_ca(folder, NOW)
    text = first.certificate.read_bytes()
    assert tls.ensure_ca(folder, NOW).certificate.read_bytes() == text
    for path in folder.iterdir():
        assert path.stat().st_mode & 0o777 == 0o600
    assert folder.stat().st_mode & 0o777 == 0o700


def test_a_server_certificate_near_its_end_is_made_anew(tmp_path: Path) -> None:
    authority = tls.ensure_ca(tmp_path, NOW)
    before = authority.server.read_bytes()
    tls.ensure_ca(tmp_path, NOW + tls.SERVER_LIFE - timedelta(days=40))
    assert authority.server.read_bytes() == before
    tls.ensure_ca(tmp_path, NOW + tls.SERVER_LIFE - timedelta(days=20))
    assert authority.server.read_bytes() != before


def test_a_request_knows_the_cipher_and_version_that_it_came_by(tmp_path: Path) -> None:
    authority = tls.ensure_ca(tmp_path / "ca", NOW)
    trusting = ssl.create_default_context(cafile=str(authority.certificate))
    trusting.maximum_version = ssl.TLSVersion.TLSv1_2

    async def told(request: Request) -> Response:
        return Response(200, [], f"{request.cipher or '-'} {request.secure or '-'}".encode())

    async def story() -> None:
        async with listening(told, tls=tls.server_context(authority)) as here:
            peer = await here.connect(ssl=trusting, server_hostname="localhost")
            await peer.send(get("/"))
            cipher, version = (await peer.answer())[2].decode().split()
            assert cipher.startswith("ECDHE-ECDSA-AES")
            assert version == "TLSv1.2"
        async with listening(told) as here:
            peer = await here.connect()
            await peer.send(get("/"))
            assert (await peer.answer())[2] == b"- -"

    run(story())
