"""The seam between what a function is and what runs it."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from doppio.services.lambda_ import limits


@dataclass(frozen=True, slots=True, kw_only=True)
class Spec:
    """All that it takes to run a version. `revision` changes whenever anything else here does.

    `code` and `layers` are unpacked folders, which nobody may write to; layers come in the order in
    which they are laid over each other. `name` is the function's, `version` the qualifier of the
    version, `arn` the version's own ARN.
    """

    account: str
    region: str
    partition: str
    name: str
    version: str
    arn: str
    role: str
    runtime: str
    handler: str
    code: Path
    revision: str
    layers: tuple[Path, ...] = ()
    environment: dict[str, str] = field(default_factory=dict)
    memory_mb: int = limits.MEMORY_MB_DEFAULT
    timeout_s: int = limits.TIMEOUT_SECONDS_DEFAULT
    ephemeral_mb: int = limits.EPHEMERAL_MB_DEFAULT
    architectures: tuple[str, ...] = ("x86_64",)
    log_group: str = ""
    log_format: str = "Text"
    application_log_level: str | None = None
    system_log_level: str | None = None
    # Of the function: how many may run at once, where it has reserved that.
    reserved: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of an invocation.

    `error` is None where the handler answered, `Unhandled` where it raised, was late or has died.
    """

    payload: bytes
    error: str | None = None
    log_tail: bytes = b""
    executed_version: str = "$LATEST"
    status: int = 200
