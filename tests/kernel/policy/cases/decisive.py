"""Resources whose own policy must consent (keys, roles that are to be assumed), and grants."""

from __future__ import annotations

from tests.kernel.policy.cases.form import (
    ALLOW,
    ANNA,
    BEN,
    OWNER,
    ROLE,
    ROOT_A,
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
from tests.kernel.policy.plainly import Asked, Given

_KEY = f"arn:aws:kms:us-east-1:{A}:key/1"


def at_key(asked: Asked, *, granted: bool = False) -> Asked:
    """The same of a key, which its policy guards."""
    return asked._replace(action="kms:Decrypt", resource=_KEY, decisive=True, granted=granted)


_USER, _ROOT, _SESSION = at_key(USER), at_key(OWNER), at_key(SESSION)
_MINE = (allow("kms:*"),)
_DEFAULT = allow("kms:*", to=aws(ROOT_A))
_GRANTED = at_key(USER, granted=True)
_VIA = allow("kms:*", to="*", when={"StringEquals": {
    "kms:ViaService": "s3.us-east-1.amazonaws.com", "kms:CallerAccount": A}})  # fmt: skip
_ASKED_VIA = {"kms:ViaService": "s3.us-east-1.amazonaws.com", "kms:CallerAccount": A}
_TRUST = USER._replace(action="sts:AssumeRole", resource=ROLE, decisive=True)

CASES = [
    Case("a policy without the key's", _USER, Given(_MINE), "implicit resource"),
    Case("a policy, and the key lets the account decide", _USER, Given(_MINE, _DEFAULT), ALLOW),
    Case("the key lets the account decide, and no policy", _USER, Given(resource=_DEFAULT),
         "implicit identity"),
    Case("the key names the user", _USER, Given(resource=allow("kms:*", to=aws(ANNA))), ALLOW),
    Case("the key names another, and a policy", _USER,
         Given(_MINE, allow("kms:*", to=aws(BEN))), "implicit resource"),
    Case("the key names another action, and a policy", _USER,
         Given(_MINE, allow("kms:Encrypt", to=aws(ROOT_A))), "implicit resource"),
    Case("the key denies", _USER, Given(_MINE, doc(
        says("Allow", "kms:*", to=aws(ROOT_A)), says("Deny", "kms:*", to=aws(ANNA)))),
        "explicit resource"),
    Case("a policy denies", _USER, Given((deny("kms:*"),), allow("kms:*", to=aws(ANNA))),
         "explicit identity"),
    Case("root, and the key lets the account decide", _ROOT, Given(resource=_DEFAULT), ALLOW),
    Case("root, and the key names a user alone", _ROOT,
         Given(resource=allow("kms:*", to=aws(ANNA))), "implicit resource"),
    Case("root, and the key has no policy", _ROOT, Given(), "implicit resource"),
    Case("a session whose role the key names", _SESSION,
         Given(resource=allow("kms:*", to=aws(ROLE))), ALLOW),
    Case("a session whose role the key names, past its policy", _SESSION,
         Given(resource=allow("kms:*", to=aws(ROLE)), session=(allow("s3:*"),)),
         "implicit session"),
    Case("a session that the key names", _SESSION,
         Given(resource=allow("kms:*", to=aws(SHIFT)), session=(allow("s3:*"),)), ALLOW),
    Case("another account's user, both", _USER._replace(owner=B),
         Given(_MINE, allow("kms:*", to=aws(ROOT_A))), ALLOW),
    Case("another account's user, the key alone", _USER._replace(owner=B),
         Given(resource=allow("kms:*", to=aws(ROOT_A))), "implicit identity"),
    Case("another account's user, its policy alone", _USER._replace(owner=B),
         Given(_MINE, allow("kms:*", to=aws(B))), "implicit resource"),
    Case("a service that the key lets in", at_key(SNS),
         Given(resource=allow("kms:*", to={"Service": "sns.amazonaws.com"})), ALLOW),
    Case("a service that it does not", at_key(SNS), Given(resource=_DEFAULT), "implicit resource"),
    Case("through a service", _USER._replace(context=_ASKED_VIA), Given(resource=_VIA), ALLOW),
    Case("through none", _USER._replace(context={"kms:CallerAccount": A}), Given(resource=_VIA),
         "implicit resource"),
    Case("through a service, past the boundary", _USER._replace(context=_ASKED_VIA),
         Given(resource=_VIA, boundary=allow("s3:*")), "implicit boundary"),
    # Grants.
    Case("a grant suffices", _GRANTED, Given(), ALLOW),
    Case("a grant beside a key that names another", _GRANTED,
         Given(resource=allow("kms:*", to=aws(BEN))), ALLOW),
    Case("a grant and a deny of the key's", _GRANTED, Given(resource=deny("kms:*", to="*")),
         "explicit resource"),
    Case("a grant and a deny of one's own", _GRANTED, Given((deny("kms:*"),)),
         "explicit identity"),
    Case("a grant and an organisation that denies", _GRANTED, Given(scps=((deny("kms:*"),),)),
         "explicit scp"),
    Case("a grant and an organisation that is silent", _GRANTED, Given(scps=((allow("s3:*"),),)),
         "implicit scp"),
    Case("a grant and a resource control policy", _GRANTED, Given(rcps=((allow("s3:*"),),)),
         "implicit rcp"),
    Case("a grant of another account's", _GRANTED._replace(owner=B), Given(), ALLOW),
    # Trust policies.
    Case("a role that trusts the user", _TRUST, Given(resource=allow("sts:AssumeRole", to=aws(ANNA))),
         ALLOW),
    Case("a role that trusts the account", _TRUST, Given(resource=allow("sts:AssumeRole", to=aws(A))),
         "implicit identity"),
    Case("a role that trusts the account, and a policy", _TRUST,
         Given((allow("sts:AssumeRole", ROLE),), allow("sts:AssumeRole", to=aws(A))), ALLOW),
    Case("a role that trusts somebody else, and a policy", _TRUST,
         Given((allow("sts:*"),), allow("sts:AssumeRole", to=aws(BEN))), "implicit resource"),
    Case("a role that wants an external id", _TRUST._replace(context={"sts:ExternalId": "cup"}),
         Given(resource=allow("sts:AssumeRole", to=aws(ANNA),
                              when={"StringEquals": {"sts:ExternalId": "cup"}})), ALLOW),
    Case("and gets none", _TRUST,
         Given(resource=allow("sts:AssumeRole", to=aws(ANNA),
                              when={"StringEquals": {"sts:ExternalId": "cup"}})),
         "implicit resource"),
    Case("a role that wants a second factor", _TRUST,
         Given(resource=allow("sts:AssumeRole", to=aws(ANNA),
                              when={"Bool": {"aws:MultiFactorAuthPresent": "true"}})),
         "implicit resource"),
    Case("and gets it", _TRUST._replace(context={"aws:MultiFactorAuthPresent": "true"}),
         Given(resource=allow("sts:AssumeRole", to=aws(ANNA),
                              when={"Bool": {"aws:MultiFactorAuthPresent": "true"}})), ALLOW),
    Case("a statement without a resource speaks of the one it hangs on", _TRUST,
         Given(resource=doc({"Effect": "Allow", "Principal": aws(ANNA),
                             "Action": "sts:AssumeRole"})), ALLOW),
]  # fmt: skip
