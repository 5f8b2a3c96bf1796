"""Organizations: the table of contents."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from doppio.kernel.context import Context
from doppio.kernel.service import Need, Service
from doppio.services.organizations.accounts import CLOSE, VANISH, Accounts, close, vanish
from doppio.services.organizations.attachments import Attachments
from doppio.services.organizations.creation import MAKE, Creations, make
from doppio.services.organizations.delegation import (
    Delegation,
    ResourcePolicies,
    TrustedAccess,
)
from doppio.services.organizations.effective import EffectivePolicies
from doppio.services.organizations.handshakes import TIME, pass_time
from doppio.services.organizations.invitations import Invitations
from doppio.services.organizations.migration import Migrations
from doppio.services.organizations.organization import Organizations
from doppio.services.organizations.permissions import guarded
from doppio.services.organizations.policies import Policies
from doppio.services.organizations.tagging import Tagging
from doppio.services.organizations.transfers import Transfers
from doppio.services.organizations.units import Units


def needs(ctx: Context, operation: str, req: Mapping[str, Any]) -> tuple[Need, ...]:
    """Nothing that can be said without looking: `permissions` asks for every operation."""
    return ()


SERVICE = Service(
    "organizations",
    groups=[
        Organizations(), Units(), Accounts(), Creations(), Tagging(), Policies(), Attachments(),
        EffectivePolicies(), Invitations(), Migrations(), TrustedAccess(), Delegation(),
        ResourcePolicies(), Transfers(),
    ],
    needs=needs,
    jobs={MAKE: make, CLOSE: close, VANISH: vanish, TIME: pass_time},
)  # fmt: skip
SERVICE.operations.update(
    {method: guarded(operation) for method, operation in SERVICE.operations.items()}
)
