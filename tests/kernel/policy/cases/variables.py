"""Policy variables: in resources and in conditions, their defaults, and where there are none."""

from __future__ import annotations

from typing import Any

from tests.kernel.policy.cases.form import ALLOW, USER, A, Case, allow, deny, doc, says
from tests.kernel.policy.plainly import Asked, Document, Given

_HOME = "arn:aws:s3:::homes/${aws:username}/*"
_NO = "implicit identity"


def at(path: str, **context: Any) -> Asked:
    """A request for an object of the homes, under these keys (`__` stands for a colon)."""
    return USER._replace(
        resource=f"arn:aws:s3:::homes/{path}",
        context={name.replace("__", ":").replace("_in_", "/"): context[name] for name in context},
    )


def older(document: Document) -> Document:
    """The same in the older version of the language."""
    return {**document, "Version": "2008-10-17"}


def _if(operator: str, key: str, value: Any) -> tuple[Document, ...]:
    return (allow(when={operator: {key: value}}),)


CASES = [
    Case("one's own home", at("anna/a", aws__username="anna"), Given((allow(resource=_HOME),)),
         ALLOW),
    Case("another's home", at("ben/a", aws__username="anna"), Given((allow(resource=_HOME),)), _NO),
    Case("a value is taken as it is written", at("a*/a", aws__username="a*"),
         Given((allow(resource=_HOME),)), ALLOW),
    Case("and its wildcards are none", at("anna/a", aws__username="a*"),
         Given((allow(resource=_HOME),)), _NO),
    Case("nor its question marks", at("anna/a", aws__username="ann?"),
         Given((allow(resource=_HOME),)), _NO),
    Case("a variable that nobody has", at("anna/a"), Given((allow(resource=_HOME),)), _NO),
    Case("nor does it stand for nothing", at("/a"), Given((allow(resource=_HOME),)), _NO),
    Case("another pattern beside it", at("anna/a"),
         Given((allow(resource=[_HOME, "arn:aws:s3:::homes/anna/*"]),)), ALLOW),
    Case("keys in any letters", at("anna/a", aws__username="anna"),
         Given((allow(resource=_HOME.replace("username", "UserName")),)), ALLOW),
    Case("a tag", at("bar/a", aws__PrincipalTag_in_team="bar"),
         Given((allow(resource="arn:aws:s3:::homes/${aws:PrincipalTag/team}/*"),)), ALLOW),
    Case("two variables", at("bar/anna", aws__PrincipalTag_in_team="bar", aws__username="anna"),
         Given((allow(resource="arn:aws:s3:::homes/${aws:PrincipalTag/team}/${aws:username}"),)),
         ALLOW),
    Case("two variables, one missing", at("bar/anna", aws__username="anna"),
         Given((allow(resource="arn:aws:s3:::homes/${aws:PrincipalTag/team}/${aws:username}"),)),
         _NO),
    Case("a default", at("guest/a"),
         Given((allow(resource="arn:aws:s3:::homes/${aws:username, 'guest'}/*"),)), ALLOW),
    Case("a default that is not needed", at("anna/a", aws__username="anna"),
         Given((allow(resource="arn:aws:s3:::homes/${aws:username, 'guest'}/*"),)), ALLOW),
    Case("a default does not count beside a value", at("guest/a", aws__username="anna"),
         Given((allow(resource="arn:aws:s3:::homes/${aws:username, 'guest'}/*"),)), _NO),
    Case("a literal star", at("*"), Given((allow(resource="arn:aws:s3:::homes/${*}"),)), ALLOW),
    Case("is no wildcard", at("a"), Given((allow(resource="arn:aws:s3:::homes/${*}"),)), _NO),
    Case("a literal question mark", at("?"), Given((allow(resource="arn:aws:s3:::homes/${?}"),)),
         ALLOW),
    Case("is no wildcard either", at("a"), Given((allow(resource="arn:aws:s3:::homes/${?}"),)), _NO),
    Case("a literal dollar", at("$"), Given((allow(resource="arn:aws:s3:::homes/${$}"),)), ALLOW),
    Case("the older version knows no variables", at("anna/a", aws__username="anna"),
         Given((older(allow(resource=_HOME)),)), _NO),
    Case("there they are text", at("${aws:username}/a", aws__username="anna"),
         Given((older(allow(resource=_HOME)),)), ALLOW),
    Case("no version is the older one", at("anna/a", aws__username="anna"),
         Given(({"Statement": [says("Allow", resource=_HOME)]},)), _NO),
    Case("in the older version a deny misses, too", at("anna/a", aws__username="anna"),
         Given((allow(), older(deny(resource=_HOME)))), ALLOW),
    Case("a deny of all homes but one's own", at("ben/a", aws__username="anna"),
         Given((allow(), deny(NotResource=_HOME))), "explicit identity"),
    Case("which spares one's own", at("anna/a", aws__username="anna"),
         Given((allow(), deny(NotResource=_HOME))), ALLOW),
    Case("and where the variable is missing, none", at("anna/a"),
         Given((allow(), deny(NotResource=_HOME))), "explicit identity"),
    Case("in a condition", at("a", s3__prefix="anna", aws__username="anna"),
         Given(_if("StringEquals", "s3:prefix", "${aws:username}")), ALLOW),
    Case("in a condition that does not hold", at("a", s3__prefix="ben", aws__username="anna"),
         Given(_if("StringEquals", "s3:prefix", "${aws:username}")), _NO),
    Case("in a condition with wildcards", at("a", s3__prefix="anna/x", aws__username="anna"),
         Given(_if("StringLike", "s3:prefix", "${aws:username}/*")), ALLOW),
    Case("a value's wildcards are none in a condition", at("a", s3__prefix="ben", aws__username="*"),
         Given(_if("StringLike", "s3:prefix", "${aws:username}")), _NO),
    Case("in a condition, missing", at("a", s3__prefix="anna"),
         Given(_if("StringEquals", "s3:prefix", "${aws:username}")), _NO),
    Case("in a condition, a default", at("a", s3__prefix="guest"),
         Given(_if("StringEquals", "s3:prefix", "${aws:username,'guest'}")), ALLOW),
    Case("tags that must agree", at("a", aws__ResourceTag_in_team="bar", aws__PrincipalTag_in_team="bar"),
         Given(_if("StringEquals", "aws:ResourceTag/team", "${aws:PrincipalTag/team}")), ALLOW),
    Case("tags that do not", at("a", aws__ResourceTag_in_team="bar", aws__PrincipalTag_in_team="pub"),
         Given(_if("StringEquals", "aws:ResourceTag/team", "${aws:PrincipalTag/team}")), _NO),
    Case("a part of an ARN",
         at("a", aws__PrincipalArn=f"arn:aws:iam::{A}:role/x", aws__PrincipalAccount=A),
         Given(_if("ArnEquals", "aws:PrincipalArn", "arn:aws:iam::${aws:PrincipalAccount}:role/*")),
         ALLOW),
    Case("a part of an ARN that differs",
         at("a", aws__PrincipalArn="arn:aws:iam::222222222222:role/x", aws__PrincipalAccount=A),
         Given(_if("ArnEquals", "aws:PrincipalArn", "arn:aws:iam::${aws:PrincipalAccount}:role/*")),
         _NO),
    Case("a whole ARN", at("a", aws__SourceArn="arn:a:b:c:d:e", aws__PrincipalArn="arn:a:b:c:d:e"),
         Given(_if("ArnEquals", "aws:SourceArn", "${aws:PrincipalArn}")), ALLOW),
    Case("in a condition of the older version", at("a", s3__prefix="anna", aws__username="anna"),
         Given((older(allow(when={"StringEquals": {"s3:prefix": "${aws:username}"}})),)), _NO),
    Case("there it is text", at("a", s3__prefix="${aws:username}"),
         Given((older(allow(when={"StringEquals": {"s3:prefix": "${aws:username}"}})),)), ALLOW),
    Case("a key of several values is no variable", at("a", s3__prefix="a", aws__TagKeys=["a", "b"]),
         Given(_if("StringEquals", "s3:prefix", "${aws:TagKeys}")), _NO),
    Case("what is not closed is text", at("${aws:username", aws__username="anna"),
         Given((doc(says("Allow", resource="arn:aws:s3:::homes/${aws:username")),)), ALLOW),
]  # fmt: skip
