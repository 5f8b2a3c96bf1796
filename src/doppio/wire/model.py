"""AWS's service models, read from botocore's data without importing botocore.

A model is one JSON file of up to 4 MB. It is scanned once when its service is first used; shapes
and operations stay unparsed bytes until somebody asks for them, so a user of `ec2` pays for the
operations that he calls. Documentation is never turned into Python objects.

Where botocore's models have lost facts that the wire still needs (the query names of SQS, the root
elements of S3), `data/wire_supplements/SERVICE.json` adds them: `all` is merged into the model,
`query` only into the view that the query protocol has of it (`Service.query_view`).
"""

from __future__ import annotations

import gzip
import importlib.util
import re
from collections.abc import Iterator, Mapping
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import msgspec

from doppio.wire.modeldata import (
    ModelData,
    NamespaceData,
    OperationData,
    ShapeData,
    Traits,
    decode_model,
    decode_operation,
    decode_shape,
)

SUPPLEMENTS = Path(__file__).parent.parent / "data" / "wire_supplements"

# Where a member may be instead of the body: of a response, of a request.
OUTSIDE = ("header", "headers", "statusCode")
INPUT_OUTSIDE = ("uri", "header", "headers", "querystring")


class Namespace:
    """An XML namespace; without a prefix it is the default one."""

    __slots__ = ("prefix", "uri")

    def __init__(self, uri: str, prefix: str = "") -> None:
        self.uri = uri
        self.prefix = prefix


def _namespace(given: NamespaceData | str | None) -> Namespace | None:
    if not given:
        return None
    return Namespace(given) if isinstance(given, str) else Namespace(given.uri, given.prefix)


class Member:
    """A reference to a shape: a structure's member, a list's element, a map's key or value.

    `wire_name` is the name on the wire where the model gives one (`locationName`).
    """

    __slots__ = (
        "event_header",
        "event_payload",
        "flattened",
        "host_label",
        "idempotency_token",
        "json_value",
        "location",
        "name",
        "namespace",
        "query_name",
        "shape",
        "streaming",
        "timestamp_format",
        "wire_name",
        "xml_attribute",
    )

    def __init__(self, name: str, ref: Traits, shape: Shape) -> None:
        own = shape.data
        self.name = name
        self.shape = shape
        self.location = ref.location or own.location
        self.wire_name = ref.location_name or own.location_name
        self.query_name = ref.query_name or own.query_name
        self.flattened = ref.flattened or own.flattened
        self.namespace = _namespace(ref.xml_namespace or own.xml_namespace)
        self.xml_attribute = ref.xml_attribute or own.xml_attribute
        self.timestamp_format = ref.timestamp_format or own.timestamp_format
        self.streaming = ref.streaming or own.streaming
        self.json_value = ref.jsonvalue or own.jsonvalue
        self.event_payload = ref.eventpayload or own.eventpayload
        self.event_header = ref.eventheader or own.eventheader
        self.host_label = ref.host_label
        self.idempotency_token = ref.idempotency_token


class Shape:
    """A named type. `type` is structure, list, map, string, blob, boolean, timestamp, integer,
    long, float, double (or character, bigdecimal, biginteger in very old models)."""

    def __init__(self, service: Service, name: str, data: ShapeData) -> None:
        self.service = service
        self.name = name
        self.data = data
        self.type = data.type
        self.required = tuple(data.required)
        self.enum = tuple(data.enum) if data.enum else None
        self.min = data.min
        self.max = data.max
        self.pattern = data.pattern
        self.payload = data.payload
        self.wire_name = data.location_name
        self.sparse = data.sparse
        self.sensitive = data.sensitive
        self.document = data.document
        self.union = data.union
        self.event_stream = data.eventstream
        self.exception = data.exception

    @cached_property
    def members(self) -> dict[str, Member]:
        """The members of a structure, in the model's order."""
        shape = self.service.shape
        return {
            name: Member(name, ref, shape(ref.shape)) for name, ref in self.data.members.items()
        }

    @cached_property
    def member(self) -> Member:
        """A list's element."""
        assert self.data.member is not None, f"{self.name} is not a list"
        return Member("member", self.data.member, self.service.shape(self.data.member.shape))

    @cached_property
    def key(self) -> Member:
        """A map's key."""
        assert self.data.key is not None, f"{self.name} is not a map"
        return Member("key", self.data.key, self.service.shape(self.data.key.shape))

    @cached_property
    def value(self) -> Member:
        """A map's value."""
        assert self.data.value is not None, f"{self.name} is not a map"
        return Member("value", self.data.value, self.service.shape(self.data.value.shape))

    @property
    def namespace(self) -> Namespace | None:
        """The XML namespace of the structure itself."""
        return _namespace(self.data.xml_namespace)

    @property
    def error_code(self) -> str | None:
        """The code that the model gives an exception besides its name (query protocols)."""
        return self.data.error.code if self.data.error else None

    @property
    def error_status(self) -> int | None:
        """The HTTP status of an exception, where the model says it."""
        error = self.data.error
        if error is not None and error.status is not None:
            return error.status
        return 500 if self.data.fault or (error is not None and error.fault) else None

    def __repr__(self) -> str:
        return f"<Shape {self.service.name}.{self.name}>"


class Operation:
    """One operation of a service: `name` is AWS's (`SendMessage`), `method` ours (`send_message`).

    `wire_name` differs from `name` where AWS puts a version into it (CloudFront).
    """

    def __init__(self, service: Service, name: str, data: OperationData) -> None:
        self.service = service
        self.name = name
        self.method = method_name(name)
        self.wire_name = data.name or name
        self.http_method = data.http.method
        self.http_uri = data.http.uri
        self.status = data.http.status
        self.input_ref = data.input
        self.output_ref = data.output
        self.errors = tuple(error.shape for error in data.errors)
        # Whether its body may bring a digest, and the body is in memory.
        self.checked_body = "requestAlgorithmMember" in data.http_checksum
        self.auth_type = data.authtype
        self.auth = tuple(data.auth)
        self.unsigned_payload = data.unsigned_payload
        self.compressible = bool(data.requestcompression)
        self.host_prefix = data.endpoint.host_prefix if data.endpoint else None
        self.idempotent = data.idempotent
        self.readonly = data.readonly
        self.deprecated = data.deprecated
        self.static_context = data.static_context_params

    @cached_property
    def input(self) -> Shape | None:
        return self.service.shape(self.input_ref.shape) if self.input_ref else None

    @cached_property
    def output(self) -> Shape | None:
        return self.service.shape(self.output_ref.shape) if self.output_ref else None

    @cached_property
    def input_member(self) -> Member | None:
        """The input as the operation refers to it: with its XML root name and namespace."""
        return (
            Member("input", self.input_ref, self.input) if self.input_ref and self.input else None
        )

    @cached_property
    def output_member(self) -> Member | None:
        """The output as the operation refers to it."""
        if self.output_ref is None or self.output is None:
            return None
        return Member("output", self.output_ref, self.output)

    @property
    def result_wrapper(self) -> str:
        """The element around the result in the query protocol."""
        wrapper = self.output_ref.result_wrapper if self.output_ref else None
        return wrapper or f"{self.name}Result"

    @cached_property
    def streaming_input(self) -> str | None:
        """The input member whose value is the request's body itself, as a stream."""
        return _streaming(self.input)

    @cached_property
    def streaming_output(self) -> str | None:
        """The output member whose value becomes the response's body as it comes."""
        return _streaming(self.output)

    @cached_property
    def event_input(self) -> str | None:
        """The input member that is a stream of events."""
        return _events(self.input)

    @cached_property
    def event_output(self) -> str | None:
        """The output member that is a stream of events."""
        return _events(self.output)

    def __repr__(self) -> str:
        return f"<Operation {self.service.name}.{self.name}>"


def _streaming(shape: Shape | None) -> str | None:
    if shape is None or shape.payload is None:
        return None
    member = shape.members[shape.payload]
    if member.streaming and member.shape.type in ("blob", "string"):
        return shape.payload
    return None


def _events(shape: Shape | None) -> str | None:
    if shape is None:
        return None
    for name, member in shape.members.items():
        if member.shape.event_stream:
            return name
    return None


class _Lazy(Mapping[str, Operation]):
    """The operations by name; each is parsed when it is first asked for."""

    def __init__(self, service: Service, raw: dict[str, msgspec.Raw]) -> None:
        self._service = service
        self.raw = raw
        self._made: dict[str, Operation] = {}

    def __getitem__(self, name: str) -> Operation:
        made = self._made.get(name)
        if made is None:
            data = decode_operation(self.raw[name])
            made = self._made[name] = Operation(self._service, name, data)
        return made

    def __iter__(self) -> Iterator[str]:
        return iter(self.raw)

    def __len__(self) -> int:
        return len(self.raw)

    def __contains__(self, name: object) -> bool:
        return name in self.raw


class _ByMethod(Mapping[str, Operation]):
    """The operations by Python name."""

    def __init__(self, operations: Mapping[str, Operation]) -> None:
        self._operations = operations
        self._names = {method_name(name): name for name in operations}

    def __getitem__(self, method: str) -> Operation:
        return self._operations[self._names[method]]

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)

    def __contains__(self, method: object) -> bool:
        return method in self._names


class Service:
    """The model of one service."""

    def __init__(self, name: str, content: bytes, supplement: Mapping[str, Any] = {}) -> None:
        data = decode_model(content)
        self.name = name
        self._content = content
        self._supplement = supplement
        self._merge(data, supplement.get("all", {}))
        self._raw_shapes = data.shapes
        self._shapes: dict[str, Shape] = {}
        meta = self.metadata = data.metadata
        self.operations: Mapping[str, Operation] = _Lazy(self, data.operations)
        self.api_version: str = meta.get("apiVersion", "")
        self.endpoint_prefix: str = meta.get("endpointPrefix", name)
        self.signing_name: str = meta.get("signingName") or self.endpoint_prefix
        self.service_id: str = meta.get("serviceId", name)
        self.target_prefix: str | None = meta.get("targetPrefix")
        self.json_version: str = meta.get("jsonVersion", "1.0")
        preferred: str = meta["protocol"]
        self.protocols: tuple[str, ...] = tuple(meta.get("protocols") or (preferred,))
        if "query" in supplement and "query" not in self.protocols:
            self.protocols += ("query",)
        self.query_compatible = "awsQueryCompatible" in meta
        self.xml_namespace: str | None = meta.get("xmlNamespace")

    @staticmethod
    def _merge(data: ModelData, extra: Mapping[str, Any]) -> None:
        data.metadata.update(extra.get("metadata", {}))
        for kind, raw in (("shapes", data.shapes), ("operations", data.operations)):
            for name, patch in extra.get(kind, {}).items():
                base = msgspec.json.decode(raw[name]) if name in raw else {}
                raw[name] = msgspec.Raw(msgspec.json.encode(_deep_merge(base, patch)))

    @cached_property
    def by_method(self) -> Mapping[str, Operation]:
        """`by_method["send_message"]`."""
        return _ByMethod(self.operations)

    def shape(self, name: str) -> Shape:
        """The shape called `name`; KeyError where there is none."""
        made = self._shapes.get(name)
        if made is None:
            made = self._shapes[name] = Shape(self, name, decode_shape(self._raw_shapes[name]))
        return made

    def raw(self) -> dict[str, Any]:
        """The whole model as plain values, supplements included (for tools and tests)."""
        assert isinstance(self.operations, _Lazy)
        decode = msgspec.json.decode
        return {
            "metadata": self.metadata,
            "operations": {name: decode(raw) for name, raw in self.operations.raw.items()},
            "shapes": {name: decode(raw) for name, raw in self._raw_shapes.items()},
        }

    def exception(self, code: str, operation: Operation | None = None) -> Shape | None:
        """The error shape that goes by `code`: its name, or the code the model gives it."""
        if code in self._raw_shapes:
            shape = self.shape(code)
            return shape if shape.exception else None
        for name in operation.errors if operation is not None else ():
            shape = self.shape(name)
            if shape.error_code == code:
                return shape
        return None

    @cached_property
    def query_view(self) -> Service:
        """This service as the query protocol names its parts."""
        extra = self._supplement.get("query")
        if extra is None:
            return self
        view = Service(self.name, self._content, {"all": self._supplement.get("all", {})})
        data = decode_model(self._content)
        self._merge(data, self._supplement.get("all", {}))
        self._merge(data, extra)
        view._raw_shapes = data.shapes
        view.operations = _Lazy(view, data.operations)
        view.xml_namespace = data.metadata.get("xmlNamespace")
        view.protocols = self.protocols
        return view

    def __repr__(self) -> str:
        return f"<Service {self.name}>"


def _deep_merge(base: Any, patch: Any) -> Any:
    if isinstance(base, dict) and isinstance(patch, dict):
        return {**base, **{k: _deep_merge(base.get(k), v) for k, v in patch.items()}}
    return patch


_WHOLE_WORDS = re.compile(r"iSCSI|HITs|PartiQL|OAuth2(?!TokenWithTokenExchange)|WhatsApp|OTel")
_PLURAL_ACRONYM = re.compile("[A-Z]{2,}s$")
_FIRST_CAP = re.compile("(.)([A-Z][a-z]+)")
_END_CAP = re.compile("([a-z0-9])([A-Z])")


def method_name(operation: str) -> str:
    """botocore's Python name of an operation: `SendMessage` is `send_message`."""
    if "_" in operation:
        return operation
    name = _WHOLE_WORDS.sub(lambda word: word[0].capitalize(), operation)
    plural = _PLURAL_ACRONYM.search(name)
    if plural is not None:
        name = f"{name[: plural.start()]}_{plural[0].lower()}"
    return _END_CAP.sub(r"\1_\2", _FIRST_CAP.sub(r"\1_\2", name)).lower()


@cache
def _data_directory() -> Path:
    spec = importlib.util.find_spec("botocore")
    assert spec is not None, "botocore is needed for its models"
    assert spec.origin is not None, "botocore must be a folder of files"
    return Path(spec.origin).parent / "data"


@cache
def available() -> tuple[str, ...]:
    """The names of all services that have a model."""
    folders = _data_directory().iterdir()
    return tuple(sorted(f.name for f in folders if any(f.glob("*/service-2.json*"))))


@cache
def load(name: str) -> Service:
    """The newest model of the service called `name` in botocore's data; KeyError where none is."""
    files = (_data_directory() / name).glob("*/service-2.json*") if name.isprintable() else ()
    newest = max(files, default=None, key=lambda file: file.parent.name)
    if newest is None or "/" in name or name.startswith("."):
        raise KeyError(name)
    content = newest.read_bytes()
    if newest.suffix == ".gz":
        content = gzip.decompress(content)
    supplement: dict[str, Any] = {}
    for file, key in (
        (newest.parent / "service-2.sdk-extras.json", "merge"),
        (SUPPLEMENTS / f"{name}.json", None),
    ):
        if file.exists():
            extra = msgspec.json.decode(file.read_bytes())
            supplement = _deep_merge(supplement, {"all": extra[key]} if key else extra)
    return Service(name, content, supplement)
