"""What CloudWatch is told of clusters. Source: "DAX metrics and dimensions"."""

from __future__ import annotations

from doppio.kernel.context import Context
from doppio.kernel.metrics import Measure
from doppio.services.dax.records import Cluster

_DIMENSIONS = ("Account", "ClusterId", "NodeId")
_known: dict[str, tuple[Measure, ...]] = {}


def _of(name: str) -> tuple[Measure, ...]:
    """A metric by each of its sets of dimensions: the account's, the cluster's, the node's."""
    found = _known.get(name)
    if found is None:
        unit = "Bytes" if name.endswith("Size") else "Count"
        found = _known[name] = tuple(
            Measure("dax", "AWS/DAX", name, unit, *_DIMENSIONS[:count]) for count in (1, 2, 3)
        )
    return found


def count_of(ctx: Context, cluster: Cluster, node: str, name: str, amount: float = 1.0) -> None:
    """Measure something of a node, which is its cluster's and its account's, too."""
    names = (cluster.account, cluster.name, node)
    for count, measure in enumerate(_of(name), 1):
        ctx.count(measure, cluster.account, cluster.region, names[:count], amount)
