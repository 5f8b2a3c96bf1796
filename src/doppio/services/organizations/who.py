"""Which accounts may call which operation at all, by AWS's documentation of each.

Sources: the operations' documentation, and "Delegated administrator for AWS Organizations".
"""

from __future__ import annotations

from typing import Literal

Who = Literal["anybody", "member", "reader", "manager", "master"]
_ANYBODY = (
    "CreateOrganization", "AcceptHandshake", "DeclineHandshake", "CancelHandshake",
    "DescribeHandshake", "ListHandshakesForAccount",
)  # fmt: skip
_MEMBERS = ("DescribeOrganization", "LeaveOrganization")
_READERS = (
    "DescribeAccount", "DescribeCreateAccountStatus", "DescribeEffectivePolicy",
    "DescribeOrganizationalUnit", "DescribePolicy", "DescribeResourcePolicy", "ListAccounts",
    "ListAccountsForParent", "ListAccountsWithInvalidEffectivePolicy",
    "ListAWSServiceAccessForOrganization", "ListChildren", "ListCreateAccountStatus",
    "ListDelegatedAdministrators", "ListDelegatedServicesForAccount",
    "ListEffectivePolicyValidationErrors", "ListHandshakesForOrganization",
    "ListOrganizationalUnitsForParent", "ListParents", "ListPolicies", "ListPoliciesForTarget",
    "ListRoots", "ListTagsForResource", "ListTargetsForPolicy",
)  # fmt: skip
_MANAGERS = (
    "AttachPolicy", "CreatePolicy", "DeletePolicy", "DetachPolicy", "DisablePolicyType",
    "EnablePolicyType", "TagResource", "UntagResource", "UpdatePolicy",
)  # fmt: skip
# What is not here is the management account's alone.
WHO: dict[str, Who] = {
    **dict.fromkeys(_ANYBODY, "anybody"),
    **dict.fromkeys(_MEMBERS, "member"),
    **dict.fromkeys(_READERS, "reader"),
    **dict.fromkeys(_MANAGERS, "manager"),
}
# What registering as delegated administrator of some service lets an account do.
READS = tuple(f"organizations:{name}" for name in _READERS)
# What a resource policy may let members do; some of it they may anyway.
DELEGATED = (*_READERS, *_MANAGERS, "DescribeOrganization", "DescribeHandshake")
