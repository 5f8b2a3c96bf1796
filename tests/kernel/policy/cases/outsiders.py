"""Services and the anonymous: they have no policies, and resources let them in by themselves."""

from __future__ import annotations

from tests.kernel.policy.cases.form import (
    ALLOW,
    ANNA,
    BILL,
    MENU,
    NOBODY,
    ROOT_A,
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

_SNS = {"Service": "sns.amazonaws.com"}
_NEWS = f"arn:aws:sns:us-east-1:{A}:news"
_FOR_NEWS = SNS._replace(
    context={"aws:SourceArn": _NEWS, "aws:SourceAccount": A, "aws:PrincipalIsAWSService": "true"}
)
_ABROAD = SNS._replace(owner=B)
_OIDC = "arn:aws:iam::111111111111:oidc-provider/tokens.cafe"
_WEB = SNS._replace(
    principal=_OIDC, id="", account="", action="sts:AssumeRoleWithWebIdentity",
    context={"tokens.cafe:sub": "anna", "tokens.cafe:aud": "cafe"},
)  # fmt: skip


def _trust(**when: str) -> dict[str, object]:
    return allow(
        "sts:AssumeRoleWithWebIdentity", to={"Federated": _OIDC}, when={"StringEquals": when}
    )


CASES = [
    Case("a service that nobody lets in", SNS, Given(), "implicit resource"),
    Case("a service that is let in", SNS, Given(resource=allow(to=_SNS)), ALLOW),
    Case("one of two services", SNS,
         Given(resource=allow(to={"Service": ["s3.amazonaws.com", "sns.amazonaws.com"]})), ALLOW),
    Case("another service", SNS, Given(resource=allow(to={"Service": "s3.amazonaws.com"})),
         "implicit resource"),
    Case("a service where everybody is let in", SNS, Given(resource=allow(to="*")), ALLOW),
    Case("a service is not of the account that it acts for", SNS, Given(resource=allow(to=aws(A))),
         "implicit resource"),
    Case("nor denied with it", SNS,
         Given(resource=doc(says("Allow", to=_SNS), says("Deny", to=aws(ROOT_A)))), ALLOW),
    Case("a service has no policies of its own", SNS, Given((allow(),)), "implicit resource"),
    Case("across accounts the resource alone decides", _ABROAD, Given(resource=allow(to=_SNS)),
         ALLOW),
    Case("across accounts nobody lets it in", _ABROAD, Given(resource=allow(to=aws(ANNA))),
         "implicit resource"),
    Case("a service that is denied", SNS,
         Given(resource=doc(says("Allow", to="*"), says("Deny", to=_SNS))), "explicit resource"),
    Case("a service for a topic", _FOR_NEWS,
         Given(resource=allow(to=_SNS, when={"ArnLike": {"aws:SourceArn": _NEWS}})), ALLOW),
    Case("a service for another topic", _FOR_NEWS,
         Given(resource=allow(to=_SNS, when={"ArnLike": {"aws:SourceArn": _NEWS + "2"}})),
         "implicit resource"),
    Case("a service for an account", _FOR_NEWS,
         Given(resource=allow(to=_SNS, when={"StringEquals": {"aws:SourceAccount": A}})), ALLOW),
    Case("a service for another account", _FOR_NEWS,
         Given(resource=allow(to=_SNS, when={"StringEquals": {"aws:SourceAccount": B}})),
         "implicit resource"),
    Case("a service that acts for nothing", SNS,
         Given(resource=allow(to=_SNS, when={"StringEquals": {"aws:SourceAccount": A}})),
         "implicit resource"),
    Case("a deny of all that is no service", _FOR_NEWS,
         Given(resource=doc(
             says("Allow", to=_SNS),
             says("Deny", to="*", when={"Bool": {"aws:PrincipalIsAWSService": "false"}}),
         )), ALLOW),
    Case("another action", SNS, Given(resource=allow("s3:PutObject", to=_SNS)),
         "implicit resource"),
    Case("another resource", SNS, Given(resource=allow(resource=BILL, to=_SNS)),
         "implicit resource"),
    Case("no user is a service", USER, Given(resource=allow(to=_SNS)), "implicit identity"),
    # Web identities are judged by the role's trust policy alone.
    Case("a token's issuer that is trusted", _WEB, Given(resource=_trust()), ALLOW),
    Case("a token of the right subject", _WEB,
         Given(resource=_trust(**{"tokens.cafe:sub": "anna"})), ALLOW),
    Case("a token of another subject", _WEB,
         Given(resource=_trust(**{"tokens.cafe:sub": "ben"})), "implicit resource"),
    Case("a token without such a claim", _WEB,
         Given(resource=_trust(**{"tokens.cafe:amr": "anna"})), "implicit resource"),
    # The anonymous.
    Case("nobody lets the anonymous in", NOBODY, Given(), "implicit resource"),
    Case("everybody", NOBODY, Given(resource=allow(to="*")), ALLOW),
    Case("everybody of AWS's", NOBODY, Given(resource=allow(to=aws("*"))), ALLOW),
    Case("a user", NOBODY, Given(resource=allow(to=aws(ANNA))), "implicit resource"),
    Case("an account", NOBODY, Given(resource=allow(to=aws(A))), "implicit resource"),
    Case("everybody for one object", NOBODY, Given(resource=allow(resource=MENU, to="*")), ALLOW),
    Case("everybody for another object", NOBODY, Given(resource=allow(resource=BILL, to="*")),
         "implicit resource"),
    Case("everybody and a deny", NOBODY,
         Given(resource=doc(says("Allow", to="*"), says("Deny", to="*"))), "explicit resource"),
    Case("everybody from an address",
         NOBODY._replace(context={"aws:SourceIp": "10.0.0.7"}),
         Given(resource=allow(to="*", when={"IpAddress": {"aws:SourceIp": "10.0.0.0/8"}})), ALLOW),
    Case("everybody from elsewhere",
         NOBODY._replace(context={"aws:SourceIp": "192.0.2.7"}),
         Given(resource=allow(to="*", when={"IpAddress": {"aws:SourceIp": "10.0.0.0/8"}})),
         "implicit resource"),
    Case("an identity policy is nothing to the anonymous", NOBODY, Given((allow(),), deny(to=aws(ANNA))),
         "implicit resource"),
]  # fmt: skip
