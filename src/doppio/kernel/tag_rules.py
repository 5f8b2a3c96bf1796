"""Tag policies that are enforced: which tags a call may give to which types of resource.

AWS Organizations promises that a tag whose key a tag policy knows has the key's letters and one of
its values, on the types of resource for which the policy is enforced; what has no such tag is let
be. Organizations writes an account's rules in the commit that changes them. All are kept in memory,
there being few, and read again by the first call after their topic has rung: a cloud without any
spends one look at a flag on each call.

Source: "Tag policy syntax" and "Enforce tagging consistency" in the user guide.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from doppio.kernel.policy.match import wildcard
from doppio.kernel.records import record
from doppio.kernel.regions import HOMES
from doppio.wire.errors import AwsError

if TYPE_CHECKING:
    from doppio.kernel.context import Context, Tx
    from doppio.kernel.service import Need

TOPIC = "tag-rules"
ACCOUNTS_MAX = 100_000
_PLACE = re.compile(r"\$\{[^}]*\}")
_LISTS = ("Tags", "tags", "TagList", "TagSet")
_ALL = frozenset({"*", "all_supported"})


class TagPolicyViolation(AwsError):
    """A tag that the account's tag policy does not allow."""

    code = "TagPolicyException"


class TagRule(msgspec.Struct, frozen=True, array_like=True):
    """One key as it is to be written, its values (None: any), and for which types that counts."""

    key: str
    values: tuple[str, ...] | None
    types: tuple[str, ...]


@record("kernel.tag_rules", key=("account",), partitioned=True)
class TagRules(msgspec.Struct, frozen=True, kw_only=True):
    """What is enforced of tags in an account."""

    account: str
    rules: tuple[TagRule, ...]


async def put_tag_rules(tx: Tx, account: str, rules: Sequence[TagRule]) -> None:
    """Say what is enforced in an account; counts from the commit on."""
    old = await tx.get(TagRules, account)
    if (() if old is None else old.rules) == tuple(rules):
        return
    if rules:
        tx.put(TagRules(account=account, rules=tuple(rules)))
    elif old is not None:
        tx.delete(old)
    tx.wake(TOPIC)


class TagKeeper:
    """Judges the tags that calls give. `wanted`: there may be something to judge by."""

    def __init__(self) -> None:
        self.wanted = True
        self._changes = 1
        self._read = 0
        self._rules: dict[tuple[str, str], tuple[TagRule, ...]] = {}

    def heard(self, topic: str) -> None:
        """Some account's rules have changed."""
        self._changes += 1
        self.wanted = True

    async def check(
        self, ctx: Context, operation: str, req: Mapping[str, Any], needs: Sequence[Need]
    ) -> None:
        """Raise TagPolicyViolation for a tag that the account's rules forbid."""
        if self._read != self._changes:
            await self._load(ctx)
        rules = self._rules.get((ctx.partition, ctx.account))
        given = tags_in(req) if rules else {}
        if not rules or not given:
            return
        types = _types(ctx.service, operation, needs)
        for rule in rules:
            for key, value in given.items():
                if key.lower() == rule.key.lower() and _concerns(rule, types):
                    _judge(rule, key, value)

    async def _load(self, ctx: Context) -> None:
        # What changes while it is being read is read again by the next call.
        changes = self._changes
        found: dict[tuple[str, str], tuple[TagRule, ...]] = {}
        for partition, home in HOMES.items():
            there = ctx.derive(ctx.caller, region=home).read()
            rows = await there.list(TagRules, limit=ACCOUNTS_MAX)
            found |= {(partition, row.account): row.rules for row in rows}
        self._rules = found
        self._read = changes
        self.wanted = bool(found) or changes != self._changes


def _judge(rule: TagRule, key: str, value: str) -> None:
    allowed = rule.values is None or any(wildcard(one)(value) for one in rule.values)
    if key != rule.key or not allowed:
        raise TagPolicyViolation(
            f"The tag policy does not allow the specified value for the following tag key: '{key}'."
        )


def tags_in(req: Mapping[str, Any]) -> dict[str, str]:
    """The tags that a request gives, in whichever of AWS's shapes."""
    found: dict[str, str] = {}
    for part in (req, req.get("Tagging"), req.get("CreateBucketConfiguration")):
        if not isinstance(part, Mapping):
            continue
        for name in _LISTS:
            given = part.get(name)
            if isinstance(given, Mapping):
                found.update(given)
            elif isinstance(given, list):
                found.update(_pairs(given))
    return found


def _pairs(given: Sequence[Any]) -> dict[str, str]:
    found = {}
    for tag in given:
        if isinstance(tag, Mapping):
            key = tag.get("Key", tag.get("TagKey", tag.get("key")))
            value = tag.get("Value", tag.get("TagValue", tag.get("value", "")))
            if isinstance(key, str) and isinstance(value, str):
                found[key] = value
    return found


def _types(service: str, operation: str, needs: Sequence[Need]) -> frozenset[str]:
    """The types of resource that a call may tag, as `service:type` in small letters."""
    # Only who has tag rules pays for it.
    from doppio.kernel.policy.reference import known_action, prefixes

    asked = [(need.action, need.resource) for need in needs] or [(f"{service}:{operation}", "*")]
    found: set[str] = set()
    for action, arn in asked:
        prefix = action.partition(":")[0].lower()
        known = known_action(action)
        if known is None or not known.types:
            known = known_action(f"{prefix}:TagResource")
        if known is None:
            continue
        templates = prefixes()[prefix].types
        exact = [one for one in known.types if _is_of(templates.get(one, ""), arn)]
        found |= {f"{prefix}:{one}".lower() for one in exact or known.types}
    return frozenset(found)


def _is_of(template: str, arn: str) -> bool:
    return arn != "*" and bool(template) and wildcard(_PLACE.sub("*", template))(arn)


def _concerns(rule: TagRule, types: frozenset[str]) -> bool:
    """Whether a rule is enforced for one of some types; `rule-on-x` is a `rule`."""
    for wanted in rule.types:
        prefix, _, name = wanted.lower().partition(":")
        for one in types:
            at, _, kind = one.partition(":")
            if at == prefix and (name in _ALL or kind == name or kind.startswith(f"{name}-")):
                return True
    return False
