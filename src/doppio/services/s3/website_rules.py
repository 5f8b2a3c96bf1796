"""What a website's configuration may say, and where its rules lead. Pure.

Source: "Configuring a webpage redirect" and "Hosting a static website" in the S3 user guide.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

from doppio.services.s3.errors import (
    InvalidArgument,
    InvalidRedirectLocation,
    InvalidRequest,
    MalformedXML,
)
from doppio.services.s3.limits import REDIRECT_CHARS_MAX, WEBSITE_RULES_MAX

_PROTOCOLS = frozenset({"http", "https"})
_BAD_PROTOCOL = (
    "Invalid protocol, protocol can be http or https. If not defined the protocol will be selected "
    "automatically."
)


def check_website(website: Mapping[str, Any]) -> None:
    """Refuse what is no configuration of a website, in S3's words."""
    everything = website.get("RedirectAllRequestsTo")
    if everything is not None:
        if len(website) > 1:
            raise InvalidArgument(
                "RedirectAllRequestsTo cannot be provided in conjunction with other Routing Rules.",
                ArgumentName="RedirectAllRequestsTo",
                ArgumentValue="null",
            )
        if not everything.get("HostName"):
            raise MalformedXML
        _check_protocol(everything)
        return
    index = website.get("IndexDocument")
    if index is None:
        raise InvalidArgument(
            "A value for IndexDocument Suffix must be provided if RedirectAllRequestsTo is empty",
            ArgumentName="IndexDocument",
            ArgumentValue="null",
        )
    suffix = index.get("Suffix", "")
    if not suffix or "/" in suffix:
        raise InvalidArgument(
            "The IndexDocument Suffix is not well formed",
            ArgumentName="IndexDocument",
            ArgumentValue=suffix,
        )
    error = website.get("ErrorDocument")
    if error is not None and not error.get("Key"):
        raise InvalidArgument(
            "The ErrorDocument Key is not well formed",
            ArgumentName="ErrorDocument",
            ArgumentValue=error.get("Key", ""),
        )
    rules = website.get("RoutingRules")
    if rules is None:
        return
    if not rules:
        raise MalformedXML
    if len(rules) > WEBSITE_RULES_MAX:
        raise InvalidRequest(
            f"{len(rules)} routing rules provided, the number of routing rules in a website "
            f"configuration is limited to {WEBSITE_RULES_MAX}."
        )
    for rule in rules:
        _check_rule(rule)


def _check_rule(rule: Mapping[str, Any]) -> None:
    redirect = rule.get("Redirect")
    if not redirect:
        raise MalformedXML
    if "ReplaceKeyPrefixWith" in redirect and "ReplaceKeyWith" in redirect:
        raise InvalidRequest("You can only define ReplaceKeyPrefix or ReplaceKey but not both.")
    _check_protocol(redirect)
    code = redirect.get("HttpRedirectCode")
    if code is not None and not (code.isdigit() and 300 < int(code) < 400):
        raise InvalidRequest(
            f"The provided HTTP redirect code ({code}) is not valid. Valid codes are 3XX except "
            "300."
        )
    condition = rule.get("Condition")
    if condition is None:
        return
    if not condition:
        raise InvalidRequest(
            "Condition cannot be empty. To redirect all requests without a condition, the "
            "condition element shouldn't be present."
        )
    code = condition.get("HttpErrorCodeReturnedEquals")
    if code is not None and not (code.isdigit() and 400 <= int(code) < 600):
        raise InvalidRequest(
            f"The provided HTTP error code ({code}) is not valid. Valid codes are 4XX or 5XX."
        )


def _check_protocol(redirect: Mapping[str, Any]) -> None:
    if redirect.get("Protocol", "http") not in _PROTOCOLS:
        raise InvalidRequest(_BAD_PROTOCOL)


def check_redirect_location(location: str) -> None:
    """Refuse an x-amz-website-redirect-location that leads nowhere."""
    if not location.startswith(("/", "http://", "https://")):
        raise InvalidRedirectLocation(
            "The website redirect location must have a prefix of 'http://' or 'https://' or '/'."
        )
    if len(location) > REDIRECT_CHARS_MAX:
        raise InvalidRedirectLocation(
            "The length of website redirect location cannot exceed "
            f"{REDIRECT_CHARS_MAX:,} characters."
        )


def rule_for(
    rules: Sequence[Mapping[str, Any]], key: str, status: int | None
) -> Mapping[str, Any] | None:
    """The first rule that redirects a request: before the key was looked for (`status` None), or
    after that has failed with a status."""
    for rule in rules:
        condition = rule.get("Condition") or {}
        code = condition.get("HttpErrorCodeReturnedEquals")
        wanted = None if code is None else int(code)
        if wanted == status and key.startswith(condition.get("KeyPrefixEquals", "")):
            return rule
    return None


def redirect_of(rule: Mapping[str, Any], key: str, origin: str) -> tuple[int, str]:
    """Status and place to which a rule sends a browser that asked `origin` for a key."""
    redirect: Mapping[str, Any] = rule["Redirect"]
    if "ReplaceKeyWith" in redirect:
        key = redirect["ReplaceKeyWith"]
    elif "ReplaceKeyPrefixWith" in redirect:
        prefix = (rule.get("Condition") or {}).get("KeyPrefixEquals", "")
        key = redirect["ReplaceKeyPrefixWith"] + key[len(prefix) :]
    return int(redirect.get("HttpRedirectCode", 301)), placed(redirect, origin, quoted_key(key))


def placed(redirect: Mapping[str, Any], origin: str, rest: str) -> str:
    """The URL of a path, at the host and by the protocol that a redirect names."""
    scheme, _, host = origin.partition("://")
    scheme, host = redirect.get("Protocol") or scheme, redirect.get("HostName") or host
    return f"{scheme}://{host}/{rest}"


def quoted_key(key: str) -> str:
    """A key as the path of a URL."""
    return quote(key, safe="/!*'();:@&=+$,~#")
