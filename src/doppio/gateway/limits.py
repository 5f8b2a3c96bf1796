"""What the listener takes from a client before it says no; units are in the names."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """The listener's bounds."""

    head_bytes_max: int = 65_536
    head_seconds_max: float = 10.0
    idle_seconds_max: float = 75.0
    body_stall_seconds_max: float = 60.0
    # So long the answer to a client that has sent its last byte may take.
    half_closed_seconds_max: float = 0.25
    connections_max: int = 4_096
    pipelined_max: int = 64
    # Bodies up to this size are collected before their handler runs; larger ones are streamed.
    small_body_bytes_max: int = 262_144
    # So much of a streamed body waits in memory for its handler before the client is held back.
    held_body_bytes_max: int = 2_097_152
    # So much of a body that nobody wants is read and dropped before the connection is closed.
    dropped_body_bytes_max: int = 67_108_864
    sweep_seconds: float = 5.0
