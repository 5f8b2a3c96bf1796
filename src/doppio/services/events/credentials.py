"""What is secret of connections: how it is written down, shown, and used in a request. Pure."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from doppio.services.events.errors import Validation

MEMBERS = {
    "BASIC": "BasicAuthParameters",
    "API_KEY": "ApiKeyAuthParameters",
    "OAUTH_CLIENT_CREDENTIALS": "OAuthParameters",
}
_LISTS = ("HeaderParameters", "QueryStringParameters", "BodyParameters")


def secret_of(kind: str, auth: Mapping[str, Any], old: Mapping[str, Any]) -> dict[str, Any]:
    """The content of a connection's secret, in the words that AWS uses there.

    What an update leaves out stays as it is in `old`. Raises Validation.
    """
    given = auth.get(MEMBERS[kind])
    if given is None and not old:
        raise Validation(f"AuthParameters must contain {MEMBERS[kind]} for {kind}.")
    given = given or {}
    found = dict(old)
    if kind == "BASIC":
        _take(found, given, {"Username": "username", "Password": "password"})
    elif kind == "API_KEY":
        _take(found, given, {"ApiKeyName": "api_key_name", "ApiKeyValue": "api_key_value"})
    else:
        client = given.get("ClientParameters") or {}
        _take(found, client, {"ClientID": "client_id", "ClientSecret": "client_secret"})
        names = {
            "AuthorizationEndpoint": "authorization_endpoint",
            "HttpMethod": "http_method",
            "OAuthHttpParameters": "oauth_http_parameters",
        }
        _take(found, given, names)
    _take(found, auth, {"InvocationHttpParameters": "invocation_http_parameters"})
    return found


def _take(found: dict[str, Any], given: Mapping[str, Any], names: Mapping[str, str]) -> None:
    found.update({to: given[name] for name, to in names.items() if name in given})


def shown_auth(kind: str, secret: Mapping[str, Any]) -> dict[str, Any]:
    """What DescribeConnection tells: all but what is secret."""
    told: dict[str, Any]
    if kind == "BASIC":
        told = {"BasicAuthParameters": {"Username": secret["username"]}}
    elif kind == "API_KEY":
        told = {"ApiKeyAuthParameters": {"ApiKeyName": secret["api_key_name"]}}
    else:
        oauth: dict[str, Any] = {
            "ClientParameters": {"ClientID": secret["client_id"]},
            "AuthorizationEndpoint": secret["authorization_endpoint"],
            "HttpMethod": secret["http_method"],
        }
        if "oauth_http_parameters" in secret:
            oauth["OAuthHttpParameters"] = _open_ones(secret["oauth_http_parameters"])
        told = {"OAuthParameters": oauth}
    if "invocation_http_parameters" in secret:
        told["InvocationHttpParameters"] = _open_ones(secret["invocation_http_parameters"])
    return told


def _open_ones(parameters: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: [
            {key: value for key, value in one.items() if key != "Value" or not _hidden(one)}
            for one in parameters[name]
        ]
        for name in _LISTS
        if name in parameters
    }


def _hidden(one: Mapping[str, Any]) -> bool:
    return bool(one.get("IsValueSecret"))


def pairs(parameters: Mapping[str, Any] | None, name: str) -> dict[str, str]:
    """One of the lists of HTTP parameters, as a dict."""
    return {one["Key"]: one.get("Value", "") for one in (parameters or {}).get(name) or ()}


def login_headers(kind: str, secret: Mapping[str, Any], token: str | None) -> dict[str, str]:
    """The headers that say who calls."""
    if kind == "BASIC":
        login = f"{secret['username']}:{secret['password']}".encode()
        return {"Authorization": f"Basic {base64.b64encode(login).decode()}"}
    if kind == "API_KEY":
        return {secret["api_key_name"]: secret["api_key_value"]}
    return {"Authorization": f"Bearer {token}"}


def token_request(secret: Mapping[str, Any]) -> tuple[str, str, dict[str, str], bytes]:
    """Method, URL, headers and body that ask for a token with client credentials."""
    extra = secret.get("oauth_http_parameters")
    form = {
        "grant_type": "client_credentials",
        "client_id": secret["client_id"],
        "client_secret": secret["client_secret"],
        **pairs(extra, "BodyParameters"),
    }
    headers = {
        "Content-Type": "application/x-www-form-urlencoded; charset=utf-8",
        **pairs(extra, "HeaderParameters"),
    }
    url = with_query(secret["authorization_endpoint"], pairs(extra, "QueryStringParameters"))
    if secret["http_method"] == "GET":
        return "GET", with_query(url, form), headers, b""
    return secret["http_method"], url, headers, urlencode(form).encode()


def with_query(url: str, more: Mapping[str, str]) -> str:
    """A URL with more in its query."""
    if not more:
        return url
    return f"{url}{'&' if '?' in url else '?'}{urlencode(more)}"


def with_body_parameters(text: str, more: Mapping[str, str]) -> str:
    """A body with a connection's parameters in it, where it is a JSON object."""
    if not more:
        return text
    try:
        found = json.loads(text)
    except ValueError:
        return text
    if not isinstance(found, dict):
        return text
    return json.dumps({**found, **more}, separators=(",", ":"), ensure_ascii=False)
