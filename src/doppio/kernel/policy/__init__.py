"""The policy engine: pure functions from policies and a request to a decision.

`document` reads policies, `match` and `conditions` compare, `evaluate` decides.
"""

from __future__ import annotations

from doppio.kernel.policy.document import MalformedPolicy, Policy, Statement, compile_policy
from doppio.kernel.policy.evaluate import (
    AccessRequest,
    Decision,
    PolicySet,
    denial_message,
    evaluate,
)

__all__ = [
    "AccessRequest", "Decision", "MalformedPolicy", "Policy", "PolicySet", "Statement",
    "compile_policy", "denial_message", "evaluate",
]  # fmt: skip
