"""Forward access: what a caller may, kept with work that a service goes on with after its answer.

AWS's services act for who has asked them with "forward access sessions": the permissions that the
caller had when it asked, for that piece of work. A caller in memory does not outlive a restart, so
its policies are kept as documents in the record of the work, and nothing that signs requests is.
What an organisation says is not kept: it binds each call as it says when the call is made.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from doppio.kernel.context import Context
from doppio.kernel.identity import Caller
from doppio.kernel.policy import Policy, PolicySet

Kept = dict[str, Any]


def keep(caller: Caller, service: str) -> Kept:
    """A caller for whom `service` goes on, as plain values that a record can hold."""
    policies: PolicySet | None = caller.policies
    kept: Kept = {
        "account": caller.account, "arn": caller.arn, "id": caller.id, "kind": caller.kind,
        "source": caller.source,
        "session": {**caller.session, **called_via(caller, service)},
    }  # fmt: skip
    if policies is not None:
        kept["policies"] = {
            "identity": _documents(policies.identity),
            "boundary": None if policies.boundary is None else _document(policies.boundary),
            "session": None if policies.session is None else _documents(policies.session),
            "narrowed": _documents(policies.narrowed),
        }
    return kept


def called_via(caller: Caller, service: str) -> dict[str, Any]:
    """The condition keys by which policies know that a service calls for a caller."""
    name = f"{service}.amazonaws.com"
    called = [*caller.session.get("aws:calledvia", ()), name]
    return {
        "aws:viaawsservice": "true",
        "aws:calledvia": called,
        "aws:calledviafirst": called[0],
        "aws:calledvialast": name,
    }


def again(ctx: Context, kept: Mapping[str, Any]) -> Context:
    """The same work's context as the caller that was kept, in its account."""
    given = kept.get("policies")
    policies = None
    if given is not None:
        session = given["session"]
        policies = PolicySet(
            identity=_policies(given["identity"]),
            boundary=None if given["boundary"] is None else _policy(given["boundary"]),
            session=None if session is None else _policies(session),
            narrowed=_policies(given.get("narrowed", ())),
        )
    caller = Caller(
        account=kept["account"], arn=kept["arn"], id=kept["id"], kind=kept["kind"],
        policies=policies, session=dict(kept["session"]), source=kept["source"],
    )  # fmt: skip
    acting = ctx.derive(caller)
    acting.account = caller.account
    return acting


def _documents(policies: Sequence[Policy]) -> list[Kept]:
    return [_document(policy) for policy in policies]


def _document(policy: Policy) -> Kept:
    return {"name": policy.name, "document": dict(policy.document)}


def _policies(given: Sequence[Mapping[str, Any]]) -> tuple[Policy, ...]:
    return tuple(_policy(one) for one in given)


def _policy(given: Mapping[str, Any]) -> Policy:
    return Policy(given["name"], given["document"])
