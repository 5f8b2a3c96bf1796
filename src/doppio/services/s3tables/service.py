"""S3 Tables: the table of contents."""

from __future__ import annotations

from doppio.kernel.service import Service
from doppio.services.s3tables.buckets import Buckets
from doppio.services.s3tables.catalog import Catalog
from doppio.services.s3tables.locations import Locations
from doppio.services.s3tables.lookup import readdress
from doppio.services.s3tables.maintenance import Maintenance
from doppio.services.s3tables.namespaces import Namespaces
from doppio.services.s3tables.permissions import needs
from doppio.services.s3tables.policies import Policies
from doppio.services.s3tables.replicas import replicate
from doppio.services.s3tables.replication import REPLICATE, Replication
from doppio.services.s3tables.settings import Settings
from doppio.services.s3tables.tables import CLEAR, Tables, clear
from doppio.services.s3tables.tags import Tagging
from doppio.services.s3tables.upkeep import UPKEEP, upkeep

SERVICE = Service(
    "s3tables",
    groups=[
        Buckets(), Namespaces(), Tables(), Locations(), Policies(), Settings(), Tagging(),
        Maintenance(), Replication(),
    ],
    needs=needs,
    readdress=readdress,
    jobs={CLEAR: clear, UPKEEP: upkeep, REPLICATE: replicate},
    catalog=Catalog(),
)  # fmt: skip
