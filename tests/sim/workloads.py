"""The workloads by name, and which of them a seed runs."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

from .deny import Deny
from .disk import SimulatedStore
from .orders import Orders
from .ring import Ring
from .world import Workload, World, tell

WORKLOADS: dict[str, Callable[[], Workload]] = {"ring": Ring, "orders": Orders, "deny": Deny}


def story(
    seed: int, names: Sequence[str] = (), disk: type[SimulatedStore] = SimulatedStore
) -> World:
    """Tell the story of a seed: with one workload, or with several that disturb each other."""
    if not names:
        names = random.Random(-seed).choice([*((name,) for name in WORKLOADS), tuple(WORKLOADS)])
    return tell(seed, [WORKLOADS[name]() for name in names], disk)
