"""How the table of decisions is written: a name, a request, policies, and what comes of it."""

from __future__ import annotations

from typing import Any, NamedTuple

from tests.kernel.policy.plainly import Asked, Document, Given

A, B = "111111111111", "222222222222"
ANNA = f"arn:aws:iam::{A}:user/anna"
BEN = f"arn:aws:iam::{A}:user/ben"
ROOT_A = f"arn:aws:iam::{A}:root"
ROLE = f"arn:aws:iam::{A}:role/barista"
SHIFT = f"arn:aws:sts::{A}:assumed-role/barista/shift"
FEDERATED = f"arn:aws:sts::{A}:federated-user/guest"
CAFE, MENU, BILL = "arn:aws:s3:::cafe", "arn:aws:s3:::cafe/menu", "arn:aws:s3:::cafe/bill"

ALLOW = "allow"


class Case(NamedTuple):
    """One row. `comes` is `allow`, or `explicit LAYER` or `implicit LAYER`."""

    name: str
    asked: Asked
    given: Given
    comes: str


def doc(*statements: dict[str, Any], version: str = "2012-10-17") -> Document:
    """A policy."""
    return {"Version": version, "Statement": list(statements)}


def allow(action: Any = "s3:GetObject", resource: Any = "*", **more: Any) -> Document:
    """A policy of one statement that allows."""
    return doc(says("Allow", action, resource, **more))


def deny(action: Any = "s3:GetObject", resource: Any = "*", **more: Any) -> Document:
    """A policy of one statement that denies."""
    return doc(says("Deny", action, resource, **more))


def says(effect: str, action: Any = "s3:GetObject", resource: Any = "*", **more: Any) -> Document:
    """A statement. `to` is its principal, `when` its conditions."""
    found: Document = {"Effect": effect, "Action": action, "Resource": resource}
    if "to" in more:
        found["Principal"] = more.pop("to")
    if "when" in more:
        found["Condition"] = more.pop("when")
    for left_out in ("Action", "Resource"):
        if f"Not{left_out}" in more:
            del found[left_out]
    return {**found, **more}


def aws(*arns: str) -> dict[str, Any]:
    """Principals."""
    return {"AWS": list(arns)}


USER = Asked(context={"aws:username": "anna", "aws:PrincipalArn": ANNA})
SESSION = Asked(principal=SHIFT, kind="assumed-role", id="AROABAR:shift")
GUEST = Asked(principal=FEDERATED, kind="federated-user", id=f"{A}:guest", issuer=ANNA)
OWNER = Asked(principal=ROOT_A, kind="root", id=A)
NOBODY = Asked(principal="anonymous", account="anonymous", kind="anonymous", id="anonymous")
SNS = Asked(principal="sns.amazonaws.com", kind="service", id="sns.amazonaws.com")
