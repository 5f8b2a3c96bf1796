"""Context providers: what of an assertion or a token becomes keys that policies can trust.

A provider (SAML or OpenID Connect) that has one vouches not only for who may come, but for whom: STS puts
the end user's identity and further claims into the session, as `aws:OriginIdentity/…` and
`aws:TransactionContext/IdentityProvider/…`, where nobody but the provider can set them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from doppio.services.iam import limits
from doppio.services.iam.errors import InvalidInput
from doppio.services.iam.provider_records import ContextProvider
from doppio.wire.errors import NotImplementedByDoppio

_KEY = re.compile(r"[A-Za-z0-9_.:/=+\-@#]+(?: [A-Za-z0-9_.:/=+\-@#]+)*")
ORIGIN = "aws:OriginIdentity/"
TRANSACTION = "aws:TransactionContext/IdentityProvider/"


def given_context(req: Mapping[str, Any]) -> ContextProvider | None:
    """The context provider of a request. Raises InvalidInput."""
    if req.get("IdentityCenterInstanceArn") or req.get("RemoveIdentityCenterInstance"):
        raise NotImplementedByDoppio(
            "iam's providers with an instance of IAM Identity Center exist in AWS and not yet in "
            "this cloud"
        )
    asked = req.get("ContextProvider")
    if asked is None:
        return None
    if "SubjectTypeValue" in asked and "SubjectTypeSourceKey" in asked:
        raise InvalidInput("Specify either SubjectTypeSourceKey or SubjectTypeValue, but not both.")
    defined = [
        (one["SourceKey"], one.get("TargetKey", one["SourceKey"]))
        for one in asked.get("KeyDefinitionList", ())
    ]
    targets = [target for _, target in defined]
    if len(set(targets)) < len(targets):
        raise InvalidInput("A target key can be defined only once.")
    type_key = asked.get("SubjectTypeSourceKey")
    named = [asked["SubjectSourceKey"], *(key for pair in defined for key in pair)]
    for key in named if type_key is None else [*named, type_key]:
        if not _KEY.fullmatch(key):
            raise InvalidInput(f"The key {key} of the context provider is not valid.")
    return ContextProvider(
        subject=asked["SubjectSourceKey"], subject_type=asked.get("SubjectTypeValue"),
        subject_type_key=type_key, keys=tuple(defined),
    )  # fmt: skip


def changed_context(old: ContextProvider | None, req: Mapping[str, Any]) -> ContextProvider | None:
    """What an update leaves. Raises InvalidInput."""
    new = given_context(req)
    if not req.get("RemoveContextProvider"):
        return old if new is None else new
    if new is not None:
        raise InvalidInput("Specify either ContextProvider or RemoveContextProvider, but not both.")
    return None


def context_to_wire(provider: ContextProvider | None) -> dict[str, Any]:
    """A context provider as IAM shows it; nothing where there is none."""
    if provider is None:
        return {}
    shown: dict[str, Any] = {
        "SubjectSourceKey": provider.subject,
        "KeyDefinitionList": [
            {"SourceKey": source, "TargetKey": target} for source, target in provider.keys
        ],
    }
    if provider.subject_type is not None:
        shown["SubjectTypeValue"] = provider.subject_type
    if provider.subject_type_key is not None:
        shown["SubjectTypeSourceKey"] = provider.subject_type_key
    return {"ContextProvider": shown}


def propagated(
    provider: ContextProvider | None, arn: str, issuer: str, claim: Callable[[str], str | None]
) -> dict[str, str]:
    """The keys that a session gets, in AWS's spelling; a claim that is missing gives none.

    Raises LookupError where there is no subject.
    """
    if provider is None:
        return {}
    subject = claim(provider.subject)
    if not subject:
        raise LookupError(provider.subject)
    found = {
        f"{ORIGIN}Subject": subject, f"{ORIGIN}Issuer": issuer, f"{ORIGIN}FederatedProviderArn": arn,
    }  # fmt: skip
    kind = provider.subject_type
    if provider.subject_type_key is not None:
        kind = claim(provider.subject_type_key)
    if kind:
        found[f"{ORIGIN}SubjectType"] = kind
    for source, target in provider.keys:
        value = claim(source)
        if value is not None and len(value) <= limits.CONTEXT_VALUE_CHARS_MAX:
            found[f"{TRANSACTION}{target}"] = value
    return found


def propagated_to_wire(keys: Mapping[str, str]) -> dict[str, Any]:
    """The context of a session as STS shows it; nothing where there is none."""
    if not keys:
        return {}
    origin = {
        key.removeprefix(ORIGIN): value for key, value in keys.items() if key.startswith(ORIGIN)
    }
    shown: dict[str, Any] = {"OriginIdentity": origin}
    claims = {
        key.removeprefix(TRANSACTION): value
        for key, value in keys.items()
        if key.startswith(TRANSACTION)
    }
    if claims:
        shown["TransactionContext"] = {"IdentityProvider": claims}
    return {"TrustedIdentityPropagationContext": shown}
