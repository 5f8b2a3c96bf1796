"""Service and resource control policies, level by level from the root of the organisation down."""

from __future__ import annotations

from tests.kernel.policy.cases.form import (
    ALLOW,
    ANNA,
    GUEST,
    NOBODY,
    OWNER,
    ROLE,
    SESSION,
    SHIFT,
    SNS,
    USER,
    A,
    B,
    Case,
    allow,
    aws,
    deny,
    doc,
    says,
)  # fmt: skip
from tests.kernel.policy.plainly import Given

_MINE = (allow(),)
_FULL = allow("*")
_S3, _SQS = allow("s3:*"), allow("sqs:*")
_TOO = deny("s3:*", to="*")
_ORG = "o-cafe123456"
# AWS's own examples: keep to a region; keep strangers out; keep confused deputies out.
_REGION = deny(
    NotAction=["iam:*", "sts:*"], when={"StringNotEquals": {"aws:RequestedRegion": "eu-west-1"}}
)
_STRANGERS = deny(
    "s3:*", to="*",
    when={
        "StringNotEqualsIfExists": {"aws:PrincipalOrgID": _ORG},
        "BoolIfExists": {"aws:PrincipalIsAWSService": "false"},
    },
)  # fmt: skip
_DEPUTIES = deny(
    "s3:*", to="*",
    when={
        "StringNotEqualsIfExists": {"aws:SourceOrgID": _ORG},
        "Null": {"aws:SourceAccount": "false"},
        "Bool": {"aws:PrincipalIsAWSService": "true"},
    },
)  # fmt: skip
_LET_IN = allow(to="*")


def _in_org(org: str) -> dict[str, str]:
    return {"aws:PrincipalOrgID": org, "aws:PrincipalIsAWSService": "false"}


def _service(**context: str) -> dict[str, str]:
    return {"aws:PrincipalIsAWSService": "true", "aws:SourceAccount": A, **context}


CASES = [
    Case("one level that allows", USER, Given(_MINE, scps=((_FULL,),)), ALLOW),
    Case("three levels that allow", USER, Given(_MINE, scps=((_FULL,),) * 3), ALLOW),
    Case("it grants nothing", USER, Given(scps=((_FULL,),)), "implicit identity"),
    Case("the root does not", USER, Given(_MINE, scps=((_SQS,), (_FULL,), (_FULL,))),
         "implicit scp"),
    Case("the unit does not", USER, Given(_MINE, scps=((_FULL,), (_SQS,), (_FULL,))),
         "implicit scp"),
    Case("the account does not", USER, Given(_MINE, scps=((_FULL,), (_FULL,), (_SQS,))),
         "implicit scp"),
    Case("a level without policies", USER, Given(_MINE, scps=((_FULL,), (), (_FULL,))),
         "implicit scp"),
    Case("one of two on a level", USER, Given(_MINE, scps=((_FULL,), (_SQS, _S3))), ALLOW),
    Case("levels that have nothing in common", USER,
         Given((allow("*"),), scps=((_S3,), (_SQS,))), "implicit scp"),
    Case("levels that have this in common", USER,
         Given(_MINE, scps=((_S3,), (allow("s3:Get*"),))), ALLOW),
    Case("a deny on the root", USER, Given(_MINE, scps=((_FULL, deny()), (_FULL,))),
         "explicit scp"),
    Case("a deny on the account", USER, Given(_MINE, scps=((_FULL,), (_FULL, deny()))),
         "explicit scp"),
    Case("a deny of another action", USER, Given(_MINE, scps=((_FULL, deny("s3:Put*")),)), ALLOW),
    Case("a deny is said before a silence", USER, Given(_MINE, scps=((_SQS,), (deny(),))),
         "explicit scp"),
    Case("a root user that is allowed", OWNER, Given(scps=((_FULL,), (_S3,))), ALLOW),
    Case("a root user that is not", OWNER, Given(scps=((_FULL,), (_SQS,))), "implicit scp"),
    Case("a root user that is denied", OWNER, Given(scps=((_FULL, deny()),)), "explicit scp"),
    Case("a session", SESSION, Given(_MINE, scps=((_SQS,),)), "implicit scp"),
    Case("a session named by the resource", SESSION,
         Given(resource=allow(to=aws(SHIFT)), scps=((_SQS,),)), "implicit scp"),
    Case("a role named by the resource", SESSION,
         Given(resource=allow(to=aws(ROLE)), scps=((_FULL,),)), ALLOW),
    Case("a federated user", GUEST, Given(_MINE, session=(_FULL,), scps=((_SQS,),)),
         "implicit scp"),
    Case("a user named by the resource", USER,
         Given(resource=allow(to=aws(ANNA)), scps=((_SQS,),)), "implicit scp"),
    Case("a user with a boundary", USER, Given(_MINE, boundary=_FULL, scps=((_FULL,),)), ALLOW),
    Case("a user whose boundary says no", USER, Given(_MINE, boundary=_SQS, scps=((_FULL,),)),
         "implicit boundary"),
    Case("across accounts it binds the caller", USER._replace(owner=B),
         Given(_MINE, _LET_IN, scps=((_SQS,),)), "implicit scp"),
    Case("across accounts it lets through", USER._replace(owner=B),
         Given(_MINE, _LET_IN, scps=((_FULL,),)), ALLOW),
    Case("no service is bound by it", SNS, Given(resource=_LET_IN, scps=((_SQS,),)), ALLOW),
    Case("nor denied", SNS, Given(resource=_LET_IN, scps=((deny(),),)), ALLOW),
    Case("nor the anonymous", NOBODY, Given(resource=_LET_IN, scps=((deny(),),)), ALLOW),
    Case("a region that is allowed", USER._replace(context={"aws:RequestedRegion": "eu-west-1"}),
         Given(_MINE, scps=((_FULL, _REGION),)), ALLOW),
    Case("a region that is not", USER._replace(context={"aws:RequestedRegion": "us-east-1"}),
         Given(_MINE, scps=((_FULL, _REGION),)), "explicit scp"),
    Case("what is spared of the region",
         USER._replace(action="iam:GetUser", context={"aws:RequestedRegion": "us-east-1"}),
         Given((allow("iam:*"),), scps=((_FULL, _REGION),)), ALLOW),
    # Resource control policies.
    Case("resources: one level that allows", USER, Given(_MINE, rcps=((_FULL,),)), ALLOW),
    Case("resources: a level that does not", USER, Given(_MINE, rcps=((_FULL,), (_SQS,))),
         "implicit rcp"),
    Case("resources: a level without policies", USER, Given(_MINE, rcps=((_FULL,), ())),
         "implicit rcp"),
    Case("resources: it grants nothing", USER, Given(rcps=((_FULL,),)), "implicit identity"),
    Case("resources: a deny", USER, Given(_MINE, rcps=((_FULL, _TOO),)), "explicit rcp"),
    Case("resources: a deny of root", OWNER, Given(rcps=((_FULL, _TOO),)), "explicit rcp"),
    Case("resources: a deny of the anonymous", NOBODY,
         Given(resource=_LET_IN, rcps=((_FULL, _TOO),)), "explicit rcp"),
    Case("resources: a deny of services", SNS, Given(resource=_LET_IN, rcps=((_FULL, _TOO),)),
         "explicit rcp"),
    Case("resources: a silence to services", SNS, Given(resource=_LET_IN, rcps=((_SQS,),)),
         "implicit rcp"),
    Case("resources: one of the organisation",
         USER._replace(owner=B, context=_in_org(_ORG)),
         Given(_MINE, _LET_IN, rcps=((_FULL, _STRANGERS),)), ALLOW),
    Case("resources: one of another organisation",
         USER._replace(owner=B, context=_in_org("o-other")),
         Given(_MINE, _LET_IN, rcps=((_FULL, _STRANGERS),)), "explicit rcp"),
    Case("resources: one of no organisation",
         USER._replace(owner=B, context={"aws:PrincipalIsAWSService": "false"}),
         Given(_MINE, _LET_IN, rcps=((_FULL, _STRANGERS),)), "explicit rcp"),
    Case("resources: a service among strangers", SNS._replace(context=_service()),
         Given(resource=_LET_IN, rcps=((_FULL, _STRANGERS),)), ALLOW),
    Case("resources: a deputy of the organisation",
         SNS._replace(context=_service(**{"aws:SourceOrgID": _ORG})),
         Given(resource=_LET_IN, rcps=((_FULL, _DEPUTIES),)), ALLOW),
    Case("resources: a deputy of another",
         SNS._replace(context=_service(**{"aws:SourceOrgID": "o-other"})),
         Given(resource=_LET_IN, rcps=((_FULL, _DEPUTIES),)), "explicit rcp"),
    Case("resources: a deputy of none", SNS._replace(context=_service()),
         Given(resource=_LET_IN, rcps=((_FULL, _DEPUTIES),)), "explicit rcp"),
    Case("resources: no deputy", USER._replace(context=_in_org("o-other")),
         Given(_MINE, rcps=((_FULL, _DEPUTIES),)), ALLOW),
    Case("both kinds allow", USER, Given(_MINE, scps=((_FULL,),), rcps=((_FULL,),)), ALLOW),
    Case("both kinds deny, the resource's is said first", USER,
         Given(_MINE, scps=((deny(),),), rcps=((_FULL, _TOO),)), "explicit rcp"),
    Case("both kinds are silent", USER, Given(_MINE, scps=((_SQS,),), rcps=((_SQS,),)),
         "implicit rcp"),
    Case("paths of the organisation",
         USER._replace(owner=B, context={"aws:PrincipalOrgPaths": [f"{_ORG}/r-1/ou-1-kitchen/"]}),
         Given(_MINE, allow(to="*", when={"ForAnyValue:StringLike": {
             "aws:PrincipalOrgPaths": [f"{_ORG}/r-1/ou-1-kitchen/*"]}})), ALLOW),
    Case("paths of another unit",
         USER._replace(owner=B, context={"aws:PrincipalOrgPaths": [f"{_ORG}/r-1/ou-1-bar/"]}),
         Given(_MINE, allow(to="*", when={"ForAnyValue:StringLike": {
             "aws:PrincipalOrgPaths": [f"{_ORG}/r-1/ou-1-kitchen/*"]}})), "implicit resource"),
    Case("no paths", USER._replace(owner=B),
         Given(_MINE, allow(to="*", when={"ForAnyValue:StringLike": {
             "aws:PrincipalOrgPaths": [f"{_ORG}/r-1/*"]}})), "implicit resource"),
    Case("two statements of one policy", USER,
         Given(_MINE, scps=((doc(says("Allow", "*"), says("Deny", "s3:Put*")),),)), ALLOW),
]  # fmt: skip
