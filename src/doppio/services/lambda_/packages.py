"""Where code lies: zip files among the blobs, and unpacked copies of them on this machine.

The blob is the truth, and safe before its function is committed. Its record is committed even before
the blob, together with a job that removes both if nothing uses them: whatever a crash leaves is found.
What is unpacked can be unpacked again, so it is a cache, which goes with the package.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import io
import os
import shutil
import stat
import zipfile
import zlib
from collections.abc import Callable
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple, TypeVar

from doppio.kernel.context import Context, Tx
from doppio.kernel.jobs import Job
from doppio.services.lambda_ import limits
from doppio.services.lambda_.errors import InvalidParameterValue
from doppio.services.lambda_.records import HELD, USED, LayerUse, Package

T = TypeVar("T")

FORGET = "lambda.forget_package"
_COPY_BYTES = 256 * 1024
_LINK_BYTES_MAX = 4_096
_NO_ZIP = "Could not unzip uploaded file. Please check your file, then try to upload again."
# What a file raises that is no zip file, or one of a kind that cannot be read; an entry that is
# there twice, or lies below a file, cannot be written.
_UNREADABLE = (
    zipfile.BadZipFile, zlib.error, ValueError, OSError, EOFError, NotImplementedError, RuntimeError,
)  # fmt: skip


class Code(NamedTuple):
    """Code that was given: its package, what it weighs, and AWS's word for its content."""

    package: str
    size: int
    sha256: str
    unzipped: int


class BadZip(Exception):
    """A zip file that cannot be unpacked; the text says why."""


async def keep(ctx: Context, content: bytes) -> Code:
    """Keep a zip file, if it is one. Raises InvalidParameterValueException.

    It commits, so it goes before the transaction of whoever will use it, and so do all checks.
    """
    code = await examine(content)
    package = Package(
        id=f"lambda_{ctx.new_id('hex32')}", account=ctx.account, region=ctx.region,
        written_at=ctx.now,
    )  # fmt: skip

    async def announce(tx: Tx) -> None:
        tx.add(package)
        await tx.schedule(ctx.now + limits.UNUSED_FOR, FORGET, package.id)

    await ctx.transact(announce)
    # What cannot be unpacked is refused now, and what can lies ready.
    folder: Path = ctx.machine.folder / "code" / package.id
    await _in_thread(unpack, content, folder, ctx.new_id("hex16"))
    writer = ctx.blobs.writer(package.id)
    try:
        await asyncio.get_running_loop().run_in_executor(None, writer.write, content)
        await writer.finish()
    except BaseException:
        writer.abandon()
        raise
    return code._replace(package=package.id)


async def examine(content: bytes) -> Code:
    """What would be kept of a zip file. Raises InvalidParameterValueException."""
    return await _in_thread(_examined, content)


async def _in_thread(work: Callable[..., T], *given: Any) -> T:
    try:
        return await asyncio.get_running_loop().run_in_executor(None, partial(work, *given))
    except BadZip as error:
        raise InvalidParameterValue(str(error)) from error


def _examined(content: bytes) -> Code:
    with _opened(content) as archive:
        unzipped = sum(entry.file_size for entry in _checked(archive))
    digest = base64.b64encode(hashlib.sha256(content).digest()).decode()
    return Code("", len(content), digest, unzipped)


async def read(ctx: Context, package: str, size: int) -> bytes:
    """A zip file as it was given."""
    loop = asyncio.get_running_loop()
    step = ctx.blobs.read_bytes

    def all_of_it() -> bytes:
        found = bytearray()
        while len(found) < size:
            found += ctx.blobs.read(package, len(found), min(step, size - len(found)))
        return bytes(found)

    return await loop.run_in_executor(None, all_of_it)


async def unpacked(ctx: Context, package: str, size: int) -> Path:
    """The folder in which a package lies unpacked on this machine; it is made where it is not."""
    folder: Path = ctx.machine.folder / "code" / package
    loop = asyncio.get_running_loop()
    if not await loop.run_in_executor(None, folder.is_dir):
        content = await read(ctx, package, size)
        await loop.run_in_executor(None, unpack, content, folder, ctx.new_id("hex16"))
    return folder


def unpack(content: bytes, folder: Path, unique: str) -> None:
    """Unpack a zip file into a folder, which is there whole or not at all. It blocks."""
    rough = folder.with_name(f"{folder.name}.{unique}")
    rough.mkdir(parents=True, mode=0o755)
    try:
        with _opened(content) as archive:
            for entry in _checked(archive):
                try:
                    _extract(archive, entry, rough)
                except _UNREADABLE as error:
                    raise BadZip(_NO_ZIP) from error
        try:
            rough.rename(folder)
        except OSError:
            # Somebody else was faster.
            if not folder.is_dir():
                raise
    finally:
        shutil.rmtree(rough, ignore_errors=True)


def _opened(content: bytes) -> zipfile.ZipFile:
    try:
        return zipfile.ZipFile(io.BytesIO(content))
    except _UNREADABLE as error:
        raise BadZip(_NO_ZIP) from error


def _checked(archive: zipfile.ZipFile) -> list[zipfile.ZipInfo]:
    """The entries of a zip file, if all may be unpacked: no more than fits, and nothing outside."""
    entries = archive.infolist()
    if not entries:
        raise BadZip("Uploaded file must be a non-empty zip")
    total = sum(entry.file_size for entry in entries)
    if total >= limits.UNZIPPED_BYTES_MAX or len(entries) > limits.FILES_MAX:
        raise BadZip(f"Unzipped size must be smaller than {limits.UNZIPPED_BYTES_MAX} bytes")
    for entry in entries:
        path = PurePosixPath(entry.filename)
        if path.is_absolute() or ".." in path.parts or "\0" in entry.filename:
            raise BadZip(_NO_ZIP)
        if _is_link(entry):
            to = PurePosixPath(_link(archive, entry))
            if to.is_absolute() or os.path.normpath(path.parent / to).startswith(".."):
                raise BadZip(_NO_ZIP)
    return entries


def _is_link(entry: zipfile.ZipInfo) -> bool:
    return stat.S_ISLNK(entry.external_attr >> 16)


def _link(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> str:
    """Where a link leads: it is a file whose content says it."""
    if entry.file_size > _LINK_BYTES_MAX:
        raise BadZip(_NO_ZIP)
    try:
        return archive.read(entry).decode()
    except _UNREADABLE as error:
        raise BadZip(_NO_ZIP) from error


def _extract(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, root: Path) -> None:
    """One entry; what it says of its size is held to."""
    target = root / entry.filename
    if entry.is_dir():
        target.mkdir(parents=True, exist_ok=True, mode=0o755)
        return
    target.parent.mkdir(parents=True, exist_ok=True, mode=0o755)
    if not target.parent.resolve().is_relative_to(root.resolve()):
        # Through a link of its own that a later one has turned.
        raise BadZip(_NO_ZIP)
    if _is_link(entry):
        target.symlink_to(_link(archive, entry))
        return
    left = entry.file_size
    with archive.open(entry) as source, target.open("xb") as file:
        while chunk := source.read(_COPY_BYTES):
            left -= len(chunk)
            if left < 0:
                raise BadZip(_NO_ZIP)
            file.write(chunk)
    target.chmod(0o755 if (entry.external_attr >> 16) & 0o111 else 0o644)


async def released(tx: Tx, package: str) -> None:
    """Have a package looked at later that may be out of use now: what runs may still read it."""
    if package:
        await tx.schedule(tx.context.now + limits.UNUSED_FOR, FORGET, package)


async def forget(ctx: Context, job: Job) -> None:
    """Remove a package that nothing uses: its files first, then its record, by which it is found."""
    package = await ctx.read().get(Package, job.key)
    if package is None or await _is_used(ctx, package.id):
        return
    if ctx.now < package.written_at + limits.UNUSED_FOR:
        # It may still be on its way into a function.
        async with ctx.write() as tx:
            await tx.schedule(package.written_at + limits.UNUSED_FOR, FORGET, package.id)
        return
    loop = asyncio.get_running_loop()
    await loop.run_in_executor(None, partial(ctx.blobs.delete, package.id))
    folder: Path = ctx.machine.folder / "code" / package.id
    await loop.run_in_executor(None, partial(shutil.rmtree, folder, ignore_errors=True))
    async with ctx.write() as tx:
        tx.delete(package)


async def _is_used(ctx: Context, package: str) -> bool:
    reader = ctx.read()
    return bool(
        await reader.find(USED, (package,), limit=1)
        or await reader.find(HELD, (package,), limit=1)
        or await reader.list(LayerUse, (package,), limit=1)
    )
