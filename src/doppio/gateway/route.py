"""Which service, protocol and operation a request means.

In this order: the internal paths, `X-Amz-Target`, the CBOR path, the credential scope, the host,
a query `Action`, and last S3, which alone is spoken to without any of these. The signature is
always checked over the path as sent; what is rewritten here is only for finding the operation.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache, lru_cache
from importlib.resources import files
from typing import NamedTuple, Protocol
from urllib.parse import unquote_plus

import msgspec
from msgspec.structs import replace

from doppio.kernel.regions import partition_of
from doppio.wire import model
from doppio.wire.errors import AwsError, UnknownOperation
from doppio.wire.http import Request
from doppio.wire.rest import Router, router

DEFAULT_REGION = "us-east-1"


class Named(msgspec.Struct, frozen=True):
    """What tells one AWS service from the others on the wire."""

    signing: str
    endpoint: str
    protocols: list[str]
    version: str
    target: str = ""
    id: str = ""


class _Table(msgspec.Struct):
    source: str
    services: dict[str, Named]


class Target(msgspec.Struct, frozen=True):
    """Where a request goes.

    `special`: S3 must say what the host means: an accelerated one, or one like an access point's.
    """

    service: str
    protocol: str
    operation: model.Operation
    region: str
    uri: Mapping[str, str]
    special: bool = False


@cache
def services() -> dict[str, Named]:
    """Every service that botocore knows, by model name."""
    text = (files("doppio.data") / "services.json").read_bytes()
    return msgspec.json.decode(text, type=_Table).services


@cache
def _by_target() -> dict[str, str]:
    return {named.target: name for name, named in services().items() if named.target}


@cache
def _by_signing() -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for name, named in services().items():
        found.setdefault(named.signing, []).append(name)
    # The model that bears the signing name itself is the likeliest.
    return {key: sorted(names, key=lambda n: (n != key, n)) for key, names in found.items()}


@cache
def _by_endpoint() -> dict[str, str]:
    return {named.endpoint: name for name, named in reversed(services().items())}


@cache
def _rest(service: str) -> tuple[Router, str]:
    """The paths of a service, and in which protocol it answers there."""
    return router(model.load(service)), services()[service].protocols[0]


_SCOPE = re.compile(r"Credential=[^/,\s]+/\d{8}/([a-z0-9-]*)/([A-Za-z0-9_-]+)/aws4_request")
_SCOPE_A = re.compile(r"Credential=[^/,\s]+/\d{8}/([A-Za-z0-9_-]+)/aws4_request")
_QUERY_SCOPE = re.compile(
    r"(?:^|&)X-Amz-Credential=[^&]+?(?:/|%2F)\d{8}(?:/|%2F)(?:([a-z0-9-]+)(?:/|%2F))?"
    r"([A-Za-z0-9_-]+)(?:/|%2F)aws4_request",
    re.IGNORECASE,
)
_AWS_HOST = re.compile(
    r"^(?:(.+)\.)?([a-z0-9-]+)\.([a-z]{2}(?:-[a-z]+)+-\d)\.amazonaws\.com(?:\.cn)?$"
)
_AWS_GLOBAL_HOST = re.compile(r"^(?:(.+)\.)?([a-z0-9-]+)\.amazonaws\.com(?:\.cn)?$")
_S3_HOST = re.compile(
    r"^(.+?)\.s3(?:-website|-accelerate(?:\.dualstack)?)?"
    r"(?:[.-](?:dualstack\.)?([a-z]{2}(?:-[a-z]+)+-\d))?"
    r"\.(?:amazonaws\.com(?:\.cn)?|localhost(?:\.localstack\.cloud)?)$"
)
# Source: "Accessing a bucket through S3 access points".
_POINT_HOST = re.compile(
    r"^(.+)-(\d{12})\.s3-accesspoint(?:-fips)?(?:\.dualstack)?"
    r"\.([a-z]{2}(?:-[a-z]+)+-\d)\.amazonaws\.com(?:\.cn)?$"
)
_LAMBDA_HOST = re.compile(
    r"^(.+)-(\d{12})\.s3-object-lambda(?:-fips)?\.([a-z]{2}(?:-[a-z]+)+-\d)\.amazonaws\.com(?:\.cn)?$"
)
_OBJECT_LAMBDA = "s3-object-lambda"
_SHORT_POINT = re.compile(r"^(.+)-(\d{12})$")
_WIDE_POINT_HOST = re.compile(r"^([a-z0-9]+\.mrap)\.accesspoint\.s3-global\.amazonaws\.com$")
# How clients write an access point before the host of an endpoint of one's own; buckets may be
# called so, too.
_POINT_LIKE = re.compile(r"^([a-z0-9-]{3,50}-\d{12})\.localhost(?:\.localstack\.cloud)?$")
_EXPRESS_HOST = re.compile(
    r"^(.+--x-s3)\.s3express-[a-z0-9-]+\.(?:dualstack\.)?[a-z]{2}(?:-[a-z]+)+-\d"
    r"\.(?:amazonaws\.com(?:\.cn)?|localhost(?:\.localstack\.cloud)?)$"
)
_WEBSITE_HOST = re.compile(
    r"^(.+)\.s3-website(?:[.-]([a-z]{2}(?:-[a-z]+)+-\d))?"
    r"\.(?:amazonaws\.com(?:\.cn)?|localhost(?:\.localstack\.cloud)?)$"
)
_SHORT_HOST = re.compile(r"^(.+)\.localhost$")


class Scope(NamedTuple):
    """Region and signing name that a credential scope names; empty where there is none."""

    region: str
    service: str


class Scoped(Protocol):
    """What bears a credential scope: a signature that has been read does, so none is made for it."""

    @property
    def region(self) -> str: ...

    @property
    def service(self) -> str: ...


_NO_SCOPE = Scope("", "")
_NO_NAMES: list[str] = []
_S3_ALONE = ["s3"]
_CONTROL_ALONE = ["s3control"]
_CONTROL_PATH = "/v20180820/"


def scope_of(request: Request) -> Scope:
    """The credential scope of a request, unverified."""
    authorization = request.headers.get("authorization", "")
    found = _SCOPE.search(authorization)
    if found:
        return Scope(found[1], found[2])
    found = _SCOPE_A.search(authorization)
    if found:
        return Scope("", found[1])
    if "redential=" in request.query:
        found = _QUERY_SCOPE.search(request.query)
        if found:
            return Scope(found[1] or "", found[2])
    return _NO_SCOPE


def route(request: Request, body: bytes | None, scope: Scoped | None = None) -> Target:
    """Where a request goes. `body` is its content where that is already known.

    `scope` is the signature, or its credential scope, where that has been read. Raises AwsError for an
    operation that its service does not have.
    """
    headers = request.headers
    if scope is None:
        scope = scope_of(request)
    region = scope.region if scope.region not in {"", "*", "aws-global"} else ""
    target = headers.get("x-amz-target")
    if target:
        return _json_target(target, region or _host(headers.get("host", "")).region)
    if headers.get("smithy-protocol") == "rpc-v2-cbor":
        return _cbor_target(request, scope, region or _host(headers.get("host", "")).region)
    candidates = _by_signing().get(scope.service, _NO_NAMES)
    if request.path.startswith(_CONTROL_PATH) and is_control(request):
        # It signs as S3, whose objects may have such paths, too.
        candidates = _CONTROL_ALONE
    host = _host(headers.get("host", ""))
    name = candidates[0] if candidates else host.service
    region = region or host.region
    if not name and request.path == "/" and "Action=" in request.query:
        # A link in a message, followed without a signature.
        name = _service_of_action(request, body)
    if (not name or name == "s3") and not (request.method == "POST" and _is_form(request, body)):
        bucket = host.bucket
        if scope.service == _OBJECT_LAMBDA:
            bucket = _lambda_bucket(request, bucket, region)
        path = f"/{bucket}{request.path}" if bucket else request.path
        found = _rest_target(candidates or _S3_ALONE, request, path, region, host.special)
        if path == "/" and found.operation.name == "ListBuckets" and _is_express(request, scope):
            # Both ask for the same page: here of another host, or for another service.
            listing = model.load("s3").operations["ListDirectoryBuckets"]
            found = replace(found, operation=listing)
        return found
    if not name:
        name = _service_of_action(request, body)
    protocols = services()[name].protocols
    if _is_form(request, body) or (
        not protocols[0].startswith("rest") and "Action=" in request.query
    ):
        return _query_target(candidates or [name], request, body, region)
    if protocols[0].startswith("rest"):
        return _rest_target(candidates or [name], request, request.path, region)
    raise UnknownOperation(f"The request names no operation of {name}.")


def _lambda_bucket(request: Request, bucket: str, region: str) -> str:
    """What a host means to S3 Object Lambda: one of its access points, or where an answer goes."""
    if request.method == "POST" and request.path == "/WriteGetObjectResponse":
        return ""
    like = _SHORT_POINT.fullmatch(bucket)
    if like is None:
        return bucket
    name, account = like.groups()
    return f"arn:{partition_of(region)}:{_OBJECT_LAMBDA}:{region}:{account}:accesspoint:{name}"


def _is_express(request: Request, scope: Scoped) -> bool:
    """Whether a request is for the directory buckets of a Region."""
    host = request.headers.get("host", "")
    return scope.service == "s3express" or host.startswith(f"{_EXPRESS_CONTROL}.")


_EXPRESS_CONTROL = "s3express-control"


@lru_cache(maxsize=4_096)
def _json_target(target: str, region: str) -> Target:
    name, operation = _json_operation(target)
    return Target(name, "json", operation, region, _NOTHING)


_NOTHING: dict[str, str] = {}


def _json_operation(target: str) -> tuple[str, model.Operation]:
    prefix, _, operation_name = target.rpartition(".")
    name = _by_target().get(prefix)
    if name is None:
        raise UnknownOperation(f"No service has operations of the target {prefix!r}.")
    operation = model.load(name).operations.get(operation_name)
    if operation is None:
        raise UnknownOperation(f"{name} has no operation {operation_name!r}.")
    return name, operation


_CBOR_PATH = re.compile(r"^/service/([A-Za-z0-9_]+)/operation/([A-Za-z0-9_]+)$")


def _cbor_target(request: Request, scope: Scoped, region: str) -> Target:
    found = _CBOR_PATH.match(request.path)
    name = _by_target().get(found[1]) if found else None
    if found and name is None:
        name = next(iter(_by_signing().get(scope.service, [])), None)
    operation = model.load(name).operations.get(found[2]) if found and name else None
    if operation is None or name is None:
        raise UnknownOperation(f"No service has an operation at {request.path!r}.")
    return Target(name, "smithy-rpc-v2-cbor", operation, region, {})


def _rest_target(
    names: list[str], request: Request, path: str, region: str, special: bool = False
) -> Target:
    pairs = _query_pairs(request.query) if request.query else _NOTHING
    for name in names:
        paths, protocol = _rest(name)
        found = paths.match(request.method, path, pairs, request.headers)
        if found is not None:
            operation, uri = found
            return Target(name, protocol, operation, region, uri, special)
    raise UnknownOperation(f"{names[0]} has no operation for {request.method} {request.path}.")


def _query_target(names: list[str], request: Request, body: bytes | None, region: str) -> Target:
    text = (body or b"").decode("latin-1")
    pairs = {**_query_pairs(request.query), **_first_pairs(text)}
    action, version = pairs.get("Action", ""), pairs.get("Version", "")
    for name in names:
        service = services()[name]
        if version and len(names) > 1 and service.version != version:
            continue
        operation = model.load(name).operations.get(action)
        if operation is not None:
            protocol = "ec2" if "ec2" in service.protocols else "query"
            return Target(name, protocol, operation, region, {})
    error = InvalidAction(
        f"Could not find operation {action} for version {version or 'NO_VERSION_SPECIFIED'}"
        if action
        else "The request must contain the parameter Action."
    )
    raise error


class InvalidAction(AwsError):
    """A query request for an operation that its service does not have."""

    code = "InvalidAction"
    status = 400


def _is_form(request: Request, body: bytes | None) -> bool:
    if request.method != "POST":
        return False
    return request.headers.get("content-type", "").startswith("application/x-www-form-urlencoded")


def _service_of_action(request: Request, body: bytes | None) -> str:
    pairs = {**_query_pairs(request.query), **_first_pairs((body or b"").decode("latin-1"))}
    version = pairs.get("Version", "")
    for name, named in services().items():
        if version == named.version and pairs.get("Action") in model.load(name).operations:
            return name
    raise UnknownOperation("The request names no service: it has no signature and no known host.")


def _host_service(host: str) -> str:
    found = _AWS_HOST.match(host) or _AWS_GLOBAL_HOST.match(host)
    if found:
        return _by_endpoint().get(found[2], "")
    return ""


class Host(NamedTuple):
    """What the name of a host says; empty where it says nothing."""

    service: str
    region: str
    bucket: str
    special: bool


@lru_cache(maxsize=4_096)
def _host(header: str) -> Host:
    name = header.rpartition(":")[0] or header
    bucket = _host_bucket(name)
    special = ".s3-accelerate" in name or _POINT_LIKE.match(name) is not None
    return Host(_host_service(name), _host_region(name), bucket, special)


def _host_region(host: str) -> str:
    if not host.endswith((".amazonaws.com", ".amazonaws.com.cn", ".localhost")):
        return DEFAULT_REGION
    found = _S3_HOST.match(host)
    if found and found[2]:
        return found[2]
    aws = _AWS_HOST.match(host)
    return aws[3] if aws else DEFAULT_REGION


def _host_bucket(host: str) -> str:
    """The bucket that a virtual-hosted request names."""
    if not host.endswith(
        (".localhost", ".amazonaws.com", ".amazonaws.com.cn", ".localstack.cloud")
    ):
        return ""
    found = _EXPRESS_HOST.match(host) or _S3_HOST.match(host)
    if found:
        return found[1]
    point = _POINT_HOST.match(host)
    if point:
        # With a colon: a slash would end the bucket in a path.
        name, account, region = point.groups()
        return f"arn:{partition_of(region)}:s3:{region}:{account}:accesspoint:{name}"
    front = _LAMBDA_HOST.match(host)
    if front:
        name, account, region = front.groups()
        return f"arn:{partition_of(region)}:{_OBJECT_LAMBDA}:{region}:{account}:accesspoint:{name}"
    wide = _WIDE_POINT_HOST.match(host)
    if wide:
        return wide[1]
    short = _POINT_LIKE.match(host) or _SHORT_HOST.match(host)
    if short and short[1] != "s3" and not _is_region_host(short[1]):
        return short[1]
    return ""


def is_control(request: Request) -> bool:
    """Whether a request below S3 Control's path is for it: by its account's header, or its host."""
    host = _host(request.headers.get("host", ""))
    return "x-amz-account-id" in request.headers or host.service == "s3control"


def region_of_host(header: str) -> str:
    """The Region that a Host header names; empty where it names none."""
    name = header.rpartition(":")[0] or header
    for pattern, group in ((_POINT_HOST, 3), (_LAMBDA_HOST, 3), (_S3_HOST, 2), (_AWS_HOST, 3)):
        found = pattern.match(name)
        if found and found[group]:
            return str(found[group])
    return ""


def bucket_of_host(header: str) -> str:
    """The bucket that a Host header names; empty where it names none."""
    return _host(header).bucket


def website_of(host: str) -> tuple[str, str] | None:
    """The name and the Region (or none) of the website that a Host header names."""
    found = _WEBSITE_HOST.match(host.rpartition(":")[0] or host)
    return None if found is None else (found[1], found[2] or "")


def _is_region_host(name: str) -> bool:
    return name.startswith("s3.") or name in {"doppio", "localhost", _EXPRESS_CONTROL}


def _query_pairs(query: str) -> dict[str, str]:
    """The query parameters that routing looks at; a parameter without `=` is empty."""
    if not query:
        return {}
    pairs: dict[str, str] = {}
    for part in query.split("&"):
        name, _, value = part.partition("=")
        pairs[unquote_plus(name)] = unquote_plus(value)
    return pairs


def _first_pairs(text: str) -> dict[str, str]:
    """`Action` and `Version` of a form body, without decoding the rest."""
    pairs: dict[str, str] = {}
    text = f"&{text}&"
    for name in ("Action", "Version"):
        at = text.find(f"&{name}=")
        if at >= 0:
            begin = at + len(name) + 2
            pairs[name] = unquote_plus(text[begin : text.index("&", begin)])
    return pairs
