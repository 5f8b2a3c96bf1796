"""Tasks of a real Celery application whose broker is a queue. Run by Celery's own interpreter.

`sold` appends a line to a file, so that a test sees what was done, how often and by whom.
"""

from __future__ import annotations

import os
import time
from pathlib import Path

from celery import Celery

app = Celery("shop", broker=os.environ["BROKER"])
app.conf.update(
    task_default_queue=os.environ["QUEUE"],
    task_acks_late=True,
    task_reject_on_worker_lost=False,
    worker_prefetch_multiplier=1,
    broker_connection_retry_on_startup=True,
    broker_transport_options={
        "region": "us-east-1", "visibility_timeout": 5, "wait_time_seconds": 1,
        "polling_interval": 0.1,
    },
)  # fmt: skip


@app.task(name="sold")
def sold(drink: str, seconds: float = 0.0) -> None:
    """Begin, take some time, and be done."""
    log = Path(os.environ["SOLD"])
    with log.open("a") as file:
        file.write(f"begun {drink}\n")
    time.sleep(seconds)
    with log.open("a") as file:
        file.write(f"done {drink}\n")
