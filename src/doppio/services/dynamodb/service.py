"""DynamoDB: the table of contents."""

from __future__ import annotations

from doppio.kernel.service import Service
from doppio.services.dynamodb import (
    backups,
    exports,
    gauges,
    imports,
    leaving,
    measures,
    past,
    replicas,
    restores,
    sealing,
    shipping,
    streams,
    upkeep,
    vector_indexes,
)
from doppio.services.dynamodb.backups import Backups
from doppio.services.dynamodb.batches import Batches
from doppio.services.dynamodb.exports import Exports
from doppio.services.dynamodb.feeding import Feeding
from doppio.services.dynamodb.feeds import Feeds
from doppio.services.dynamodb.global_settings import GlobalSettings
from doppio.services.dynamodb.global_tables import GlobalTables
from doppio.services.dynamodb.imports import Imports
from doppio.services.dynamodb.insights import Insights
from doppio.services.dynamodb.items import Items
from doppio.services.dynamodb.permissions import needs
from doppio.services.dynamodb.policies import Policies
from doppio.services.dynamodb.queries import Queries
from doppio.services.dynamodb.recovery import Recoveries
from doppio.services.dynamodb.replica_scaling import ReplicaScaling
from doppio.services.dynamodb.restores import Restores
from doppio.services.dynamodb.searches import Searches
from doppio.services.dynamodb.shipping import Shipping
from doppio.services.dynamodb.statements import Statements
from doppio.services.dynamodb.tables import Tables
from doppio.services.dynamodb.transactions import Transactions

SERVICE = Service(
    "dynamodb",
    groups=[
        Tables(), Insights(), Items(), Queries(), Searches(), Batches(), Transactions(), Statements(), Policies(),
        Backups(), Recoveries(), Restores(), Exports(), Imports(), GlobalTables(), GlobalSettings(),
        ReplicaScaling(), Feeds(),
    ],
    needs=needs,
    data_events=[
        "PutItem", "GetItem", "UpdateItem", "DeleteItem", "Query", "Scan", "BatchGetItem",
        "BatchWriteItem", "TransactWriteItems", "TransactGetItems",
        "ExecuteStatement", "BatchExecuteStatement", "ExecuteTransaction",
    ],
    jobs={
        backups.COPY: backups.copy,
        backups.LAPSE: backups.lapse,
        exports.EXPORT: exports.export,
        gauges.SAMPLE: gauges.sample,
        imports.IMPORT: imports.run,
        past.PRUNE: past.prune,
        restores.RESTORE: restores.restore,
        sealing.RESEAL: sealing.reseal,
        upkeep.SETTLE: upkeep.settle,
        vector_indexes.VECTORS: vector_indexes.fill,
        upkeep.BACKFILL: upkeep.backfill,
        upkeep.EMPTY: upkeep.empty,
        upkeep.EXPIRE: upkeep.expire,
        upkeep.FORGET: upkeep.forget,
        upkeep.TRACES: upkeep.clear_traces,
        leaving.LEAVE: leaving.leave,
        replicas.FILL: replicas.fill,
        shipping.SWEEP: shipping.sweep,
        streams.TRIM: streams.trim,
    },
    controllers=[Shipping(), Feeding()],
    sampling=gauges.sampling,
    refused=measures.refused,
)  # fmt: skip
