"""XML, both ways.

Writing: for each structure one Python function is generated when it is first written. It appends
the pieces of its content to a list; the caller owns the element around it, so that attributes and
namespaces are known where the tag opens.

Reading: the tree is the C parser's; one closure per shape turns elements into values. There are no
entities and no document types here: a body that declares one is refused before it is parsed.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any
from xml.etree.ElementTree import Element, ParseError, XMLParser

from doppio.wire import scalars
from doppio.wire.model import INPUT_OUTSIDE, OUTSIDE, Member, Namespace, Shape

Append = Callable[[str], None]
Write = Callable[[Append, Any], None]
ReadElement = Callable[[Element], Any]


_needs_escape = re.compile('[&<>"\r\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]').search
_escapes = {"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "\r": "&#13;"}
_escape_one = re.compile('[&<>"\r\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]').sub


def escape(text: str) -> str:
    """Text inside an element. Characters that XML cannot hold become references, as in S3."""
    if _needs_escape(text) is None:
        return text
    return _escape_one(lambda found: _escapes.get(found[0]) or f"&#x{ord(found[0]):x};", text)


def _namespace(given: Namespace | None) -> str:
    if given is None:
        return ""
    name = f"xmlns:{given.prefix}" if given.prefix else "xmlns"
    return f' {name}="{escape(given.uri)}"'


class Written(Sequence[Mapping[str, Any]]):
    """A flattened list of structures that writes its own elements.

    For lists of thousands, where a call and a structure for each item are too much. To everybody
    else it is the list that it writes.
    """

    def elements(self) -> str:
        """All of it, with the elements around the items."""
        raise NotImplementedError

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and list(self) == list(other)

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return repr(list(self))


class XmlWriter:
    """The generated functions of one service and protocol.

    `rename` is the protocol's rule for an element's name: (member, name in the model) → name.
    """

    def __init__(self, timestamp_format: str) -> None:
        self._timestamp_format = timestamp_format
        self._space: dict[str, Any] = {"S": _needs_escape, "E": escape, "L": Written}
        self._names: dict[str, str] = {}

    def structure(self, shape: Shape) -> Write:
        """Writes the content of a structure: everything inside its element."""
        name = self._structure(shape)
        space = self._space

        def write(append: Append, value: Any) -> None:
            space[name](append, value)

        return write

    def attributes(self, shape: Shape) -> Callable[[Any], str] | None:
        """The attributes of a structure's own element, where it has any."""
        has = any(member.xml_attribute for member in shape.members.values())
        return _attributes(shape) if has else None

    def element(self, member: Member, name: str) -> Write:
        """Writes a whole element."""
        lines = self._member_lines(member, name, "x", 1)
        key = f"m{len(self._names)}"
        self._names[key] = key
        return self._define(key, ["def " + key + "(w, x):", *lines])

    def _define(self, name: str, lines: list[str]) -> Write:
        # The source holds the model's names (quoted by repr), and nothing of a request.
        exec(compile("\n".join(lines), f"<xml {name}>", "exec"), self._space)  # noqa: S102
        written: Write = self._space[name]
        return written

    def _constant(self, value: Any) -> str:
        name = f"c{len(self._space)}"
        self._space[name] = value
        return name

    def _structure(self, shape: Shape) -> str:
        """The global name of a structure's function, which is generated when first called."""
        name = self._names.get(shape.name)
        if name is None:
            name = self._names[shape.name] = f"s{len(self._names)}"

            def first(append: Append, value: Any) -> None:
                self._generate(name, shape)(append, value)

            self._space[name] = first
        return name

    def _generate(self, name: str, shape: Shape) -> Write:
        lines = [f"def {name}(w, v):", " g = v.get"]
        for member in shape.members.values():
            if member.location in OUTSIDE or member.xml_attribute or member.event_header:
                continue
            lines.append(f" x = g({member.name!r})")
            lines.append(" if x is not None:")
            lines += self._member_lines(member, member_element(member), "x", 2)
        return self._define(name, lines)

    def _member_lines(self, member: Member, name: str, value: str, depth: int) -> list[str]:
        pad = " " * depth
        kind = member.shape.type
        attributes = _namespace(member.namespace)
        if kind == "structure":
            inner = self._structure(member.shape)
            opening = repr(f"<{name}{attributes}>")
            if any(m.xml_attribute for m in member.shape.members.values()):
                extra = self._constant(_attributes(member.shape))
                opening = f"{f'<{name}{attributes}'!r} + {extra}({value}) + '>'"
            return [
                f"{pad}w({opening})",
                f"{pad}{inner}(w, {value})",
                f"{pad}w({f'</{name}>'!r})",
            ]
        if kind == "list":
            return self._list_lines(member, name, attributes, value, depth)
        if kind == "map":
            return self._map_lines(member, name, attributes, value, depth)
        return [f"{pad}w({self._scalar(member, name, attributes, value)})"]

    def _list_lines(
        self, member: Member, name: str, attributes: str, value: str, depth: int
    ) -> list[str]:
        pad = " " * depth
        item = f"i{depth}"
        element = member.shape.member
        if member.flattened:
            inner = self._member_lines(element, name, item, depth + 2)
            return [
                f"{pad}if isinstance({value}, L): w({value}.elements())",
                f"{pad}else:",
                f"{pad} for {item} in {value}:",
                f"{pad}  if {item} is None: continue",
                *inner,
            ]
        inner = self._member_lines(element, element.wire_name or "member", item, depth + 1)
        return [
            f"{pad}w({f'<{name}{attributes}>'!r})",
            f"{pad}for {item} in {value}:",
            f"{pad} if {item} is None: continue",
            *inner,
            f"{pad}w({f'</{name}>'!r})",
        ]

    def _map_lines(
        self, member: Member, name: str, attributes: str, value: str, depth: int
    ) -> list[str]:
        pad = " " * depth
        key, item = f"k{depth}", f"i{depth}"
        shape = member.shape
        entry = name if member.flattened else "entry"
        inner = [
            f"{pad}for {key}, {item} in {value}.items():",
            f"{pad} if {item} is None: continue",
            f"{pad} w({f'<{entry}>'!r})",
            *self._member_lines(shape.key, shape.key.wire_name or "key", key, depth + 1),
            *self._member_lines(shape.value, shape.value.wire_name or "value", item, depth + 1),
            f"{pad} w({f'</{entry}>'!r})",
        ]
        if member.flattened:
            return inner
        return [f"{pad}w({f'<{name}{attributes}>'!r})", *inner, f"{pad}w({f'</{name}>'!r})"]

    def _scalar(self, member: Member, name: str, attributes: str, value: str) -> str:
        opening, closing = f"<{name}{attributes}>", f"</{name}>"
        kind = member.shape.type
        if kind in ("string", "character"):
            return f"{opening!r} + (E({value}) if S({value}) else {value}) + {closing!r}"
        if kind in ("integer", "long", "biginteger"):
            return f"f'{opening}{{{value}:d}}{closing}'"
        if kind == "boolean":
            true, false = f"{opening}true{closing}", f"{opening}false{closing}"
            return f"{true!r} if {value} else {false!r}"
        show = self._constant(scalars.shower(member, self._timestamp_format))
        return f"{opening!r} + {show}({value}) + {closing!r}"


def member_element(member: Member) -> str:
    """The name of a member's element. In lists flat by themselves, the item's name wins."""
    if member.shape.type == "list" and member.shape.data.flattened:
        inner = member.shape.member.wire_name
        if inner is not None:
            return inner
    return member.wire_name or member.name


def _attributes(shape: Shape) -> Callable[[Any], str]:
    members = [
        (m.name, m.wire_name or m.name, scalars.shower(m, "iso8601"))
        for m in shape.members.values()
        if m.xml_attribute
    ]

    def show(value: Any) -> str:
        return "".join(
            f' {wire}="{escape(text(value[name]))}"'
            for name, wire, text in members
            if value.get(name) is not None
        )

    return show


def parse(content: bytes) -> Element:
    """The root of a document; ValueError where it is not well-formed or declares a type."""
    if b"<!DOCTYPE" in content or b"\0" in content:
        raise ValueError("document types are not accepted")
    # No document type passes the line above, so there is nothing to expand.
    parser = XMLParser(encoding="utf-8")  # noqa: S314
    try:
        parser.feed(content)
        root: Element = parser.close()
    except (ParseError, LookupError) as error:
        raise ValueError(str(error)) from error
    return root


def local_name(tag: str) -> str:
    """`{namespace}name` without its namespace."""
    return tag.rpartition("}")[2] if tag[:1] == "{" else tag


class XmlReader:
    """The closures that read the elements of one service."""

    def __init__(self) -> None:
        self._structures: dict[str, ReadElement] = {}

    def element(self, member: Member) -> ReadElement:
        """Reads the content of an element."""
        kind = member.shape.type
        if kind == "structure":
            return self.structure(member.shape)
        if kind == "list":
            return self._list(member)
        if kind == "map":
            return self._map(member)
        read = scalars.reader(member)
        if kind == "string":
            return lambda node: node.text or ""
        return lambda node: read(node.text or "")

    def structure(self, shape: Shape) -> ReadElement:
        """Reads a structure's members; unknown elements are skipped."""
        known = self._structures.get(shape.name)
        if known is not None:
            return known
        table: dict[str, tuple[str, str, ReadElement]] | None = None

        def read(node: Element) -> dict[str, Any]:
            nonlocal table
            if table is None:
                table = self._table(shape)
            out: dict[str, Any] = {}
            for child in node:
                tag = child.tag
                entry = table.get(tag.rpartition("}")[2] if tag[0] == "{" else tag)
                if entry is None:
                    continue
                name, way, inner = entry
                if way == "one":
                    out[name] = inner(child)
                elif way == "item":
                    out.setdefault(name, []).append(inner(child))
                else:
                    out.setdefault(name, {}).update(inner(child))
            for name, inner_attribute in attributes:
                text = inner_attribute(node)
                if text is not None:
                    out[name] = text
            return out

        attributes = [(m.name, _attribute(m)) for m in shape.members.values() if m.xml_attribute]
        self._structures[shape.name] = read
        return read

    def _table(self, shape: Shape) -> dict[str, tuple[str, str, ReadElement]]:
        table: dict[str, tuple[str, str, ReadElement]] = {}
        for member in shape.members.values():
            if member.location in INPUT_OUTSIDE or member.xml_attribute:
                continue
            kind = member.shape.type
            if kind == "list" and member.flattened:
                entry = (member.name, "item", self.element(member.shape.member))
                table.setdefault(member_element(member), entry)
            elif kind == "map" and member.flattened:
                entry = (member.name, "pair", self._pair(member.shape))
            else:
                entry = (member.name, "one", self.element(member))
            table[member.wire_name or member.name] = entry
            if kind == "structure":
                # Clients disagree on whether a structure's own name counts for its members.
                table.setdefault(member.name, entry)
        return table

    def _list(self, member: Member) -> ReadElement:
        inner = self.element(member.shape.member)

        def read(node: Element) -> list[Any]:
            return [inner(child) for child in node]

        return read

    def _pair(self, shape: Shape) -> ReadElement:
        key_name = shape.key.wire_name or "key"
        value_name = shape.value.wire_name or "value"
        read_key, read_value = self.element(shape.key), self.element(shape.value)

        def read(node: Element) -> dict[Any, Any]:
            key: Any = None
            value: Any = None
            for child in node:
                name = local_name(child.tag)
                if name == key_name:
                    key = read_key(child)
                elif name == value_name:
                    value = read_value(child)
            if key is None or value is None:
                raise ValueError("a map entry needs a key and a value")
            return {key: value}

        return read

    def _map(self, member: Member) -> ReadElement:
        pair = self._pair(member.shape)

        def read(node: Element) -> dict[Any, Any]:
            out: dict[Any, Any] = {}
            for child in node:
                out.update(pair(child))
            return out

        return read


def _attribute(member: Member) -> ReadElement:
    local = (member.wire_name or member.name).rpartition(":")[2]
    read = scalars.reader(member)

    def attribute(node: Element) -> Any:
        for name, text in node.items():
            if local_name(name) == local:
                return read(text)
        return None

    return attribute
