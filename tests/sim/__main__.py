"""`python -m tests.sim SEED [WORKLOAD…]` tells the story of a seed."""

from __future__ import annotations

import logging
import sys

from .workloads import story

# What the cloud says of its crashes is in the history, too.
logging.disable(logging.CRITICAL)
world = story(int(sys.argv[1]), sys.argv[2:])
print("\n".join(world.history))
print(f"seed {world.seed}: {world.crashes} crashes, all well")
