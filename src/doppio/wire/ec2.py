"""The protocol of EC2: the query protocol with names of its own.

Lists are always flat, a member's first letter is a capital on the way in, and answers have no
result wrapper.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from doppio.wire import faults, xml_
from doppio.wire.model import Member, Operation
from doppio.wire.query import QueryCodec, TreeReader, error_content

_DECLARATION = '<?xml version="1.0" encoding="UTF-8"?>\n'


class Ec2Reader(TreeReader):
    """EC2's names of parameters."""

    def names(self, member: Member) -> list[str]:
        if member.query_name:
            return [member.query_name]
        name = member.wire_name or member.name
        return [name[0].upper() + name[1:], member.name]

    def flattened(self, member: Member) -> bool:
        return True


class Ec2Codec(QueryCodec):
    """EC2's protocol."""

    protocol = "ec2"
    content_type = "text/xml;charset=UTF-8"
    timestamp_format = "iso8601-millis"
    make_reader = Ec2Reader

    def _compile(self, op: Operation) -> Callable[[Mapping[str, Any], str], bytes]:
        namespace = self.service.xml_namespace
        attribute = f' xmlns="{xml_.escape(namespace)}"' if namespace else ""
        head = f"{_DECLARATION}<{op.name}Response{attribute}><requestId>"
        tail = f"</{op.name}Response>"
        content = self._writer.structure(op.output) if op.output is not None else None

        def encode(result: Mapping[str, Any], request_id: str) -> bytes:
            pieces = [head, request_id, "</requestId>"]
            if content is not None:
                content(pieces.append, result)
            pieces.append(tail)
            return "".join(pieces).encode()

        return encode

    def _error_body(self, fault: faults.Fault, request_id: str) -> str:
        return (
            f"{_DECLARATION}<Response><Errors><Error>{error_content(self._writer, fault)}</Error>"
            f"</Errors><RequestID>{request_id}</RequestID></Response>"
        )
