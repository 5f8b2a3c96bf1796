"""Across accounts: both must consent, each by policies of its own."""

from __future__ import annotations

from tests.kernel.policy.cases.form import (
    ALLOW,
    ANNA,
    BEN,
    GUEST,
    OWNER,
    ROLE,
    ROOT_A,
    SESSION,
    SHIFT,
    USER,
    A,
    B,
    Case,
    allow,
    aws,
    deny,
)  # fmt: skip
from tests.kernel.policy.plainly import Asked, Given


def there(asked: Asked) -> Asked:
    """The same at a resource of the other account's."""
    return asked._replace(owner=B)


_USER, _SESSION, _ROOT = there(USER), there(SESSION), there(OWNER)
_MINE = (allow(),)

CASES = [
    Case("neither", _USER, Given(), "implicit identity"),
    Case("the caller's account alone", _USER, Given(_MINE), "implicit resource"),
    Case("the resource's account alone, by the user", _USER,
         Given(resource=allow(to=aws(ANNA))), "implicit identity"),
    Case("the resource's account alone, by the account", _USER,
         Given(resource=allow(to=aws(A))), "implicit identity"),
    Case("the resource's account alone, by everybody", _USER,
         Given(resource=allow(to="*")), "implicit identity"),
    Case("both, by the user", _USER, Given(_MINE, allow(to=aws(ANNA))), ALLOW),
    Case("both, by the account", _USER, Given(_MINE, allow(to=aws(ROOT_A))), ALLOW),
    Case("both, by the account's number", _USER, Given(_MINE, allow(to=aws(A))), ALLOW),
    Case("both, by everybody", _USER, Given(_MINE, allow(to="*")), ALLOW),
    Case("another user is named", _USER, Given(_MINE, allow(to=aws(BEN))), "implicit resource"),
    Case("the resource's own account is named", _USER, Given(_MINE, allow(to=aws(B))),
         "implicit resource"),
    Case("another action there", _USER, Given(_MINE, allow("s3:PutObject", to=aws(A))),
         "implicit resource"),
    Case("another action here", _USER, Given((allow("s3:PutObject"),), allow(to=aws(A))),
         "implicit identity"),
    Case("a deny here", _USER, Given((allow(), deny()), allow(to=aws(A))), "explicit identity"),
    Case("a deny there", _USER, Given(_MINE, deny(to=aws(A))), "explicit resource"),
    Case("a session, both, by its role", _SESSION, Given(_MINE, allow(to=aws(ROLE))), ALLOW),
    Case("a session, both, by itself", _SESSION, Given(_MINE, allow(to=aws(SHIFT))), ALLOW),
    Case("a session named there alone", _SESSION, Given(resource=allow(to=aws(SHIFT))),
         "implicit identity"),
    Case("its role named there alone", _SESSION, Given(resource=allow(to=aws(ROLE))),
         "implicit identity"),
    Case("a session's policy leaves it out", _SESSION,
         Given(_MINE, allow(to=aws(SHIFT)), session=(allow("sqs:*"),)), "implicit session"),
    Case("a session's policy lets it through", _SESSION,
         Given(_MINE, allow(to=aws(SHIFT)), session=(allow(),)), ALLOW),
    Case("a boundary leaves it out", _USER,
         Given(_MINE, allow(to=aws(ANNA)), boundary=allow("sqs:*")), "implicit boundary"),
    Case("a boundary lets it through", _USER,
         Given(_MINE, allow(to=aws(ANNA)), boundary=allow("s3:*")), ALLOW),
    Case("a federated user, both", there(GUEST),
         Given(_MINE, allow(to=aws(A)), session=(allow(),)), ALLOW),
    Case("a federated user without a session's policy", there(GUEST),
         Given(_MINE, allow(to=aws(A)), session=()), "implicit session"),
    Case("a root user may ask", _ROOT, Given(), "implicit resource"),
    Case("a root user whose account is let in", _ROOT, Given(resource=allow(to=aws(A))), ALLOW),
    Case("a root user where everybody is let in", _ROOT, Given(resource=allow(to="*")), ALLOW),
    Case("a root user where one of its users is let in", _ROOT,
         Given(resource=allow(to=aws(ANNA))), "implicit resource"),
    Case("a root user who is denied", _ROOT, Given(resource=deny(to=aws(A))), "explicit resource"),
]  # fmt: skip
