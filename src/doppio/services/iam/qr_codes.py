"""The QR code of a virtual MFA device, as authenticators read it from a screen. Pure."""

from __future__ import annotations

import io
from urllib.parse import quote

PIXELS_A_MODULE = 4


def seed_png(device: str, account: str, seed: str) -> bytes:
    """A PNG of `otpauth://totp/DEVICE@ACCOUNT?secret=SEED`; `seed` is in base32."""
    import segno  # Imported when somebody makes a device.

    uri = f"otpauth://totp/{quote(device)}@{quote(account)}?secret={seed}"
    png = io.BytesIO()
    segno.make_qr(uri, error="m").save(png, kind="png", scale=PIXELS_A_MODULE)
    return png.getvalue()
