"""SQS: the table of contents."""

from __future__ import annotations

from doppio.kernel.service import Service
from doppio.services.sqs.gauges import SAMPLE, sample_job, sampling
from doppio.services.sqs.messages import Messages
from doppio.services.sqs.move_tasks import Mover, MoveTasks
from doppio.services.sqs.permissions import needs
from doppio.services.sqs.queues import Queues
from doppio.services.sqs.upkeep import DELAY, EMPTY, EXPIRE, delay_job, empty_job, expire_job

SERVICE = Service(
    "sqs",
    groups=[Queues(), Messages(), MoveTasks()],
    needs=needs,
    data_events=[
        "SendMessage", "SendMessageBatch", "ReceiveMessage", "DeleteMessage", "DeleteMessageBatch",
        "ChangeMessageVisibility", "ChangeMessageVisibilityBatch",
    ],
    jobs={EXPIRE: expire_job, EMPTY: empty_job, DELAY: delay_job, SAMPLE: sample_job},
    controllers=[Mover()],
    sampling=sampling,
)  # fmt: skip
