"""Inputs against the model: required members, lengths, ranges, enums and patterns.

Two programs come from one model. The first is generated code that only says yes or no, and costs
about a microsecond. The second walks the input again when the first said no, and finds AWS's words
for everything that is wrong: `1 validation error detected: Value null at 'queueUrl' failed to
satisfy constraint: Member must not be null`.

Not every service enforces its whole model, and the older ones have their own words: `POLICIES`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

from doppio.wire.errors import AwsError, ValidationError
from doppio.wire.model import Member, Operation, Service, Shape
from doppio.wire.patterns import matcher

Check = Callable[[Mapping[str, Any]], None]

ERRORS_MAX = 10
_SHOWN_CHARS_MAX = 1024


class MissingParameter(AwsError):
    """A required parameter is not there (the words of SQS, EC2 and their time)."""

    code = "MissingParameter"


class InvalidParameter(AwsError):
    """SNS's word for an input that the model forbids."""

    code = "InvalidParameter"


class InvalidInput(AwsError):
    """Organizations' word for it, with a reason."""

    code = "InvalidInputException"


class MalformedXml(AwsError):
    """S3's word for a document that its schema forbids."""

    code = "MalformedXML"
    text = (
        "The XML you provided was not well-formed or did not validate against our published schema"
    )


class InvalidRequest(AwsError):
    """S3's word for a request without something that it needs."""

    code = "InvalidRequest"


class MissingRequestBody(AwsError):
    """S3's word for an empty body where a document belongs."""

    code = "MissingRequestBodyError"
    text = "Request body is empty."


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong. `path` is Coral's (`entries.1.member.id`); `value` None is null."""

    path: str
    member: Member
    value: Any
    constraint: str

    @property
    def missing(self) -> bool:
        return self.value is None

    def __str__(self) -> str:
        shown = "null" if self.value is None else f"'{_shown(self.value)}'"
        return f"Value {shown} at '{self.path}' failed to satisfy constraint: {self.constraint}"


Refuse = Callable[[Sequence[Problem]], AwsError]


def _coral(problems: Sequence[Problem]) -> AwsError:
    count = len(problems)
    plural = "s" if count > 1 else ""
    listed = "; ".join(map(str, problems))
    return ValidationError(f"{count} validation error{plural} detected: {listed}")


def _iam(problems: Sequence[Problem]) -> AwsError:
    first = problems[0]
    if len(problems) == 1 and first.constraint.endswith(r"pattern: [\w+=,.@-]+"):
        return ValidationError(
            f"The specified value for {first.path} is invalid. It must contain only alphanumeric "
            "characters and/or the following: +=,.@_-"
        )
    return _coral(problems)


def _sqs(problems: Sequence[Problem]) -> AwsError:
    parts = [part for part in problems[0].path.split(".") if part != "member"]
    parts[-1] = problems[0].member.name
    parts[0] = parts[0][:1].upper() + parts[0][1:]
    return MissingParameter(f"The request must contain the parameter {'.'.join(parts)}.")


def _ec2(problems: Sequence[Problem]) -> AwsError:
    member = problems[0].member
    wire = member.query_name or member.wire_name or member.name
    name = wire[0].upper() + wire[1:]
    return MissingParameter(f"The request must contain the parameter {name}")


def _sns(problems: Sequence[Problem]) -> AwsError:
    first = problems[0]
    reason = "no value for required parameter" if first.missing else first.constraint
    return InvalidParameter(f"Invalid parameter: {_original(first)} Reason: {reason}")


# By how the constraint begins: the reason, and AWS's words.
_REASONS = {
    "Member must satisfy enum": ("INVALID_ENUM", "You specified an invalid value."),
    "Member must satisfy regular": (
        "INVALID_PATTERN", "You provided a value that does not match the required pattern.",
    ),
    "Member must have length less": (
        "MAX_LENGTH_EXCEEDED", "You provided a value that is longer than the maximum length.",
    ),
    "Member must have length greater": (
        "MIN_LENGTH_EXCEEDED", "You provided a value that is shorter than the minimum length.",
    ),
    "Member must have value less": (
        "MAX_VALUE_EXCEEDED", "You provided a value that is larger than the maximum value.",
    ),
    "Member must have value greater": (
        "MIN_VALUE_EXCEEDED", "You provided a value that is smaller than the minimum value.",
    ),
}  # fmt: skip


def _organizations(problems: Sequence[Problem]) -> AwsError:
    first = problems[0]
    if first.missing:
        name = _original(first)
        return InvalidInput(f"You must provide a value for {name}.", Reason="INPUT_REQUIRED")
    for begins, (reason, text) in _REASONS.items():
        if first.constraint.startswith(begins):
            of_target = reason == "INVALID_PATTERN" and first.member.name == "TargetId"
            return InvalidInput(text, Reason=f"{reason}_TARGET_ID" if of_target else reason)
    return _coral(problems)


def _s3(problems: Sequence[Problem]) -> AwsError:
    first = problems[0]
    member = first.member
    if "." in first.path or not first.missing:
        return MalformedXml()
    if member.location == "header":
        return InvalidRequest(f"Missing required header for this request: {member.wire_name}")
    if member.location in ("querystring", "uri"):
        return InvalidRequest(f"Missing required parameter for this request: {member.wire_name}")
    return MissingRequestBody()


def _original(problem: Problem) -> str:
    """The member's own name with the path above it."""
    above = problem.path.rpartition(".")[0]
    return f"{above}.{problem.member.name}" if above else problem.member.name


@dataclass(frozen=True, slots=True)
class Policy:
    """What a service enforces and in which words. `nested` is whether enums count only inside
    structures; `open_enums` are the enums whose unknown values the service itself judges."""

    refuse: Refuse = _coral
    sizes: bool = True
    enums: bool = True
    patterns: bool = True
    nested: bool = False
    open_enums: frozenset[str] = frozenset()


POLICIES: dict[str, Policy] = {
    "sqs": Policy(_sqs, sizes=False, enums=False, patterns=False),
    "sns": Policy(_sns, sizes=False, enums=False, patterns=False),
    "ec2": Policy(_ec2, sizes=False, enums=False, patterns=False),
    "s3": Policy(
        _s3,
        sizes=False,
        patterns=False,
        nested=True,
        open_enums=frozenset({"BucketLocationConstraint", "Event", "StorageClass"}),
    ),
    "iam": Policy(_iam),
    "organizations": Policy(_organizations),
}
_DEFAULT = Policy()


def _shown(value: Any) -> str:
    """A value as Java prints it."""
    if isinstance(value, bool):
        text = "true" if value else "false"
    elif isinstance(value, Mapping):
        text = "{" + ", ".join(f"{key}={_shown(item)}" for key, item in value.items()) + "}"
    elif isinstance(value, (list, tuple)):
        text = "[" + ", ".join(map(_shown, value)) + "]"
    elif isinstance(value, (bytes, bytearray, memoryview)):
        text = f"java.nio.HeapByteBuffer[pos=0 lim={len(value)} cap={len(value)}]"
    else:
        text = str(value)
    return text if len(text) <= _SHOWN_CHARS_MAX else text[:_SHOWN_CHARS_MAX] + "..."


def _number(value: float) -> str:
    return str(int(value)) if value == int(value) else repr(value)


_FEW = 2
_SIZED = ("string", "list", "map", "blob")
_NUMBERS = ("integer", "long", "float", "double", "biginteger", "bigdecimal")


class _Rule:
    """One constraint of a shape: code that is true where it holds, and its words."""

    __slots__ = ("code", "holds", "text", "values")

    def __init__(
        self, code: str, text: str, holds: Callable[[Any], object], **values: object
    ) -> None:
        self.code = code
        self.text = text
        self.holds = holds
        self.values = values


def _rules(shape: Shape, policy: Policy, nested: bool) -> list[_Rule]:
    rules: list[_Rule] = []
    low, high = shape.min, shape.max
    if policy.sizes and shape.type in _SIZED:
        if high is not None:
            most = int(high)
            text = f"Member must have length less than or equal to {most}"
            rules.append(_Rule(f"len(x) <= {most}", text, lambda x: len(x) <= most))
        if low is not None and low > 0:
            least = int(low)
            text = f"Member must have length greater than or equal to {least}"
            rules.append(_Rule(f"len(x) >= {least}", text, lambda x: len(x) >= least))
    elif policy.sizes and shape.type in _NUMBERS:
        if high is not None:
            text = f"Member must have value less than or equal to {_number(high)}"
            rules.append(_Rule(f"x <= {_number(high)}", text, lambda x: x <= high))
        if low is not None:
            text = f"Member must have value greater than or equal to {_number(low)}"
            rules.append(_Rule(f"x >= {_number(low)}", text, lambda x: x >= low))
    judged = policy.enums and (nested or not policy.nested) and shape.name not in policy.open_enums
    if shape.enum and judged:
        known = frozenset(shape.enum)
        text = f"Member must satisfy enum value set: [{', '.join(shape.enum)}]"
        rules.append(_Rule("x in {values}", text, known.__contains__, values=known))
    if shape.pattern is not None and policy.patterns and shape.type == "string":
        match = matcher(shape.pattern)
        if match is not None:
            text = f"Member must satisfy regular expression pattern: {shape.pattern}"
            rules.append(_Rule("{match}(x)", text, match, match=match))
    return rules


class _Validators:
    """The generated checks of one service, shared by its operations."""

    def __init__(self, service: Service) -> None:
        self.policy = POLICIES.get(service.name, _DEFAULT)
        self._space: dict[str, Any] = {}
        self._names: dict[str, str] = {}
        self._checked: dict[str, bool] = {}
        self._rules: dict[tuple[str, bool], list[_Rule]] = {}

    def rules(self, shape: Shape, nested: bool) -> list[_Rule]:
        key = (shape.name, nested)
        known = self._rules.get(key)
        if known is None:
            known = self._rules[key] = _rules(shape, self.policy, nested)
        return known

    def has_checks(self, shape: Shape) -> bool:
        """Whether anything that the shape can hold may be wrong."""
        known = self._checked.get(shape.name)
        if known is None:
            known = self._checked[shape.name] = any(
                one.required or self.rules(one, nested=True) for one in _reachable(shape)
            )
        return known

    def function(self, shape: Shape, nested: bool = True) -> str:
        """The name of the function that says whether a structure is right."""
        key = shape.name if nested else f"{shape.name}!"
        name = self._names.get(key)
        if name is None:
            name = self._names[key] = f"s{len(self._names)}"

            def first(value: Any) -> Any:
                self._generate(name, shape, nested)
                return self._space[name](value)

            self._space[name] = first
        return name

    def check(self, shape: Shape) -> Check:
        """The check of an operation's input."""
        name, space = self.function(shape, nested=False), self._space

        def check(value: Mapping[str, Any]) -> None:
            if not space[name](value):
                raise self._refusal(shape, value)

        return check

    def _refusal(self, shape: Shape, value: Mapping[str, Any]) -> AwsError:
        problems = list(islice(self.problems(shape, value, "", nested=False), ERRORS_MAX))
        assert problems, f"{shape.name}: the two checks disagree"
        return self.policy.refuse(problems)

    def _generate(self, name: str, shape: Shape, nested: bool) -> None:
        lines = [f"def {name}(v):", " g = v.get"]
        required, optional = 0, list[str]()
        for member in shape.members.values():
            inner = [] if _opaque(member) else self._lines(member, 1, nested)
            if member.name in shape.required:
                required += 1
                lines += [f" x = g({member.name!r})", " if x is None: return False", *inner]
            elif inner:
                optional += [f" x = g({member.name!r})", " if x is not None:"]
                optional += [f" {line}" for line in inner]
        if optional and required:
            # Nothing but what is required, as often: there is nothing else to be looked at.
            lines.append(f" if len(v) == {required}: return True")
        lines += [*optional, " return True"]
        # The source holds the model's names (quoted by repr) and numbers, and nothing of a request.
        exec(compile("\n".join(lines), f"<validate {shape.name}>", "exec"), self._space)  # noqa: S102

    def _lines(self, member: Member, depth: int, nested: bool) -> list[str]:
        """Code that returns False where the variable x is wrong."""
        pad = " " * depth
        shape = member.shape
        lines = [
            f"{pad}if not ({self._code(rule)}): return False" for rule in self.rules(shape, nested)
        ]
        if shape.type == "structure" and not shape.document and self.has_checks(shape):
            given = self._given(shape)
            lines.append(f"{pad}if {given}not {self.function(shape)}(x): return False")
        elif shape.type == "list":
            inner = self._lines(shape.member, depth + 1, True)
            if inner:
                lines += [f"{pad}for x in x:", f"{pad} if x is None: continue", *inner]
        elif shape.type == "map":
            keys = self._lines(shape.key, depth + 1, True)
            inner = self._lines(shape.value, depth + 1, True)
            if keys and inner:
                lines += [f"{pad}m{depth} = x", f"{pad}for x in m{depth}:", *keys]
                lines += [f"{pad}for x in m{depth}.values():", f"{pad} if x is None: continue"]
                lines += inner
            elif keys:
                lines += [f"{pad}for x in x:", *keys]
            elif inner:
                lines += [f"{pad}for x in x.values():", f"{pad} if x is None: continue", *inner]
        return lines

    def _given(self, shape: Shape) -> str:
        """Code that is true where a structure x has members that may be wrong, if they are few: of
        DynamoDB's values those that hold others."""
        checked = [
            member.name
            for member in shape.members.values()
            if self.rules(member.shape, True) or self.has_checks(member.shape)
        ]
        if shape.required or len(checked) > _FEW:
            return ""
        return f"({' or '.join(f'{name!r} in x' for name in checked)}) and "

    def _code(self, rule: _Rule) -> str:
        code = rule.code
        for name, value in rule.values.items():
            constant = f"c{len(self._space)}"
            self._space[constant] = value
            code = code.replace("{" + name + "}", constant)
        return code

    def problems(
        self, shape: Shape, value: Mapping[str, Any], above: str, nested: bool
    ) -> Iterator[Problem]:
        """Everything that is wrong with a structure."""
        for member in shape.members.values():
            path = above + member.name[:1].lower() + member.name[1:]
            inner = value.get(member.name)
            if inner is not None:
                if not _opaque(member):
                    yield from self._inside(member, inner, path, nested)
            elif member.name in shape.required:
                yield Problem(path, member, None, "Member must not be null")

    def _inside(self, member: Member, value: Any, path: str, nested: bool) -> Iterator[Problem]:
        shape = member.shape
        for rule in self.rules(shape, nested):
            if not rule.holds(value):
                yield Problem(path, member, value, rule.text)
        if shape.type == "structure" and not shape.document:
            yield from self.problems(shape, value, f"{path}.", True)
        elif shape.type == "list":
            for index, item in enumerate(value, 1):
                yield from self._item(member, shape.member, value, item, f"{path}.{index}.member")
        elif shape.type == "map":
            yield from self._keys(member, shape, value, path)
            for key, item in value.items():
                inner = f"{path}.{key}.member"
                yield from self._item(member, shape.value, value, item, inner)

    def _keys(
        self, member: Member, shape: Shape, value: Mapping[str, Any], path: str
    ) -> Iterator[Problem]:
        rules = self.rules(shape.key.shape, True)
        if any(not rule.holds(key) for rule in rules for key in value):
            listed = ", ".join(rule.text for rule in rules)
            yield Problem(path, member, value, f"Map keys must satisfy constraint: [{listed}]")

    def _item(
        self, outer: Member, inner: Member, whole: Any, item: Any, path: str
    ) -> Iterator[Problem]:
        """A list's element or a map's value. Scalars are reported with the whole, as AWS does."""
        if item is None:
            return
        if inner.shape.type in ("structure", "list", "map"):
            yield from self._inside(inner, item, path, True)
            return
        rules = self.rules(inner.shape, True)
        if any(not rule.holds(item) for rule in rules):
            listed = ", ".join(rule.text for rule in rules)
            words = "Map value" if outer.shape.type == "map" else "Member"
            short = path.rsplit(".", 2)[0]
            yield Problem(short, outer, whole, f"{words} must satisfy constraint: [{listed}]")


def _opaque(member: Member) -> bool:
    """Members whose content is not here yet."""
    return member.streaming or member.shape.event_stream


def _reachable(shape: Shape) -> Iterator[Shape]:
    """The shape and all that it can hold, each once."""
    seen = {shape.name}
    todo = [shape]
    while todo:
        one = todo.pop()
        yield one
        inner: list[Member] = []
        if one.type == "structure":
            inner = list(one.members.values())
        elif one.type == "list":
            inner = [one.member]
        elif one.type == "map":
            inner = [one.key, one.value]
        for member in inner:
            if member.shape.name not in seen:
                seen.add(member.shape.name)
                todo.append(member.shape)


_made: dict[Service, _Validators] = {}


def _nothing(value: Mapping[str, Any]) -> None:
    """The check of an operation that cannot be called wrongly."""


def validator(op: Operation, service: Service) -> Check:
    """A check that raises AWS's error for an input that the model forbids."""
    shape = op.input
    if shape is None:
        return _nothing
    validators = _made.get(service)
    if validators is None:
        validators = _made[service] = _Validators(service)
    if not validators.has_checks(shape):
        return _nothing
    return validators.check(shape)
