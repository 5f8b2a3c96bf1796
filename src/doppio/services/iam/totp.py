"""Codes of virtual MFA devices: RFC 6238 with SHA-1, six digits, thirty seconds."""

from __future__ import annotations

import base64
import hmac

STEP_SECONDS = 30
SEED_BYTES = 40
# How far a device's clock may be off: a little at sign-in, and more when it is set right.
DRIFT_STEPS_MAX = 1
RESYNC_STEPS_MAX = 120


def seed_text(seed: bytes) -> str:
    """A seed as authenticators take it."""
    return base64.b32encode(seed).decode()


def code_at(seed: bytes, step: int) -> str:
    """The code of a time step."""
    digest = hmac.digest(seed, step.to_bytes(8, "big"), "sha1")
    at = digest[-1] & 15
    number = int.from_bytes(digest[at : at + 4], "big") & 0x7FFFFFFF
    return f"{number % 1_000_000:06}"


def step_of(seconds: float) -> int:
    """The time step of a moment."""
    return int(seconds // STEP_SECONDS)


def matching_step(seed: bytes, code: str, now: int, *, after: int) -> int | None:
    """The step around `now` whose code it is; one that was used up to `after` counts no more."""
    for step in range(now - DRIFT_STEPS_MAX, now + DRIFT_STEPS_MAX + 1):
        if step > after and hmac.compare_digest(code_at(seed, step), code):
            return step
    return None


def consecutive_step(seed: bytes, first: str, second: str, now: int) -> int | None:
    """The step of the second of two codes that follow each other, nearest to `now`."""
    for off in sorted(range(-RESYNC_STEPS_MAX, RESYNC_STEPS_MAX + 1), key=abs):
        step = now + off
        if hmac.compare_digest(code_at(seed, step), second) and hmac.compare_digest(
            code_at(seed, step - 1), first
        ):
            return step
    return None
