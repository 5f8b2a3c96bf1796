"""The condition keys of a call, worked out only when a policy asks for one.

Sources: AWS global condition context keys, and S3's own of how a request was signed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from doppio.kernel.guardrails import (
    PLACE_KEYS,
    UNBOUND,
    Bearing,
    place_condition,
    source_account,
)
from doppio.kernel.identity import principal_arn
from doppio.kernel.service import Beyond

if TYPE_CHECKING:
    from doppio.kernel.context import Context


class NotRead(Exception):
    """A policy asks for a condition key that has not been read."""


class Read(dict[str, Any]):
    """Condition keys to which nothing is to be added."""


class Conditions(Mapping[str, Any]):
    """The condition keys of a request, worked out only when a policy asks for one."""

    __slots__ = ("_bearing", "_beyond", "_ctx", "_extra", "_owner")

    def __init__(
        self,
        ctx: Context,
        extra: Mapping[str, Any],
        beyond: Beyond | None = None,
        owner: str = "",
        bearing: Bearing = UNBOUND,
    ) -> None:
        self._bearing = bearing
        self._ctx = ctx
        self._extra = extra
        self._beyond = beyond
        self._owner = owner

    def __getitem__(self, key: str) -> Any:
        if key in self._extra:
            given = self._extra[key]
            if given is None:
                # The session has it, and this need has not.
                raise KeyError(key)
            return given
        session = self._ctx.caller.session
        if key in session:
            return session[key]
        known = _GLOBAL.get(key)
        value = self._further(key) if known is None else known(self._ctx)
        if value is None:
            raise KeyError(key)
        return value

    def _further(self, key: str) -> Any:
        """What does not follow from the call alone."""
        if key in _OWNER:
            return self._owner or None
        if key in PLACE_KEYS:
            return place_condition(key, self._bearing)
        beyond = self._beyond
        if beyond is not None and not isinstance(self._extra, Read) and beyond.knows(key):
            raise NotRead
        return None

    def __iter__(self) -> Any:
        names = {*self._extra, *self._ctx.caller.session, *HANGING}
        return (name for name in names if name in self)

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def __contains__(self, key: object) -> bool:
        try:
            self[str(key)]
        except KeyError:
            return False
        return True


def _username(ctx: Context) -> str | None:
    caller = ctx.caller
    return caller.arn.rpartition("/")[2] if caller.kind == "user" else None


def _signature_age(ctx: Context) -> str | None:
    """Milliseconds: on the host's clock, as skew is, and on the cloud's for what was presigned."""
    signature = ctx.signature
    if signature is None or signature.timestamp is None:
        return None
    now = ctx.now if signature.presigned else ctx.clock.host_now()
    return str(max(0, round((now - signature.timestamp).total_seconds() * 1000)))


def _auth_type(ctx: Context) -> str | None:
    """How a signature came, in S3's words."""
    signature = ctx.signature
    if signature is None:
        return None
    if signature.posted:
        return "POST"
    return "REST-QUERY-STRING" if signature.presigned else "REST-HEADER"


# Whose the resource is.
_OWNER = frozenset({"aws:resourceaccount", "s3:resourceaccount"})
_PRINCIPAL_TYPES: dict[str, str] = {
    "root": "Account", "user": "User", "assumed-role": "AssumedRole",
    "federated-user": "FederatedUser", "anonymous": "Anonymous",
}  # fmt: skip

# Sources: AWS global condition context keys. Keys are lower case.
_GLOBAL: dict[str, Callable[[Context], Any]] = {
    "aws:currenttime": lambda ctx: ctx.now.strftime("%Y-%m-%dT%H:%M:%SZ"),
    "aws:epochtime": lambda ctx: str(int(ctx.now.timestamp())),
    "aws:principalaccount": lambda ctx: ctx.caller.account,
    "aws:principalarn": lambda ctx: principal_arn(ctx.caller),
    "aws:principalisawsservice": lambda ctx: str(ctx.caller.kind == "service").lower(),
    "aws:principalservicename": lambda ctx: (
        ctx.caller.arn if ctx.caller.kind == "service" else None
    ),
    "aws:principalservicenameslist": lambda ctx: (
        [ctx.caller.arn] if ctx.caller.kind == "service" else None
    ),
    "aws:principaltype": lambda ctx: _PRINCIPAL_TYPES.get(ctx.caller.kind),
    "aws:requestedregion": lambda ctx: ctx.region,
    "aws:securetransport": lambda ctx: "true" if ctx.secure else "false",
    "aws:sourceaccount": lambda ctx: ctx.caller.source and source_account(ctx.caller),
    "aws:sourcearn": lambda ctx: ctx.caller.source,
    "aws:sourceip": lambda ctx: None if ctx.caller.kind == "service" else ctx.source_ip,
    "aws:useragent": lambda ctx: ctx.user_agent or None,
    # What S3 lets policies ask of a request's signature and transport.
    "s3:authtype": _auth_type,
    "s3:signatureage": _signature_age,
    "s3:signatureversion": lambda ctx: ctx.signature and ctx.signature.algorithm,
    "s3:tlsversion": lambda ctx: ctx.secure.removeprefix("TLSv") or None,
    "s3:x-amz-content-sha256": lambda ctx: ctx.signature and ctx.signature.content_sha256,
    "s3-object-lambda:authtype": _auth_type,
    "s3-object-lambda:signatureage": _signature_age,
    "s3-object-lambda:tlsversion": lambda ctx: ctx.secure.removeprefix("TLSv") or None,
    "aws:userid": lambda ctx: ctx.caller.id,
    "aws:username": _username,
    # A caller for whom a service speaks has it in its session (`Context.via`, `forward`).
    "aws:viaawsservice": lambda ctx: "false",
}

# All keys that a decision may hang on though no need brings them.
HANGING = frozenset({*_GLOBAL, *PLACE_KEYS})
