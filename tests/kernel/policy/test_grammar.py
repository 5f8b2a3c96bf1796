"""What IAM refuses when a policy is given to it, and in which words."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from doppio.kernel.policy import AccessRequest, PolicySet, evaluate
from doppio.kernel.policy.document import MalformedPolicy, compile_policy
from doppio.kernel.policy.grammar import check_given
from tests.kernel.policy.plainly import Asked, Given, decide

ALLOW = {"Effect": "Allow", "Action": "s3:*", "Resource": "*"}
SYNTAX = "Syntax errors in policy."
LEGACY = "The policy failed legacy parsing"
VENDOR = "Actions/Conditions must be prefaced by a vendor, e.g., iam, sdb, ec2, etc."
PATHS = (
    'IAM resource path must either be "*" or start with user/, federated-user/, role/, group/, '
    "instance-profile/, mfa/, server-certificate/, policy/, sms-mfa/, saml-provider/, "
    "oidc-provider/, report/, access-report/."
)


def text(*statements: Any, **more: Any) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements), **more})


def one(**changes: Any) -> str:
    """A policy of one statement, with changes; None leaves a member out."""
    statement = {**ALLOW, **changes}
    return text({name: value for name, value in statement.items() if value is not None})


def when(**conditions: Any) -> str:
    return one(Condition=conditions)


@pytest.mark.parametrize(
    ("document", "says"),
    [
        ("", "This policy contains invalid Json"),
        ("{", "This policy contains invalid Json"),
        ("policy", "This policy contains invalid Json"),
        (text(ALLOW) + "x", "This policy contains invalid Json"),
        ("[" * 100_000, "This policy contains invalid Json"),
        ('{"Version": NaN}', "This policy contains invalid Json"),
        (" " + text(ALLOW), "JSON strings must not have leading spaces"),
        ("[]", SYNTAX),
        ("null", SYNTAX),
        ('"Allow"', SYNTAX),
        ("{}", SYNTAX),
        ('{"Version": "2012-10-17"}', SYNTAX),
        (text(), SYNTAX),
        (text("Allow"), SYNTAX),
        (text(None), SYNTAX),
        (text([ALLOW]), SYNTAX),
        (text(ALLOW, Colour="red"), SYNTAX),
        (text(ALLOW, Id=7), SYNTAX),
        (text(ALLOW, Version="2012-10-18"), SYNTAX),
        (text(ALLOW, Version=["2012-10-17"]), SYNTAX),
        ('{"Version": "2012-10-17", "Statement": [], "Statement": []}', SYNTAX),
        ('{"Statement": {"Effect": "Allow", "Effect": "Deny", "Action": "*", "Resource": "*"}}', SYNTAX),
        (one(Effect=None), SYNTAX),
        (one(Effect="allow"), SYNTAX),
        (one(Effect="Maybe"), SYNTAX),
        (one(Effect=["Allow"]), SYNTAX),
        (one(Colour="red"), SYNTAX),
        (one(Action=7), SYNTAX),
        (one(Action={"s3": "*"}), SYNTAX),
        (one(Action=[["s3:*"]]), SYNTAX),
        (one(Resource=7), SYNTAX),
        (one(Resource=[{}]), SYNTAX),
        (one(Sid=7), SYNTAX),
        (one(Sid=["a"]), SYNTAX),
        (one(Condition="a"), SYNTAX),
        (one(Condition=["a"]), SYNTAX),
        (when(StringEquals="a"), SYNTAX),
        (when(StringEquals=["aws:username"]), SYNTAX),
        (when(StringEquals={"aws:username": {"a": "b"}}), SYNTAX),
        (when(StringEquals={"aws:username": None}), SYNTAX),
        (when(StringEquals={"aws:username": [["a"]]}), SYNTAX),
        (when(StringSounds={"aws:username": "a"}), SYNTAX),
        (when(**{"ForSomeValues:StringEquals": {"aws:username": "a"}}), SYNTAX),
        (when(NullIfExists={"aws:username": "true"}), SYNTAX),
        (when(StringEqualsIfExistsIfExists={"aws:username": "a"}), SYNTAX),
        (one(Resource="*", NotResource="*"), SYNTAX),
        (one(Sid="two words"),
         ("Statement IDs (SID) must be alpha-numeric. Check that your input satisfies the regular "
          "expression [0-9A-Za-z]*")),
        (text({**ALLOW, "Sid": "a"}, {**ALLOW, "Sid": "a"}),
         "Statement IDs (SID) in a single policy must be unique."),
        (one(Action=None), "Policy statement must contain actions."),
        (one(Action=[]), "Policy statement must contain actions."),
        (one(NotAction="s3:*"), "Policy statement must contain actions."),
        (one(Resource=None), "Policy statement must contain resources."),
        (one(Resource=[]), "Policy statement must contain resources."),
        (one(Principal="*"), "Policy document should not specify a principal."),
        (one(NotPrincipal="*"), "Policy document should not specify a principal."),
        (one(Action="GetObject"), VENDOR),
        (one(Action=["s3:*", ""]), VENDOR),
        (one(Action="s3:Get:Object"), "Actions/Condition can contain only one colon."),
        (one(Action="s3::GetObject"), "Actions/Condition can contain only one colon."),
        (one(Action="my s3:GetObject"), "Vendor my s3 is not valid"),
        (one(Action="*:GetObject"), "Vendor * is not valid"),
        (one(Action=":GetObject"), "Vendor  is not valid"),
        (when(StringEquals={"username": "a"}), VENDOR),
        (one(Resource="cafe"), 'Resource cafe must be in ARN format or "*".'),
        (one(Resource=["*", "cafe/*"]), 'Resource cafe/* must be in ARN format or "*".'),
        (one(Resource="urn:aws:s3:::cafe"), 'Resource urn:aws:s3:::cafe must be in ARN format or "*".'),
        (one(NotResource="cafe", Resource=None), 'Resource cafe must be in ARN format or "*".'),
        (one(Resource="arn:azure:s3:::cafe"),
         'Partition "azure" is not valid for resource "arn:azure:s3:::cafe".'),
        (one(Resource="arn:aws:s*:::cafe"),
         "Resource vendor must be fully qualified and cannot contain regexes."),
        (one(Resource="arn:aws:s3:us-east-1::cafe"),
         "Resource arn:aws:s3:us-east-1::cafe can not contain region information."),
        (one(Resource="arn:aws:iam:us-east-1:111111111111:user/anna"),
         ("IAM resource arn:aws:iam:us-east-1:111111111111:user/anna cannot contain region "
          "information.")),
        (one(Resource="arn:aws:iam::111111111111:usr/anna"), PATHS),
        (one(Resource="arn:aws:s3::cafe"), LEGACY),
        (one(Resource="arn:aws::"), LEGACY),
        (one(Resource="arn:aws"), LEGACY),
        (one(NotResource="arn:aws:s3::cafe", Resource=None), LEGACY),
        (when(DateLessThan={"aws:CurrentTime": "noon"}), LEGACY),
        (when(**{"ForAnyValue:DateEqualsIfExists": {"aws:CurrentTime": ["2030-01-01", "x"]}}), LEGACY),
    ],
)  # fmt: skip
def test_each_way_of_being_no_policy_has_its_words(document: str, says: str) -> None:
    with pytest.raises(MalformedPolicy) as refused:
        check_given(document)
    assert str(refused.value) == says


@pytest.mark.parametrize(
    "document",
    [
        text(ALLOW),
        json.dumps({"Statement": ALLOW}),
        json.dumps({"Version": "2008-10-17", "Id": "a b", "Statement": [ALLOW]}),
        text({**ALLOW, "Sid": "A1"}, {**ALLOW, "Sid": "B2"}, {**ALLOW, "Sid": ""}),
        one(Action="*"),
        one(Action=["s3:Get*", "S3:PUT*", "execute-api:Invoke"]),
        one(NotAction="iam:*", Action=None),
        one(Resource=["arn:aws:s3:::cafe", "arn:aws:s3:::cafe/${aws:username}/*"]),
        one(Resource="arn:aws:s3:us-east-1:111111111111:accesspoint/door"),
        one(Resource="arn:aws:s3:*:111111111111:job/*"),
        one(Resource="arn:aws-cn:sqs:*:*:*"),
        one(Resource="arn:*:sqs:*:*:*"),
        one(Resource="arn:aws:iam::*:role/barista"),
        one(Resource="arn:aws:iam::111111111111:*"),
        one(Resource="arn:aws:iam::111111111111:us*"),
        one(Resource="arn:aws:iam::111111111111:${aws:PrincipalTag/kind}/*"),
        one(Resource="arn:aws:iam::111111111111:root"),
        one(Resource="arn:aws:logs:*:*:log-group:a:log-stream:b"),
        one(Condition={}),
        when(Bool={"aws:SecureTransport": True}, NumericLessThan={"s3:max-keys": 10}),
        when(DateGreaterThan={"aws:CurrentTime": ["2030-01-01T00:00:00Z", "1900000000"]}),
        when(StringEquals={"aws:PrincipalTag/a:b": "c"}),
    ],
)
def test_what_is_a_policy_is_taken_and_can_be_read(document: str) -> None:
    assert check_given(document) == json.loads(document)
    compile_policy(document)


def test_managed_policies_are_in_the_current_version() -> None:
    check_given(text(ALLOW), current=True)
    for older in ({"Statement": ALLOW}, {"Version": "2008-10-17", "Statement": ALLOW}):
        with pytest.raises(MalformedPolicy) as refused:
            check_given(json.dumps(older), current=True)
        assert str(refused.value) == "Policy document must be version 2012-10-17 or greater."


# Whatever somebody sends: it is refused in the one way, or it is a policy.

WORDS = [
    "Version", "Id", "Statement", "Sid", "Effect", "Action", "NotAction", "Resource",
    "NotResource", "Condition", "Principal", "NotPrincipal", "AWS", "Service", "Allow", "Deny",
    "2012-10-17", "2008-10-17", "*", "s3:*", "s3:GetObject", "arn:aws:s3:::cafe/*", "arn:aws", ":",
    "${aws:username}", "${", "StringEquals", "ForAnyValue:StringLike", "NullIfExists", "Null",
    "aws:username", "aws:CurrentTime", "DateLessThan", "", "true",
]  # fmt: skip
LEAVES = (
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=True) | st.text(max_size=4)
    | st.sampled_from(WORDS)
)  # fmt: skip
JSON = st.recursive(
    LEAVES,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(WORDS) | st.text(max_size=3), inner, max_size=6)
    ),
    max_leaves=20,
)


def nearly(members: dict[str, Any]) -> st.SearchStrategy[dict[str, Any]]:
    """These members, each as it should be or anything at all, and some left out."""
    made = {name: st.just(value) | st.just(value) | JSON for name, value in members.items()}
    required = {name: made[name] for name in ("Effect", "Action", "Statement") if name in made}
    rest = {name: value for name, value in made.items() if name not in required}
    return st.fixed_dictionaries(required, optional=rest)


STATEMENT = nearly({
    "Sid": "a", "Effect": "Allow", "Action": ["s3:Get*"], "Resource": "arn:aws:s3:::cafe/*",
    "Condition": {"StringEquals": {"aws:username": ["anna"]}}, "Principal": {"AWS": "*"},
})  # fmt: skip
DOCUMENT = st.fixed_dictionaries(
    {"Statement": st.lists(STATEMENT, max_size=2) | STATEMENT | JSON},
    optional={"Version": st.just("2012-10-17") | JSON, "Id": st.just("x") | JSON},
)
ASKED = Asked(context={"aws:username": "anna"})


@settings(max_examples=400, deadline=None)
@given(JSON | DOCUMENT)
def test_whatever_is_sent_is_refused_as_a_policy_or_is_one(value: Any) -> None:
    document = json.dumps(value)
    for principal in (True, False, None):
        try:
            raw = check_given(document, principal=principal)
        except MalformedPolicy:
            continue
        compile_policy(dict(raw))
    try:
        policy = compile_policy(document)
    except MalformedPolicy:
        return
    request = AccessRequest(
        principal=ASKED.principal, account=ASKED.account, kind="user", action=ASKED.action,
        resource=ASKED.resource, resource_account=ASKED.owner, context=ASKED.context,
        principal_id=ASKED.id,
    )  # fmt: skip
    raw = json.loads(document)
    for policies, plain in (
        (PolicySet(identity=[policy]), Given((raw,))),
        (PolicySet(resource=policy), Given(resource=raw)),
    ):
        if evaluate(request, policies).allowed:
            assert decide(ASKED, plain) == "allow"


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=40) | st.binary(max_size=40).map(lambda raw: raw.decode("latin-1")))
def test_whatever_text_is_sent_is_refused_as_a_policy(document: str) -> None:
    with pytest.raises(MalformedPolicy):
        check_given(document)
