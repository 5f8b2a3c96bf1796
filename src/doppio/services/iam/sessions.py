"""Session tokens: temporary credentials that need no row anywhere.

A token is the session itself, sealed with AES-GCM under a key that lives in the store; the secret
of its access key is derived from the same key. So sessions outlive a restart, cannot be forged,
and cost the store nothing.
"""

from __future__ import annotations

import base64
import binascii
import hmac
from datetime import datetime

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from doppio.services.iam.errors import InvalidClientTokenId

NONCE_BYTES = 12


class Session(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a session token says.

    `kind` is `role` (of `role`, as `name`), `user` (GetSessionToken), `federated` (`name`),
    `express`: a session with a directory bucket of S3, of whoever `parent` (an access key and its
    token) is, bound to what `express` says; or `forward`: a service, `name`, calls for its parent.
    `owner` is the unique id of the role or user: one that is made anew under the same name is
    another. The root user's sessions have no `user` and no `owner`.
    `claims` are the condition keys by which an identity provider has vouched for the session.
    `policies` are session policy documents, `policy_arns` managed policies that act as such.
    `default_regions`: it counts in the Regions alone that every account has. `signed_in`: it is the
    console's, by name and password.
    `narrowed` are the documents by which it has been scoped down, one after the other, and
    `padding` says nothing: somebody wanted a long token.
    """

    kind: str
    account: str
    name: str
    expires_at: datetime
    issued_at: datetime
    role: str = ""
    user: str = ""
    owner: str = ""
    policies: tuple[str, ...] = ()
    policy_arns: tuple[str, ...] = ()
    tags: dict[str, str] = {}
    transitive: tuple[str, ...] = ()
    source_identity: str = ""
    mfa: bool = False
    claims: dict[str, str] = {}
    parent: tuple[str, str] = ("", "")
    express: dict[str, str] = {}
    narrowed: tuple[str, ...] = ()
    default_regions: bool = False
    signed_in: bool = False
    padding: str = ""
    partition: str = "aws"


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Session).decode


def seal(key: bytes, access_key: str, session: Session, nonce: bytes) -> str:
    """The token of a session that signs with `access_key`."""
    sealed = AESGCM(key).encrypt(nonce, _encode(session), access_key.encode())
    return base64.b64encode(nonce + sealed).decode()


def padding(lacking: int) -> str:
    """What makes a token longer by so many characters, as nearly as may be and no less."""
    # Four characters of a token hold three bytes; MessagePack adds the name and the length.
    count = -(-lacking * 3 // 4) - 9
    if count > 32:
        count -= 1
    if count > 256:
        count -= 1
    return "x" * max(count, 1 if lacking > 0 else 0)


def unseal(key: bytes, access_key: str, token: str) -> Session:
    """The session of a token. Raises InvalidClientTokenId for one that we did not give."""
    try:
        raw = base64.b64decode(token, validate=True)
        opened = AESGCM(key).decrypt(raw[:NONCE_BYTES], raw[NONCE_BYTES:], access_key.encode())
        return _decode(opened)
    except (InvalidTag, ValueError, binascii.Error, msgspec.DecodeError) as error:
        raise InvalidClientTokenId() from error


def secret_of(key: bytes, access_key: str) -> str:
    """The secret of a session's access key."""
    digest = hmac.digest(key, b"secret of " + access_key.encode(), "sha256")
    return base64.b64encode(digest).decode()[:40]
