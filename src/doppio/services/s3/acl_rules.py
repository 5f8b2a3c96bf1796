"""Access control lists, pure: what canned names, headers and documents grant, and to whom.

Source: "Access control list (ACL) overview" in S3's user guide, with its table of which actions a
permission stands for.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from doppio.kernel.identity import canonical_user
from doppio.services.s3.errors import (
    EmailGrantee,
    InvalidArgument,
    InvalidRequest,
    MalformedACL,
    MissingSecurityHeader,
)
from doppio.services.s3.limits import GRANTS_MAX
from doppio.services.s3.records import Grant
from doppio.services.s3.rules import CANNED_ACLS

ALL = "http://acs.amazonaws.com/groups/global/AllUsers"
AUTHENTICATED = "http://acs.amazonaws.com/groups/global/AuthenticatedUsers"
LOGS = "http://acs.amazonaws.com/groups/s3/LogDelivery"
PUBLIC = frozenset({ALL, AUTHENTICATED})
# What callers bear that come through an access point which ignores grants to these (`points`).
IGNORED = "doppio:ignorespublicacls"
# The account from which EC2 reads bundles of machine images.
_EC2 = "6aa5a366c34c1cbe25dc49211496e913e0351eb0e8c37aa3477e40942ec6b97c"
FULL = "FULL_CONTROL"
PERMISSIONS = frozenset({FULL, "READ", "WRITE", "READ_ACP", "WRITE_ACP"})
OF_HEADERS = {
    "GrantFullControl": FULL,
    "GrantRead": "READ",
    "GrantReadACP": "READ_ACP",
    "GrantWrite": "WRITE",
    "GrantWriteACP": "WRITE_ACP",
}
NAMED = frozenset({"ACL", *OF_HEADERS})
ON_BUCKET = {
    "READ": ("s3:ListBucket", "s3:ListBucketVersions", "s3:ListBucketMultipartUploads"),
    "READ_ACP": ("s3:GetBucketAcl",),
    "WRITE_ACP": ("s3:PutBucketAcl",),
}
ON_OBJECT = {
    "READ": ("s3:GetObject", "s3:GetObjectVersion"),
    "READ_ACP": ("s3:GetObjectAcl", "s3:GetObjectVersionAcl"),
    "WRITE_ACP": ("s3:PutObjectAcl", "s3:PutObjectVersionAcl"),
}
_IN_BUCKET = {"WRITE": ("s3:PutObject",)}
_CANNED = {
    "public-read": [Grant(ALL, "READ")],
    "public-read-write": [Grant(ALL, "READ"), Grant(ALL, "WRITE")],
    "authenticated-read": [Grant(AUTHENTICATED, "READ")],
    "aws-exec-read": [Grant(_EC2, "READ")],
    "log-delivery-write": [Grant(LOGS, "WRITE"), Grant(LOGS, "READ_ACP")],
}
# How a document names a grantee of each type: as in headers, and in which member.
_MEMBERS = {
    "CanonicalUser": ("id", "ID"),
    "Group": ("uri", "URI"),
    "AmazonCustomerByEmail": ("emailaddress", "EmailAddress"),
}
_ID = re.compile(r"[0-9a-f]{64}|65a011a29cdf8ec533ec3d1ccaae921c")
_GRANTEE = re.compile(r'\s*(id|uri|emailAddress)\s*=\s*"?([^",]*)"?\s*', re.IGNORECASE)


def is_named(req: Mapping[str, Any]) -> bool:
    """Whether a request says anything of access control lists."""
    return not NAMED.isdisjoint(req)


def wanted(req: Mapping[str, Any], owner: str, bucket_owner: str | None = None) -> list[Grant]:
    """The list that the headers of a request ask for. `owner` and `bucket_owner` are accounts.

    `bucket_owner` is None for a bucket's own list.
    """
    canned = req.get("ACL")
    headers = [name for name in OF_HEADERS if name in req]
    if canned is not None and headers:
        raise InvalidRequest("Specifying both Canned ACLs and Header Grants is not allowed")
    own = Grant(canonical_user(owner), FULL)
    if headers:
        return limited([one for name in headers for one in _of_header(req, name)])
    if canned is None or canned == "private":
        return [own]
    known = canned in CANNED_ACLS or (canned == "log-delivery-write" and bucket_owner is None)
    if not known:
        raise InvalidArgument("Invalid Argument", ArgumentName="x-amz-acl", ArgumentValue=canned)
    if canned in _CANNED:
        return [own, *_CANNED[canned]]
    if bucket_owner is None or bucket_owner == owner:
        return [own]
    permission = "READ" if canned == "bucket-owner-read" else FULL
    return [own, Grant(canonical_user(bucket_owner), permission)]


def of_document(document: Mapping[str, Any], owner: str) -> list[Grant]:
    """The list that an AccessControlPolicy holds; its owner is as it is, and cannot be changed."""
    named = (document.get("Owner") or {}).get("ID")
    if named is None or "Grants" not in document:
        raise MalformedACL
    if named != canonical_user(owner):
        raise InvalidArgument("Invalid id", ArgumentName="CanonicalUser/ID", ArgumentValue=named)
    grants: list[Grant] = []
    for one in document["Grants"] or []:
        grantee = one.get("Grantee") or {}
        if one.get("Permission") not in PERMISSIONS:
            raise MalformedACL
        kind, member = _MEMBERS.get(grantee.get("Type", ""), ("", ""))
        if grantee.get(member) is None:
            raise MalformedACL
        grants.append(Grant(_checked(kind, grantee[member]), one["Permission"]))
    return limited(grants)


def limited(grants: list[Grant]) -> list[Grant]:
    """A list, if it is not too long; S3 keeps up to 100 grants."""
    if len(grants) > GRANTS_MAX:
        raise MalformedACL
    return grants


def of_request(req: Mapping[str, Any], owner: str, bucket_owner: str | None) -> list[Grant]:
    """The list that PutBucketAcl or PutObjectAcl asks for, by headers or by document."""
    document = req.get("AccessControlPolicy")
    if is_named(req):
        if document:
            raise InvalidRequest("This request does not support content")
        return wanted(req, owner, bucket_owner)
    if document is None:
        raise MissingSecurityHeader(MissingHeaderName="x-amz-acl")
    return of_document(document, owner)


def _of_header(req: Mapping[str, Any], name: str) -> Iterable[Grant]:
    for part in str(req[name]).split(","):
        found = _GRANTEE.fullmatch(part)
        if found is None:
            raise InvalidArgument(
                "Argument format not recognized", ArgumentName=name, ArgumentValue=part.strip()
            )
        yield Grant(_checked(found[1].lower(), found[2]), OF_HEADERS[name])


def _checked(kind: str, value: str) -> str:
    if kind == "emailaddress":
        raise EmailGrantee
    if kind == "id" and _ID.fullmatch(value) is None:
        raise InvalidArgument("Invalid id", ArgumentName="CanonicalUser/ID", ArgumentValue=value)
    if kind == "uri" and value not in {ALL, AUTHENTICATED, LOGS}:
        raise InvalidArgument("Invalid group uri", ArgumentName="Group/URI", ArgumentValue=value)
    return value


def is_public(grants: Sequence[Grant]) -> bool:
    """Whether a list lets everybody in, or everybody who has an account."""
    return any(grant.grantee in PUBLIC for grant in grants)


def lets_others(grants: Sequence[Grant] | None, owner: str) -> bool:
    """Whether a list names anybody but the owner."""
    return any(grant.grantee != canonical_user(owner) for grant in grants or ())


def shown(grants: Sequence[Grant], owner: str) -> dict[str, Any]:
    """A list as GetBucketAcl and GetObjectAcl show it."""
    return {
        "Owner": {"ID": canonical_user(owner)},
        "Grants": [
            {"Grantee": _grantee(grant.grantee), "Permission": grant.permission} for grant in grants
        ],
    }


def _grantee(name: str) -> dict[str, str]:
    if name.startswith("http"):
        return {"Type": "Group", "URI": name}
    return {"Type": "CanonicalUser", "ID": name}


def lets_in(grants: Sequence[Grant], account: str, action: str, *, public: bool) -> bool:
    """Whether an object's list lets an account do an action; `public`: groups count."""
    groups = {ALL} if account == "anonymous" else PUBLIC
    for grant in grants:
        named = grant.grantee == canonical_user(account) or (public and grant.grantee in groups)
        if named and action in _actions(grant.permission, ON_OBJECT):
            return True
    return False


def bucket_statements(grants: Sequence[Grant], arn: str, *, public: bool) -> list[dict[str, Any]]:
    """What a bucket's list grants, as statements of a policy."""
    return [
        *statements(grants, arn, ON_BUCKET, public=public),
        *statements(grants, f"{arn}/*", _IN_BUCKET, public=public),
    ]


def statements(
    grants: Sequence[Grant],
    resource: str,
    of_permissions: Mapping[str, Sequence[str]],
    *,
    public: bool,
) -> list[dict[str, Any]]:
    """What a list grants on a resource; `public`: its grants to everybody count."""
    found: list[dict[str, Any]] = []
    for grant in grants:
        actions = _actions(grant.permission, of_permissions)
        if not actions or (grant.grantee in PUBLIC and not public):
            continue
        statement: dict[str, Any] = {
            "Effect": "Allow", "Action": actions, "Resource": resource,
            "Principal": _principal(grant.grantee),
        }  # fmt: skip
        if grant.grantee in PUBLIC:
            # An access point may ignore such grants, for the requests that come through it.
            unless = {IGNORED: "true"}
            if grant.grantee == AUTHENTICATED:
                unless["aws:PrincipalType"] = "Anonymous"
            statement["Condition"] = {"StringNotEquals": unless}
        found.append(statement)
    return found


def _actions(permission: str, of_permissions: Mapping[str, Sequence[str]]) -> list[str]:
    if permission == FULL:
        return [action for actions in of_permissions.values() for action in actions]
    return list(of_permissions.get(permission, ()))


def _principal(grantee: str) -> Any:
    if grantee in PUBLIC:
        return "*"
    if grantee == LOGS:
        return {"Service": "logging.s3.amazonaws.com"}
    return {"CanonicalUser": grantee}
