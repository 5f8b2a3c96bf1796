"""What IAM stores of delegation: what other accounts ask to be allowed for a while."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec

from doppio.kernel.records import Index, record
from doppio.services.iam.sessions import Session

DELEGATED_TO: Index[DelegationRequest] = Index("owner", ("owned_by",))
WORKFLOWS: Index[DelegationRequest] = Index("workflow", ("requestor", "workflow"))


@record("iam.delegation_request", key=("id",), indexes=(DELEGATED_TO, WORKFLOWS), partitioned=True)
class DelegationRequest(msgspec.Struct, frozen=True, kw_only=True):
    """What another account, `requestor`, asks to be allowed for a while: `policy`, of `template`.

    `owner` is the ARN of the identity that has taken the request on, in `owner_account`; `approver`
    is the one that has accepted it, with the session (sealed nowhere, since it is no credential) as
    which the requestor will act. `state` is as it was last set: after `expires_at` it is EXPIRED.
    """

    id: str
    requestor: str
    workflow: str
    description: str
    template: str
    parameters: list[dict[str, Any]]
    policy: str
    channel: str
    session_seconds: int
    made_at: datetime
    updated_at: datetime
    expires_at: datetime
    state: str
    owner_account: str = ""
    owner: str = ""
    message: str | None = None
    redirect: str | None = None
    only_owner: bool = False
    notes: str | None = None
    rejection: str | None = None
    approver: str = ""
    approver_session: Session | None = None
    told: int = 0
    partition: str = "aws"

    @property
    def arn(self) -> str:
        """The request's ARN; nobody's account while it is nobody's."""
        return f"arn:{self.partition}:iam::{self.owner_account}:delegation-request/{self.id}"

    @property
    def owned_by(self) -> str | None:
        """In whose list it is: one that nobody has taken on is in none."""
        return self.owner_account if self.owner else None
