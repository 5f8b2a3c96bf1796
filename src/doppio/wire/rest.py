"""Which operation a REST request means, and the parts of it outside the body.

Operations of one path are told apart by query parameters (`?uploads`, `?list-type=2`), by
parameters that their input requires (`uploadId`), and in two cases by a header (CopyObject). Of
all that fit, the one that asks for most wins.

Paths are split as they were sent and decoded afterwards: `%2F`, dot segments and double slashes in
an S3 key survive.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from urllib.parse import unquote

from doppio.wire.errors import AwsError
from doppio.wire.model import Operation, Service
from doppio.wire.query import parse_form

Query = dict[str, list[str]]
_NO_QUERY: Query = {}


class InvalidUri(AwsError):
    """A path or query string that does not decode."""

    code = "InvalidURI"
    text = "Couldn't parse the specified URI."


def parse_query(query: str) -> Query:
    """A query string's values by name."""
    out: Query = {}
    if query:
        try:
            for key, value in parse_form(query):
                out.setdefault(key, []).append(value)
        except ValueError as error:
            raise InvalidUri from error
    return out


class _Candidate:
    """One operation of a path with what tells it from the others."""

    __slots__ = ("headers", "labels", "literals", "operation", "present", "rank", "strict")

    def __init__(
        self,
        operation: Operation,
        labels: tuple[str, ...],
        literals: tuple[tuple[str, str], ...],
        present: tuple[str, ...],
        headers: frozenset[str],
    ) -> None:
        self.operation = operation
        self.labels = labels
        self.literals = literals
        self.present = present
        self.headers = headers
        self.strict = operation.service.name == "s3"
        self.rank = (len(literals), len(headers), len(present), not operation.deprecated)


class _Leaf:
    """The operations of one path, those that ask for most first.

    `plain` are those that ask for no query parameter: all that matters where none was sent.
    """

    __slots__ = ("all", "plain")

    def __init__(self) -> None:
        self.all: list[_Candidate] = []
        self.plain: list[_Candidate] = []

    def add(self, candidate: _Candidate) -> None:
        self.all.append(candidate)
        self.all.sort(key=lambda one: one.rank, reverse=True)
        self.plain = [one for one in self.all if not one.literals and not one.present]

    def choose(
        self, query: Mapping[str, Sequence[str]], headers: Mapping[str, str]
    ) -> _Candidate | None:
        if not query:
            for candidate in self.plain:
                if not candidate.headers or headers.keys() >= candidate.headers:
                    return candidate
        for candidate in self.all if query else ():
            for name, value in candidate.literals:
                if name not in query or (value and value not in query[name]):
                    break
            else:
                for name in candidate.present:
                    if name not in query:
                        break
                else:
                    if headers.keys() >= candidate.headers:
                        return candidate
        # A required parameter that is missing is the validator's matter, so the operation that
        # asks for least takes what is left. S3 has parameters instead of paths: there nothing is
        # left over.
        for candidate in reversed(self.all):
            if not candidate.strict and all(name in query for name, _ in candidate.literals):
                return candidate
        return None


class _Node:
    """One segment of the paths of a method."""

    __slots__ = ("greedy", "here", "label", "literal")

    def __init__(self) -> None:
        self.literal: dict[str, _Node] = {}
        self.label: _Node | None = None
        self.greedy: dict[tuple[str, ...], _Leaf] = {}
        self.here: _Leaf | None = None


_LABEL = re.compile(r"\{([^}+]+)(\+?)\}")


class Router:
    """The paths of one service."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._roots: dict[str, _Node] = {}
        self._places: dict[str, tuple[_Leaf, _Candidate]] = {}
        for operation in service.operations.values():
            self._add(operation)
        for root in self._roots.values():
            _sort(root)
        # Where all paths of a method are `/{One}/{Rest+}` (S3's objects), what they mean.
        self._two = {
            method: leaf
            for method, root in self._roots.items()
            if not root.literal and root.label is not None and not root.label.literal
            for tail, leaf in root.label.greedy.items()
            if not tail and len(root.label.greedy) == 1
        }

    def _add(self, operation: Operation) -> None:
        path, _, query = operation.http_uri.partition("?")
        literals = tuple((key, value) for key, value in parse_form(query) if key != "x-id")
        literal_names = {key for key, _ in literals}
        required = _required(operation, "querystring")
        present = tuple(name for name in required if name not in literal_names)
        headers = frozenset(_DISTINCT_HEADERS.get((self._service.name, operation.name), ()))
        node = self._roots.setdefault(operation.http_method, _Node())
        labels: list[str] = []
        segments = path.strip("/").split("/") if path.strip("/") else []
        for at, segment in enumerate(segments):
            found = _LABEL.fullmatch(segment)
            if found is None:
                node = node.literal.setdefault(segment, _Node())
                continue
            labels.append(found[1])
            if found[2]:
                tail = tuple(segments[at + 1 :])
                candidate = _Candidate(operation, tuple(labels), literals, present, headers)
                leaf = node.greedy.setdefault(tail, _Leaf())
                leaf.add(candidate)
                self._places[operation.name] = leaf, candidate
                return
            if node.label is None:
                node.label = _Node()
            node = node.label
        if node.here is None:
            node.here = _Leaf()
        candidate = _Candidate(operation, tuple(labels), literals, present, headers)
        node.here.add(candidate)
        self._places[operation.name] = node.here, candidate

    def answering(self, operation: Operation) -> Operation:
        """The operation to which requests of this one's form go.

        Nearly always itself. Where AWS has given an operation a new name and left its binding as
        it was (S3's GetBucketLifecycle), no request tells one from the other: the newer one answers.
        """
        if not operation.deprecated:
            return operation
        leaf, own = self._places[operation.name]
        for other in leaf.all:
            if _form(other) == _form(own):
                return other.operation
        raise AssertionError(operation.name)

    def match(
        self,
        method: str,
        path: str,
        query: Mapping[str, Sequence[str]],
        headers: Mapping[str, str],
    ) -> tuple[Operation, dict[str, str]] | None:
        """The operation and its labels by wire name, decoded; None where no operation fits.

        `path` is as sent, `query` what `parse_query` made of the query string.
        """
        if not query and "%" not in path:
            leaf = self._two.get(method)
            if leaf is not None:
                first, _, rest = path[1:].partition("/")
                one = leaf.choose(_NO_QUERY, headers) if first and rest else None
                if one is not None:
                    one_label, rest_label = one.labels
                    return one.operation, {one_label: first, rest_label: rest}
        root = self._roots.get(method)
        if root is None:
            return None
        if "x-id" in query and len(query) == 1:
            query = _NO_QUERY
        segments = path[1:].split("/")
        while segments and not segments[-1] and len(segments) <= 2:
            # One trailing slash means nothing before a key begins: `/bucket/` is the bucket.
            segments.pop()
        found = _walk(root, segments, 0, (), query, headers)
        if found is None and segments and not segments[-1]:
            found = _walk(root, segments[:-1], 0, (), query, headers)
        if found is None:
            return None
        candidate, values = found
        if "%" in path:
            values = tuple(map(_unquoted, values))
        return candidate.operation, dict(zip(candidate.labels, values, strict=True))


def _walk(
    node: _Node,
    segments: list[str],
    at: int,
    values: tuple[str, ...],
    query: Mapping[str, Sequence[str]],
    headers: Mapping[str, str],
) -> tuple[_Candidate, tuple[str, ...]] | None:
    if at == len(segments):
        chosen = node.here.choose(query, headers) if node.here is not None else None
        return None if chosen is None else (chosen, values)
    segment = segments[at]
    inner = node.literal.get(segment)
    if inner is not None:
        found = _walk(inner, segments, at + 1, values, query, headers)
        if found is not None:
            return found
    if node.label is not None and segment:
        found = _walk(node.label, segments, at + 1, (*values, segment), query, headers)
        if found is not None:
            return found
    for tail, leaf in node.greedy.items():
        end = len(segments) - len(tail)
        if end > at and (not tail or tuple(segments[end:]) == tail):
            chosen = leaf.choose(query, headers)
            if chosen is not None:
                return chosen, (*values, "/".join(segments[at:end]))
    return None


def _form(one: _Candidate) -> tuple[frozenset[object], ...]:
    """What tells a candidate from the others of its path."""
    return frozenset(one.literals), frozenset(one.present), one.headers


def _sort(node: _Node) -> None:
    """Longer tails first, so that `{Name+}/versions` is tried before `{Name+}`."""
    for inner in node.literal.values():
        _sort(inner)
    if node.label is not None:
        _sort(node.label)
    node.greedy = dict(sorted(node.greedy.items(), key=lambda item: -len(item[0])))


def _unquoted(text: str) -> str:
    try:
        return unquote(text, errors="strict")
    except UnicodeDecodeError as error:
        raise InvalidUri from error


def _required(operation: Operation, location: str) -> list[str]:
    shape = operation.input
    if shape is None:
        return []
    references = shape.data.members
    return [
        references[name].location_name or name
        for name in shape.required
        if references[name].location == location
    ]


# Operations that differ from a sibling by a header alone.
_DISTINCT_HEADERS: dict[tuple[str, str], tuple[str, ...]] = {
    ("s3", "CopyObject"): ("x-amz-copy-source",),
    ("s3", "UploadPartCopy"): ("x-amz-copy-source",),
}


_routers: dict[Service, Router] = {}


def router(service: Service) -> Router:
    """The compiled routes of a service, made once."""
    made = _routers.get(service)
    if made is None:
        made = _routers[service] = Router(service)
    return made
