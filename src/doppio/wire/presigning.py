"""Links that are signed in advance, with Signature Version 4 in their query: made, not checked. Pure."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from datetime import datetime
from typing import NamedTuple
from urllib.parse import quote

from doppio.wire.sigv4 import ALGORITHM, UNSIGNED, signing_key


class Signer(NamedTuple):
    """With whose credentials a link is signed, for where, from when on and how long."""

    access_key: str
    secret: str
    token: str
    region: str
    service: str
    at: datetime
    seconds: int


def presigned(
    signer: Signer,
    method: str,
    endpoint: str,
    path: str,
    query: Mapping[str, str],
    headers: Mapping[str, str],
) -> str:
    """A link to an object of S3 that its holder may follow without credentials.

    `path` and `query` are not encoded yet. The holder must send `headers` (names in lower case)
    as they are here.
    """
    date = f"{signer.at:%Y%m%d}"
    scope = f"{date}/{signer.region}/{signer.service}/aws4_request"
    signed = {"host": endpoint.partition("://")[2], **headers}
    names = ";".join(sorted(signed))
    said = {
        **query,
        "X-Amz-Algorithm": ALGORITHM,
        "X-Amz-Credential": f"{signer.access_key}/{scope}",
        "X-Amz-Date": f"{signer.at:%Y%m%dT%H%M%SZ}",
        "X-Amz-Expires": str(signer.seconds),
        "X-Amz-SignedHeaders": names,
    }
    if signer.token:
        said["X-Amz-Security-Token"] = signer.token
    encoded = sorted((_encoded(name), _encoded(value)) for name, value in said.items())
    asked = "&".join(f"{name}={value}" for name, value in encoded)
    place = quote(path, safe="/-_.~")
    lines = "".join(f"{name}:{' '.join(signed[name].split())}\n" for name in sorted(signed))
    canonical = f"{method}\n{place}\n{asked}\n{lines}\n{names}\n{UNSIGNED}"
    digest = hashlib.sha256(canonical.encode()).hexdigest()
    text = f"{ALGORITHM}\n{said['X-Amz-Date']}\n{scope}\n{digest}"
    key = signing_key(signer.secret, date, signer.region, signer.service)
    signature = hmac.digest(key, text.encode(), "sha256").hex()
    return f"{endpoint}{place}?{asked}&X-Amz-Signature={signature}"


def _encoded(text: str) -> str:
    return quote(text, safe="-_.~")
