"""`python -m bench.authorisation`: what it costs to ask whether a caller may, in this process."""

from __future__ import annotations

import argparse
import asyncio
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any, NamedTuple

from bench.page import update
from doppio.app import Cloud, Settings
from doppio.kernel.authorise import put_resource
from doppio.kernel.guardrails import Guardrail, Place, put_guardrail, put_place
from doppio.kernel.identity import Caller, root_of, service_caller
from doppio.kernel.policy import Policy, PolicySet, compile_policy
from doppio.kernel.service import Need

CALLS = 20_000
ROUNDS = 7
POLICIES = 10
BUDGET_MICROSECONDS = 50
DENIED = "who is denied"
ACCOUNT, MEMBER, MASTER = "111111111111", "222222222222", "999999999999"
ORGANISATION = "o-cafe123456"
# What a principal's other policies speak of.
OTHERS = ("ec2", "lambda", "sqs", "sns", "logs", "kms", "events", "ssm", "states", "rds")


class Kind(NamedTuple):
    """One line of the table: who asks, and what."""

    name: str
    caller: Caller
    need: Need


def policy(*statements: dict[str, Any], name: str = "p") -> Policy:
    """A compiled policy."""
    return compile_policy({"Version": "2012-10-17", "Statement": list(statements)}, name)


def allow(actions: Any, resource: Any, **conditions: Any) -> dict[str, Any]:
    """A statement that allows."""
    found = {"Effect": "Allow", "Action": actions, "Resource": resource}
    return {**found, "Condition": conditions} if conditions else found


def typical(number: int, bucket: str) -> Policy:
    """A policy as people write them: reads, writes, and a deny. The last one allows the object."""
    service = OTHERS[number]
    statements = [
        allow([f"{service}:Get*", f"{service}:List*", f"{service}:Describe*"], "*"),
        allow(
            [f"{service}:Create*", f"{service}:Put*"],
            f"arn:aws:{service}:*:*:${{aws:PrincipalTag/team}}/*",
            StringEquals={"aws:ResourceTag/team": "${aws:PrincipalTag/team}"},
        ),
        {
            "Effect": "Deny", "Action": [f"{service}:Delete*", "s3:DeleteBucket"], "Resource": "*",
            "Condition": {"BoolIfExists": {"aws:MultiFactorAuthPresent": "false"}},
        },
    ]  # fmt: skip
    if number == POLICIES - 1:
        statements.append(allow(["s3:Get*", "s3:List*"], [bucket, f"{bucket}/*"]))
    return policy(*statements, name=f"policy-{number}")


def user(account: str, bucket: str, **more: Any) -> Caller:
    """A user with ten policies."""
    identity = tuple(typical(number, bucket) for number in range(POLICIES))
    return Caller(
        account, f"arn:aws:iam::{account}:user/barista", "AIDABARISTA", "user", "AKIABARISTA",
        PolicySet(identity=identity, **more), {"aws:principaltag/team": "bar"},
    )  # fmt: skip


def kinds() -> list[Kind]:
    """All lines of the table."""
    bucket, member = "arn:aws:s3:::cafe", "arn:aws:s3:::member"
    shared = "arn:aws:s3:::shared"
    read = Need("s3:GetObject", f"{bucket}/menu", {}, bucket)
    theirs = Need("s3:GetObject", f"{member}/menu", {}, member)
    open_to_all = Need("s3:GetObject", f"{shared}/menu", {}, shared)
    wide = policy(allow(["s3:*", "sqs:*"], "*"))
    bounded = user(ACCOUNT, bucket, boundary=wide, session=(wide,))
    return [
        Kind("a user with 10 policies", user(ACCOUNT, bucket), read),
        Kind(DENIED, user(ACCOUNT, bucket), read._replace(action="s3:PutObject")),
        Kind("with a boundary and a session policy", bounded, read),
        Kind("whose bucket has a policy with conditions", user(ACCOUNT, shared), open_to_all),
        Kind("below three levels of control policies", user(MEMBER, member), theirs),
        Kind("an account's root", root_of(ACCOUNT), read),
        Kind("the same, of a bucket with a policy", root_of(ACCOUNT), open_to_all),
        Kind("a root below control policies", root_of(MEMBER), theirs),
        Kind("a service", service_caller("sns", ACCOUNT, "arn:aws:sns:a:b:c"), open_to_all),
    ]


async def prepare(cloud: Cloud) -> None:
    """Three buckets' owners and policies, and an organisation."""
    shared = bucket_policy()
    full = '{"Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}'
    region = (
        '{"Statement": [{"Effect": "Deny", "NotAction": ["iam:*", "sts:*"], "Resource": "*",'
        ' "Condition": {"StringNotEquals": {"aws:RequestedRegion": ["us-east-1", "eu-west-1"]}}}]}'
    )
    async with cloud.root_context().write() as tx:
        put_resource(tx, "arn:aws:s3:::cafe", ACCOUNT)
        put_resource(tx, "arn:aws:s3:::member", MEMBER)
        put_resource(tx, "arn:aws:s3:::shared", ACCOUNT, shared)
        path = ("r-cafe", "ou-cafe-kitchen", MEMBER)
        put_place(tx, Place(account=MEMBER, organization=ORGANISATION, path=path, master=MASTER))
        for target in path:
            for kind in ("scp", "rcp"):
                rules = (("full", full), ("region", region))
                put_guardrail(tx, Guardrail(target=target, kind=kind, policies=rules))  # type: ignore[arg-type]


def bucket_policy() -> str:
    """A bucket's policy: only by TLS, only from the house, and a service."""
    return (
        '{"Version": "2012-10-17", "Statement": ['
        '{"Effect": "Deny", "Principal": "*", "Action": "s3:*", "Resource": "*",'
        ' "Condition": {"Bool": {"aws:SecureTransport": "false"}}},'
        '{"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "s3:Get*", "Resource": "*",'
        ' "Condition": {"IpAddress": {"aws:SourceIp": "127.0.0.0/8"}}},'
        '{"Effect": "Allow", "Principal": {"Service": "sns.amazonaws.com"}, "Action": "s3:*",'
        ' "Resource": "*"}]}'
    )


async def cost(cloud: Cloud, kind: Kind) -> float:
    """Microseconds of CPU for a call of the authoriser, the median of some rounds."""
    context = cloud.context(
        kind.caller, account=kind.caller.account, region="us-east-1", request_id="bench",
        secure="TLSv1.3",
    )  # fmt: skip
    authoriser, need, needs = cloud._authoriser, kind.need, (kind.need,)
    decision = await authoriser.decide(context, need)
    allowed = decision is None or decision.allowed
    assert allowed is (kind.name != DENIED), kind.name
    rounds = []
    for _ in range(ROUNDS):
        begun = time.process_time()
        if allowed:
            for _ in range(CALLS):
                await authoriser.check(context, needs)
        else:
            # Without the record of each denial, which is a commit of its own.
            for _ in range(CALLS):
                await authoriser.decide(context, need)
        rounds.append((time.process_time() - begun) / CALLS * 1e6)
    return statistics.median(rounds)


async def measure() -> dict[str, float]:
    """All lines, one after the other."""
    with tempfile.TemporaryDirectory() as folder:
        cloud = Cloud(Settings(data=Path(folder)))
        await cloud.start()
        await prepare(cloud)
        found = {kind.name: await cost(cloud, kind) for kind in kinds()}
        await cloud.close()
    return found


def main() -> None:
    """Measure, and write the part."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--dry", action="store_true", help="print only")
    given = arguments.parse_args()
    found = asyncio.run(measure())
    lines = "\n".join(f"| {name} | {micros:.1f} |" for name, micros in found.items())
    text = (
        f"Microseconds of CPU for one question to the authoriser, in its process, with all that a "
        f"policy may ask of a request; the median of {ROUNDS} rounds of {CALLS:,} questions. A "
        f"principal with 10 policies must cost less than {BUDGET_MICROSECONDS}. Each policy has "
        "three statements, with variables and conditions; the last one of them allows. The record "
        "of a denial is a commit, and not in it.\n\n"
        f"| who asks | µs |\n| --- | ---: |\n{lines}"
    )
    update("authorisation", "Whether a caller may", text, dry=given.dry)


if __name__ == "__main__":
    main()
