"""The query protocol: a form comes in, XML goes out (IAM, STS, SNS, SQS and their generation).

`Tags.member.1.Key=a` is read by splitting names at their dots into a tree, which one closure per
shape then turns into values. `ec2` is the same with other names.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import unquote

from doppio.wire import faults, scalars, xml_
from doppio.wire.compression import inflated
from doppio.wire.errors import AwsError, SerializationError
from doppio.wire.http import Request, Response
from doppio.wire.model import Member, Operation, Service, Shape

DOTS_MAX = 64
PAIRS_MAX = 100_000

Tree = dict[str, Any]
ReadTree = Callable[[Any], Any]


def parse_form(text: str) -> list[tuple[str, str]]:
    """The pairs of a form or query string, decoded; ValueError where it is not UTF-8."""
    pairs = []
    for part in text.split("&"):
        if not part:
            continue
        if "+" in part:
            part = part.replace("+", " ")
        key, _, value = part.partition("=")
        if "%" in key:
            key = unquote(key, errors="strict")
        if "%" in value:
            value = unquote(value, errors="strict")
        pairs.append((key, value))
    if len(pairs) > PAIRS_MAX:
        raise ValueError("too many parameters")
    return pairs


def grow(pairs: list[tuple[str, str]]) -> Tree:
    """`a.b.1=x` becomes `{"a": {"b": {"1": "x"}}}`."""
    root: Tree = {}
    for key, value in pairs:
        if "." not in key:
            if not isinstance(root.get(key), dict):
                root[key] = value
            continue
        *branches, leaf = key.split(".")
        if len(branches) > DOTS_MAX:
            raise ValueError(f"parameter name too deep: {key[:100]}")
        node = root
        for branch in branches:
            inner = node.get(branch)
            if not isinstance(inner, dict):
                inner = node[branch] = {}
            node = inner
        if not isinstance(node.get(leaf), dict):
            node[leaf] = value
    return root


class TreeReader:
    """The closures that read a service's parameters. Subclassed where names differ."""

    def __init__(self) -> None:
        self._structures: dict[str, ReadTree] = {}

    def names(self, member: Member) -> list[str]:
        """The names that a structure's member may have on the wire."""
        own = member.wire_name or member.name
        inner = member.shape.member.wire_name if member.shape.type == "list" else None
        if inner is None or not member.flattened:
            return [own]
        return [inner, own] if member.shape.data.flattened else [own, inner]

    def flattened(self, member: Member) -> bool:
        return member.flattened

    def read(self, member: Member) -> ReadTree:
        kind = member.shape.type
        if kind == "structure":
            return self.structure(member.shape)
        if kind == "list":
            return self._list(member)
        if kind == "map":
            return self._map(member)
        convert = scalars.reader(member)

        def scalar(node: Any) -> Any:
            if isinstance(node, str):
                return convert(node)
            raise ValueError("a single value was expected")

        return scalar

    def structure(self, shape: Shape) -> ReadTree:
        known = self._structures.get(shape.name)
        if known is not None:
            return known
        table: dict[str, tuple[str, ReadTree]] | None = None

        def read(node: Any) -> dict[str, Any]:
            nonlocal table
            if table is None:
                table = {
                    wire: (member.name, self.read(member))
                    for member in shape.members.values()
                    for wire in reversed(self.names(member))
                }
            if isinstance(node, str):
                return {}
            out: dict[str, Any] = {}
            for key, inner in node.items():
                entry = table.get(key)
                if entry is not None:
                    out[entry[0]] = entry[1](inner)
            return out

        self._structures[shape.name] = read
        return read

    def _list(self, member: Member) -> ReadTree:
        element = member.shape.member
        inner = self.read(element)
        step = None if self.flattened(member) else element.wire_name or "member"

        def read(node: Any) -> list[Any]:
            if isinstance(node, dict) and step is not None:
                node = node.get(step, node.get("member", ""))
            return [inner(item) for item in numbered(node)]

        return read

    def _map(self, member: Member) -> ReadTree:
        shape = member.shape
        key_name = shape.key.wire_name or "key"
        value_name = shape.value.wire_name or "value"
        read_key, read_value = self.read(shape.key), self.read(shape.value)
        step = None if self.flattened(member) else "entry"

        def read(node: Any) -> dict[Any, Any]:
            if isinstance(node, dict) and step is not None:
                node = node.get(step, "")
            out: dict[Any, Any] = {}
            for entry in numbered(node):
                if not isinstance(entry, dict) or key_name not in entry:
                    raise ValueError("a map entry needs a key")
                out[read_key(entry[key_name])] = read_value(entry.get(value_name, ""))
            return out

        return read


def numbered(node: Any) -> list[Any]:
    """The values of `{"1": a, "2": b}` in the order of their numbers; `Name=` is an empty list."""
    if isinstance(node, str):
        if node:
            raise ValueError("a list was expected")
        return []
    order = sorted((int(key), key) for key in node if key.isdecimal() and len(key) < 10)
    if len(order) != len(node):
        raise ValueError("list indexes must be numbers")
    return [node[key] for _, key in order]


class QueryCodec:
    """The query protocol of one service."""

    protocol = "query"
    content_type = "text/xml"
    timestamp_format = "iso8601"
    make_reader: type[TreeReader] = TreeReader

    def __init__(self, service: Service) -> None:
        self.service = service.query_view
        self._reader = self.make_reader()
        self._writer = xml_.XmlWriter(self.timestamp_format)
        self._decoders: dict[str, ReadTree] = {}
        self._encoders: dict[str, Callable[[Mapping[str, Any], str], bytes]] = {}

    def decode(
        self, op: Operation, request: Request, uri_params: Mapping[str, str]
    ) -> dict[str, Any]:
        """The parameters of a form in the body, the query string or both."""
        read = self._decoders.get(op.name)
        if read is None:
            shape = self.service.operations[op.name].input
            read = self._reader.structure(shape) if shape is not None else lambda node: {}
            self._decoders[op.name] = read
        try:
            body = inflated(request) if op.compressible else request.body.whole or b""
            text = body.decode("utf-8").strip()
            if request.query:
                text = f"{request.query}&{text}"
            out: dict[str, Any] = read(grow(parse_form(text)))
        except (ValueError, RecursionError) as error:
            raise SerializationError(str(error)) from error
        return out

    def encode(self, op: Operation, result: Mapping[str, Any], request_id: str) -> Response:
        write = self._encoders.get(op.name)
        if write is None:
            own = self.service.operations[op.name]
            write = self._encoders[op.name] = self._compile(own)
        headers = faults.request_headers(self.service, self.content_type, request_id)
        return Response(200, headers, write(result, request_id))

    def _compile(self, op: Operation) -> Callable[[Mapping[str, Any], str], bytes]:
        namespace = self.service.xml_namespace
        attribute = f' xmlns="{xml_.escape(namespace)}"' if namespace else ""
        head = f"<{op.name}Response{attribute}>"
        tail = f"</RequestId></ResponseMetadata></{op.name}Response>"
        content = None
        if op.output is not None:
            wrapper = op.result_wrapper
            content = self._writer.structure(op.output)
            head += f"<{wrapper}>"
            tail = f"</RequestId></ResponseMetadata></{op.name}Response>"
            middle = f"</{wrapper}><ResponseMetadata><RequestId>"
        else:
            middle = "<ResponseMetadata><RequestId>"

        def encode(result: Mapping[str, Any], request_id: str) -> bytes:
            pieces = [head]
            if content is not None:
                content(pieces.append, result)
            pieces += (middle, request_id, tail)
            return "".join(pieces).encode()

        return encode

    def encode_error(self, op: Operation | None, error: AwsError, request_id: str) -> Response:
        fault = faults.resolve(self.service, op, error, self.protocol)
        headers = faults.error_headers(self.service, self.content_type, request_id, error)
        body = self._error_body(fault, request_id)
        return Response(fault.status, headers, body.encode())

    def _error_body(self, fault: faults.Fault, request_id: str) -> str:
        namespace = self.service.xml_namespace
        attribute = f' xmlns="{xml_.escape(namespace)}"' if namespace else ""
        return (
            f"<ErrorResponse{attribute}><Error><Type>{fault.side}</Type>"
            f"{error_content(self._writer, fault)}</Error>"
            f"<RequestId>{request_id}</RequestId></ErrorResponse>"
        )


def error_content(writer: xml_.XmlWriter, fault: faults.Fault) -> str:
    """Code, message and the error's own members, as elements."""
    pieces = [f"<Code>{xml_.escape(fault.code)}</Code>"]
    if fault.message:
        pieces.append(f"<Message>{xml_.escape(fault.message)}</Message>")
    members = {k: v for k, v in fault.members.items() if k not in ("Code", "message", "Message")}
    if fault.shape is None:
        pieces += [f"<{k}>{xml_.escape(v)}</{k}>" for k, v in faults.text_members(members)]
    else:
        writer.structure(fault.shape)(pieces.append, members)
    return "".join(pieces)
