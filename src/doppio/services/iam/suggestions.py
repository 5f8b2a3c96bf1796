"""The least that somebody's policies would have to allow: what they have really done, and no more.

It is a page for `doppio policy suggest`, and no operation: AWS's own generator is Access Analyzer's.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable
from typing import Any
from urllib.parse import unquote

from doppio.kernel.context import Context
from doppio.kernel.uses import Use, uses_of
from doppio.services.iam.common import named
from doppio.services.iam.records import Role, User

SUGGESTED = "iam/suggested/"


async def suggested_page(ctx: Context, name: str) -> tuple[bytes, str] | None:
    """The policy for a user or role, by its ARN; None where there is no such."""
    arn = unquote(name)
    parts = arn.split(":", 5)
    word, _, path = parts[-1].partition("/")
    kinds: dict[str, type[User | Role]] = {"user": User, "role": Role}
    if len(parts) != 6 or parts[2] != "iam" or word not in kinds:
        return None
    reader = ctx.read()
    found = await named(reader, kinds[word], parts[4], path.rpartition("/")[2])
    if found is None or found.arn != arn:
        return None
    await ctx.kernel.uses.flush()
    policy = suggested(await uses_of(reader, found.id))
    return json.dumps(policy, indent=4).encode(), "application/json"


def suggested(uses: Iterable[Use]) -> dict[str, Any]:
    """A policy that allows these uses: actions of a service that touch the same stand together."""
    together: dict[tuple[str, tuple[str, ...]], list[str]] = defaultdict(list)
    for use in uses:
        prefix = use.action.partition(":")[0]
        together[(prefix, tuple(sorted(use.resources)))].append(use.action)
    return {
        "Version": "2012-10-17",
        "Statement": [
            {"Effect": "Allow", "Action": sorted(actions), "Resource": list(resources)}
            for (_, resources), actions in sorted(together.items())
        ],
    }
