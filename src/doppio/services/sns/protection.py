"""Message data protection: what is sensitive in a message is told, taken out, or keeps it back.

Source: "Data protection policies in Amazon SNS". An inbound statement looks at what a principal
publishes, an outbound one at what goes to the subscriptions that a principal made.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

from msgspec.structs import replace

from doppio.kernel.context import Context, Tx
from doppio.kernel.identity import Caller, principal_arn
from doppio.kernel.jobs import Job
from doppio.services.sns import limits
from doppio.services.sns.errors import AuthorizationError, InvalidParameter
from doppio.services.sns.lookup import existing_topic
from doppio.services.sns.records import Message, Subscription, Topic
from doppio.services.sns.sensitive import Finding, findings, known, without
from doppio.wire.errors import AwsError, NotImplementedByDoppio
from doppio.wire.timestamps import format_iso8601_millis

if TYPE_CHECKING:
    from doppio._stubs import sns as w

AUDIT = "sns.audit"
_INBOUND, _OUTBOUND = "Inbound", "Outbound"
_MASKS = frozenset("!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~ ")


class Statement(NamedTuple):
    """One rule of a policy. `mask` is the character of a masked one, empty for a redacting one."""

    sid: str
    direction: str
    principals: frozenset[str]
    but_not: frozenset[str]
    identifiers: frozenset[str]
    operation: str
    mask: str
    sample_rate: int
    bucket: str

    def concerns(self, principal: str, account: str, partition: str) -> bool:
        """Whether a principal is one of those of whom the statement speaks."""
        names = {principal, account, f"arn:{partition}:iam::{account}:root", "*"}
        return bool(names & self.principals) and not (names - {"*"}) & self.but_not


class Protection:
    """GetDataProtectionPolicy and PutDataProtectionPolicy."""

    async def put_data_protection_policy(
        self, ctx: Context, req: w.PutDataProtectionPolicyInput
    ) -> None:
        """Set a topic's data protection policy; an empty one takes it off."""
        text = checked(req["DataProtectionPolicy"])
        async with ctx.write() as tx:
            topic = await existing_topic(tx, req["ResourceArn"], "ResourceArn")
            tx.put(replace(topic, data_protection=text))

    async def get_data_protection_policy(
        self, ctx: Context, req: w.GetDataProtectionPolicyInput
    ) -> w.GetDataProtectionPolicyResponse:
        """A topic's data protection policy, as it was put."""
        topic = await existing_topic(ctx.read(), req["ResourceArn"], "ResourceArn")
        return {} if topic.data_protection is None else {
            "DataProtectionPolicy": topic.data_protection
        }  # fmt: skip


def checked(text: str) -> str | None:
    """A policy that can be acted on; None for an empty one. Raises InvalidParameter."""
    if not text or text.strip() == "{}":
        return None
    if len(text.encode()) > limits.DATA_PROTECTION_BYTES_MAX:
        raise _bad("the policy is longer than 30720 bytes")
    statements_of(text)
    return text


@lru_cache(maxsize=1_024)
def statements_of(text: str) -> tuple[Statement, ...]:
    """A policy's statements. Raises InvalidParameter."""
    try:
        document = json.loads(text)
    except ValueError as error:
        raise _bad("failed to parse JSON") from error
    if not isinstance(document, dict) or not isinstance(document.get("Statement"), list):
        raise _bad("must be an object with a list of Statement")
    if document.get("Version") != "2021-06-01":
        raise _bad("Version must be 2021-06-01")
    if not isinstance(document.get("Name"), str) or not document["Name"]:
        raise _bad("Name is required")
    if document.get("Configuration"):
        raise NotImplementedByDoppio(
            "sns: custom data identifiers exist in AWS and not yet in this cloud"
        )
    found = tuple(_statement(one) for one in document["Statement"])
    if not found:
        raise _bad("at least one Statement is required")
    if sum(one.operation == "Audit" for one in found) > 1:
        raise _bad("a policy can have one Audit statement")
    return found


def _statement(given: Any) -> Statement:
    if not isinstance(given, dict):
        raise _bad("a Statement must be an object")
    direction = given.get("DataDirection")
    if direction not in {_INBOUND, _OUTBOUND}:
        raise _bad("DataDirection must be Inbound or Outbound")
    principals = _names(given, "Principal")
    but_not = _names(given, "NoPrincipal")
    if bool(principals) == bool(but_not):
        raise _bad("a Statement must have one of Principal and NoPrincipal")
    identifiers = _names(given, "DataIdentifier")
    if not identifiers:
        raise _bad("DataIdentifier is required")
    for one in sorted(identifiers):
        if not one.startswith("arn:"):
            raise _bad(f"DataIdentifier {one} is not valid")
        if not known(one):
            raise NotImplementedByDoppio(
                f"sns: the data identifier {one} exists in AWS and not yet in this cloud"
            )
    operation, mask, rate, bucket = _operation(given.get("Operation"))
    if operation == "Audit" and (direction != _INBOUND or principals != {"*"}):
        raise _bad("an Audit statement must be Inbound and for all principals")
    return Statement(
        sid=str(given.get("Sid", "")),
        direction=direction,
        principals=principals or frozenset("*"),
        but_not=but_not,
        identifiers=identifiers,
        operation=operation,
        mask=mask,
        sample_rate=rate,
        bucket=bucket,
    )


def _operation(given: Any) -> tuple[str, str, int, str]:
    """An operation's name, mask, sample rate and bucket of findings."""
    if not isinstance(given, dict) or len(given) != 1:
        raise _bad("Operation must be one of Audit, Deidentify and Deny")
    ((name, settings),) = given.items()
    if name == "Deny":
        if settings != {}:
            raise _bad("Deny must be an empty object")
        return "Deny", "", 100, ""
    if not isinstance(settings, dict):
        raise _bad(f"{name} must be an object")
    if name == "Deidentify":
        if settings == {"RedactConfig": {}}:
            return name, "", 100, ""
        mask = (settings.get("MaskConfig") or {}).get("MaskWithCharacter", "*")
        fits = isinstance(mask, str) and len(mask) == 1 and mask.isascii()
        if set(settings) != {"MaskConfig"} or not fits or not (mask.isalnum() or mask in _MASKS):
            raise _bad("Deidentify must have one of MaskConfig and RedactConfig")
        return name, mask, 100, ""
    if name != "Audit":
        raise _bad("Operation must be one of Audit, Deidentify and Deny")
    rate = settings.get("SampleRate")
    if not str(rate).isdigit() or not 0 <= int(str(rate)) <= limits.AUDIT_PERCENT_MAX:
        raise _bad(f"SampleRate must be a whole number from 0 to {limits.AUDIT_PERCENT_MAX}")
    where = settings.get("FindingsDestination") or {}
    if set(where) - {"S3"}:
        raise NotImplementedByDoppio(
            "sns: findings to CloudWatch Logs and Firehose exist in AWS and not yet in this cloud"
        )
    bucket = (where.get("S3") or {}).get("Bucket", "")
    if bool(where) == ("NoFindingsDestination" in settings) or (where and not bucket):
        raise _bad("Audit must have one of FindingsDestination and NoFindingsDestination")
    return name, "", int(str(rate)), bucket


def _names(given: Mapping[str, Any], member: str) -> frozenset[str]:
    found = given.get(member) or []
    if not isinstance(found, list) or any(not isinstance(one, str) for one in found):
        raise _bad(f"{member} must be a list of strings")
    return frozenset(found)


def _bad(why: str) -> InvalidParameter:
    return InvalidParameter(f"DataProtectionPolicy Reason: {why}")


async def published(ctx: Context, topic: Topic, message: Message) -> Message:
    """A message as its topic takes it from this publisher. Raises AuthorizationError if denied."""
    assert topic.data_protection is not None
    statements = _of(topic, _INBOUND, ctx.caller)
    for one in statements:
        if one.operation == "Audit" and ctx.random() * 100 < one.sample_rate:
            await _audit(ctx, topic, message, one)
    changed = _protected(message, statements)
    if changed is None:
        ctx.read().meter("MessagesDeniedBySensitiveData")
        raise AuthorizationError(
            "The data protection policy of the topic denies this message: it has sensitive data"
        )
    return changed


def delivered(
    topic: Topic, message: Message, wanting: Iterable[Subscription]
) -> list[tuple[Message, list[Subscription]]]:
    """What each subscriber may have of a message; who may have nothing is left out."""
    groups: dict[str, tuple[Message, list[Subscription]]] = {}
    for subscription in wanting:
        root = f"arn:{topic.partition}:iam::{subscription.account}:root"
        principal = subscription.subscriber or root
        statements = [
            one
            for one in statements_of(topic.data_protection or "")
            if one.direction == _OUTBOUND
            and one.concerns(principal, subscription.account, topic.partition)
        ]
        changed = _protected(message, statements)
        if changed is not None:
            group = f"{changed.text}\0{json.dumps(changed.structure)}"
            groups.setdefault(group, (changed, []))[1].append(subscription)
    return list(groups.values())


def subscriber_of(caller: Caller) -> str:
    """Who subscribed, as data protection policies name principals."""
    return principal_arn(caller)


def _of(topic: Topic, direction: str, caller: Caller) -> list[Statement]:
    return [
        one
        for one in statements_of(topic.data_protection or "")
        if one.direction == direction
        and one.concerns(principal_arn(caller), caller.account, topic.partition)
    ]


def _texts(message: Message) -> list[str]:
    if message.structure is None:
        return [message.text]
    return [message.structure[name] for name in sorted(message.structure)]


def _protected(message: Message, statements: Iterable[Statement]) -> Message | None:
    """The message without what is to be taken out of it; None where it is denied.

    What is denied is looked for in the message as it came, not in what others have masked.
    """
    acting = [one for one in statements if one.operation != "Audit"]
    for one in acting:
        if one.operation == "Deny" and any(
            findings(text, one.identifiers) for text in _texts(message)
        ):
            return None
    for one in acting:
        if one.operation != "Deidentify":
            continue
        clean = {
            text: without(text, findings(text, one.identifiers), one.mask)
            for text in _texts(message)
        }
        if message.structure is None:
            message = replace(message, text=clean[message.text])
        else:
            structure = {name: clean[text] for name, text in message.structure.items()}
            message = replace(message, structure=structure, text=json.dumps(structure))
    return message


async def _audit(ctx: Context, topic: Topic, message: Message, statement: Statement) -> None:
    found = [one for text in _texts(message) for one in findings(text, statement.identifiers)]
    ctx.read().meter("MessagesWithFindings" if found else "MessagesWithNoFindings")
    if not found or not statement.bucket:
        return
    report = json.dumps(_report(topic, message, found))

    async def keep(tx: Tx) -> None:
        await tx.schedule(
            ctx.now, AUDIT, message.id, topic=topic.arn, bucket=statement.bucket, report=report
        )

    await ctx.transact(keep)


def _report(topic: Topic, message: Message, found: list[Finding]) -> dict[str, Any]:
    """A finding as AWS writes it."""
    kinds = sorted({one.identifier for one in found})
    return {
        "messageId": message.id,
        "auditTimestamp": format_iso8601_millis(message.published_at),
        "callerPrincipal": topic.account,
        "resourceArn": topic.arn,
        "dataIdentifiers": [
            {
                "name": kind.rpartition("/")[2],
                "count": sum(one.identifier == kind for one in found),
                "detections": [
                    {"start": one.start, "end": one.end} for one in found if one.identifier == kind
                ],
            }
            for kind in kinds
        ],
    }


async def audit_job(ctx: Context, job: Job) -> None:
    """Put a finding into its bucket; the same name again if it is done twice."""
    given = job.arguments
    region, account = given["topic"].split(":")[3:5]
    day = json.loads(given["report"])["auditTimestamp"][:10].replace("-", "/")
    speaker = ctx.as_service("delivery.logs", source=given["topic"])
    try:
        await speaker.call(
            "s3",
            "put_object",
            {
                "Bucket": given["bucket"],
                "Key": f"AWSLogs/{account}/sns/{region}/{day}/{job.key}.json",
                "Body": given["report"].encode(),
            },
        )
    except AwsError as error:
        if error.status >= 500:
            raise
        # A bucket that is gone or lets nobody in hears no findings, and holds up no others.
        ctx.read().meter("FindingsNotDelivered")
