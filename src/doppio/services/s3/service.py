"""S3's table of contents."""

from __future__ import annotations

from doppio.kernel.service import Service
from doppio.services.s3 import (
    acceleration,
    access_logs,
    analyses,
    analytics,
    archives,
    inventories,
    metadata,
    metadata_work,
    points,
    renames,
    storage_metrics,
    tiering,
)
from doppio.services.s3.acls import Acls
from doppio.services.s3.annotations import Annotations
from doppio.services.s3.bodies import Bodies
from doppio.services.s3.buckets import Buckets
from doppio.services.s3.configuration import Configuration
from doppio.services.s3.copies import Copies
from doppio.services.s3.cors import cross_origin
from doppio.services.s3.deletion import Deletion
from doppio.services.s3.directory import directing
from doppio.services.s3.directory_buckets import DirectoryBuckets
from doppio.services.s3.lambda_answers import Answers, WriteAnswers
from doppio.services.s3.lifecycle import Keeper, Lifecycle
from doppio.services.s3.listing import Listing
from doppio.services.s3.locks import Locks
from doppio.services.s3.multipart import FORGET, Multipart, forget_completed
from doppio.services.s3.notices import JOBS as NOTICE_JOBS
from doppio.services.s3.notices import SUBSCRIPTION as NOTICES
from doppio.services.s3.notifications import Notifications
from doppio.services.s3.objects import Objects
from doppio.services.s3.payments import Payments
from doppio.services.s3.permissions import DATA_EVENTS, needs
from doppio.services.s3.policies import Policies
from doppio.services.s3.reclaim import Reclaimer
from doppio.services.s3.reencryption import Reencryption
from doppio.services.s3.replicas import Replicas
from doppio.services.s3.replication import Replication
from doppio.services.s3.request_metrics import RequestMetrics
from doppio.services.s3.select import Select
from doppio.services.s3.tagging import Tagging
from doppio.services.s3.torrents import Torrents
from doppio.services.s3.uploads import Uploads
from doppio.services.s3.versions import Versioning
from doppio.services.s3.webs import Browsers
from doppio.services.s3.website import Website
from doppio.services.s3.witness import Witness

_bodies = Bodies()
_answers = Answers()
REPLICAS = Replicas(_bodies)

SERVICE = Service(
    "s3",
    groups=[
        Buckets(),
        DirectoryBuckets(),
        renames.Renames(),
        Objects(_bodies),
        Deletion(),
        Listing(),
        Multipart(_bodies),
        Uploads(),
        Copies(_bodies),
        Versioning(),
        Tagging(),
        Configuration(),
        Policies(),
        Payments(),
        Acls(),
        Notifications(),
        Lifecycle(),
        Locks(),
        Replication(),
        archives.Archives(),
        inventories.Inventories(),
        access_logs.Logging(),
        acceleration.Acceleration(),
        analytics.Analytics(),
        metadata.MetadataTables(),
        tiering.Tiering(),
        Select(_bodies),
        Website(),
        RequestMetrics(),
        Torrents(),
        Annotations(_bodies),
        Reencryption(_bodies),
        WriteAnswers(_answers),
    ],
    needs=needs,
    readdress=points.readdress,
    data_events=DATA_EVENTS,
    jobs={
        **Reclaimer(_bodies).jobs(),
        **NOTICE_JOBS,
        **Keeper().jobs(),
        **archives.jobs(),
        **inventories.jobs(),
        **analyses.jobs(),
        **metadata_work.jobs(),
        **storage_metrics.jobs(),
        **tiering.jobs(),
        **REPLICAS.jobs(),
        **renames.jobs(),
        FORGET: forget_completed,
    },
    subscriptions=[NOTICES, REPLICAS.subscription()],
    cross_origin=cross_origin,
    web=Browsers(),
    witness=Witness,
)
SERVICE.operations.update(directing(SERVICE.operations, _answers.answered))
