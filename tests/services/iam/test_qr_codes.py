"""QR codes, read by a reader that is not ours."""

from __future__ import annotations

import struct
import zlib

import zxingcpp

from doppio.services.iam import totp
from doppio.services.iam.qr_codes import seed_png
from tests.services.world import ACCOUNT, World, told

from .helpers import iam


def read(png: bytes) -> str:
    """The text of a QR code in a PNG of one bit a pixel."""
    assert png.startswith(b"\x89PNG\r\n\x1a\n")
    at, packed, width, height = 8, b"", 0, 0
    while at < len(png):
        length, kind = struct.unpack_from(">I4s", png, at)
        body = png[at + 8 : at + 8 + length]
        at += 12 + length
        if kind == b"IHDR":
            width, height, depth, colour = struct.unpack_from(">IIBB", body)
            assert (depth, colour) == (1, 0)
        elif kind == b"IDAT":
            packed += body
    lines, step = zlib.decompress(packed), (width + 7) // 8
    pixels, before = bytearray(), bytes(step)
    for y in range(height):
        begin = y * (step + 1)
        line = lines[begin + 1 : begin + 1 + step]
        assert lines[begin] in (0, 2), "plain, or what has changed from the line above"
        if lines[begin] == 2:
            line = bytes((one + above) & 255 for one, above in zip(line, before, strict=True))
        before = line
        pixels += bytes(255 * (line[x >> 3] >> (7 - (x & 7)) & 1) for x in range(width))
    [found] = zxingcpp.read_barcodes(memoryview(pixels).cast("B", [height, width]))
    return str(found.text)


def test_a_code_says_whose_device_it_is_and_the_seed() -> None:
    seed = totp.seed_text(bytes(range(totp.SEED_BYTES)))
    assert read(seed_png("a phone", "café", seed)) == (
        f"otpauth://totp/a%20phone@caf%C3%A9?secret={seed}"
    )


@told
async def test_a_device_comes_with_the_code_of_its_seed(world: World) -> None:
    made = (await iam(world, "create_virtual_mfa_device", VirtualMFADeviceName="phone"))[
        "VirtualMFADevice"
    ]
    seed = made["Base32StringSeed"].decode()
    assert read(made["QRCodePNG"]) == f"otpauth://totp/phone@{ACCOUNT}?secret={seed}"
    await iam(world, "create_account_alias", AccountAlias="harbour")
    made = await iam(world, "create_virtual_mfa_device", VirtualMFADeviceName="other")
    code = read(made["VirtualMFADevice"]["QRCodePNG"])
    assert code.startswith("otpauth://totp/other@harbour?secret=")
    listed = await iam(world, "list_virtual_mfa_devices")
    assert all("QRCodePNG" not in one for one in listed["VirtualMFADevices"])
