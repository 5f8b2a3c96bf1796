"""What a function is told of a request to its host, and what its answer means. Pure.

Source: "Invoking Lambda function URLs" (payload format 2.0).
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any
from urllib.parse import parse_qsl, unquote

from doppio.kernel.identity import Caller
from doppio.kernel.web import Told, Visited
from doppio.services.lambda_.records import FunctionUrl

_TEXTS = ("text/", "application/json", "application/xml", "application/javascript",
          "application/x-www-form-urlencoded")  # fmt: skip


def event_of(
    visited: Visited, url: FunctionUrl, caller: Caller | None, *, request_id: str, peer: str,
    scheme: str, now: datetime,
) -> dict[str, Any]:  # fmt: skip
    """The event; `caller` is who has signed, where that is asked for."""
    headers = {name: value for name, value in visited.headers.items() if name not in _NOT_TOLD}
    port = visited.host.partition(":")[2] or ("443" if scheme == "https" else "80")
    headers |= {
        "x-forwarded-for": peer, "x-forwarded-proto": scheme, "x-forwarded-port": port,
    }  # fmt: skip
    path = unquote(visited.path)
    domain = visited.host.partition(":")[0]
    context: dict[str, Any] = {
        "accountId": "anonymous" if caller is None else caller.account,
        "apiId": url.id,
        "domainName": domain,
        "domainPrefix": url.id,
        "http": {
            "method": visited.method,
            "path": path,
            "protocol": "HTTP/1.1",
            "sourceIp": peer,
            "userAgent": visited.headers.get("user-agent", ""),
        },
        "requestId": request_id,
        "routeKey": "$default",
        "stage": "$default",
        "time": f"{now:%d/%b/%Y:%H:%M:%S} +0000",
        "timeEpoch": int(now.timestamp() * 1000),
    }
    if caller is not None:
        context["authorizer"] = {
            "iam": {
                "accessKey": caller.access_key, "accountId": caller.account,
                "callerId": caller.id, "cognitoIdentity": None, "principalOrgId": None,
                "userArn": caller.arn, "userId": caller.id,
            }
        }  # fmt: skip
    event: dict[str, Any] = {
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": path,
        "rawQueryString": visited.query,
        "headers": headers,
        "requestContext": context,
        "isBase64Encoded": False,
    }
    if "cookie" in visited.headers:
        event["cookies"] = [one.strip() for one in visited.headers["cookie"].split(";")]
    if visited.query:
        asked: dict[str, list[str]] = {}
        for name, value in parse_qsl(visited.query, keep_blank_values=True):
            asked.setdefault(name, []).append(value)
        event["queryStringParameters"] = {name: ",".join(all_) for name, all_ in asked.items()}
    if visited.body:
        event |= _body(visited)
    return event


_NOT_TOLD = frozenset({"authorization", "connection", "cookie", "transfer-encoding"})


def _body(visited: Visited) -> dict[str, Any]:
    kind = visited.headers.get("content-type", "")
    if kind.startswith(_TEXTS):
        try:
            return {"body": visited.body.decode(), "isBase64Encoded": False}
        except UnicodeDecodeError:
            pass
    return {"body": base64.b64encode(visited.body).decode(), "isBase64Encoded": True}


def answer_of(payload: bytes) -> Told:
    """What a function's answer means to who has asked. Raises ValueError for one that means nothing."""
    told = json.loads(payload) if payload else None
    if not isinstance(told, dict) or "statusCode" not in told:
        text = told if isinstance(told, str) else json.dumps(told, ensure_ascii=False)
        return Told(200, [("content-type", "application/json")], text.encode())
    status = told["statusCode"]
    if not isinstance(status, int) or not 100 <= status <= 599:
        raise ValueError("no status")
    body = told.get("body") or ""
    if not isinstance(body, str):
        body = json.dumps(body, ensure_ascii=False)
    content = base64.b64decode(body) if told.get("isBase64Encoded") else body.encode()
    headers = [
        (str(name).lower(), _line(value)) for name, value in (told.get("headers") or {}).items()
    ]
    headers = [pair for pair in headers if pair[0] not in _OURS]
    if not any(name == "content-type" for name, _ in headers):
        headers.append(("content-type", "application/json"))
    headers += [("set-cookie", _line(one)) for one in told.get("cookies") or ()]
    return Told(status, headers, content)


# What the gateway says itself.
_OURS = frozenset({"content-length", "transfer-encoding", "connection", "date"})


def _line(value: Any) -> str:
    text = str(value)
    if "\r" in text or "\n" in text:
        raise ValueError("a header of several lines")
    return text


def cors_headers(cors: Mapping[str, Any], origin: str) -> list[tuple[str, str]]:
    """What lets a page of an origin read the answer; nothing where it may not."""
    allowed = cors.get("AllowOrigins") or ()
    if "*" not in allowed and origin not in allowed:
        return []
    found = [("access-control-allow-origin", "*" if "*" in allowed else origin)]
    found.append(("vary", "Origin"))
    if cors.get("AllowCredentials"):
        found[0] = ("access-control-allow-origin", origin)
        found.append(("access-control-allow-credentials", "true"))
    if cors.get("ExposeHeaders"):
        found.append(("access-control-expose-headers", ",".join(cors["ExposeHeaders"])))
    return found


def preflight_headers(cors: Mapping[str, Any], origin: str) -> list[tuple[str, str]]:
    """The same, before a request."""
    found = cors_headers(cors, origin)
    if not found:
        return []
    for member, header in (
        ("AllowMethods", "access-control-allow-methods"),
        ("AllowHeaders", "access-control-allow-headers"),
    ):
        if cors.get(member):
            found.append((header, ",".join(cors[member])))
    if cors.get("MaxAge") is not None:
        found.append(("access-control-max-age", str(cors["MaxAge"])))
    return found
