"""For whom a session acts, as the subject of the tokens by which STS vouches for it elsewhere. Pure."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping

from doppio.services.sts.errors import AccessDenied, ValidationError

SUBJECT = "aws:originidentity/subject"
ISSUER = "aws:originidentity/issuer"
PROVIDER = "aws:originidentity/federatedproviderarn"
# Control, format and separator characters, but for the space.
_UNSEEN = frozenset({"Cc", "Cf", "Zl", "Zp", "Zs"})


def origin_subject(keys: Mapping[str, str]) -> str:
    """The subject that a session's trusted context names. Raises ValidationError and AccessDenied."""
    subject = keys.get(SUBJECT, "")
    if not subject.strip() or not (ISSUER in keys or PROVIDER in keys):
        raise ValidationError(
            "The trusted identity propagation context of the calling session must contain "
            "aws:OriginIdentity/Subject and either aws:OriginIdentity/Issuer or "
            "aws:OriginIdentity/FederatedProviderArn."
        )
    unseen = any(unicodedata.category(char) in _UNSEEN and char != " " for char in subject)
    if unseen or subject != subject.strip(" ") or subject.lower().startswith("arn:"):
        raise AccessDenied(
            "The subject of the calling session cannot be used as a token's subject."
        )
    return subject
