"""The whole load: every kind of worker on one cloud."""

from __future__ import annotations

from .clients import Clients
from .load import Load
from .objects import Objects, Versions
from .queues import FifoReceiver, FifoSender, Queue, Receiver, Sender
from .tables import Counter, Items, Ring


def everything(clients: Clients, seed: int) -> Load:
    """Thirteen workers."""
    standard = Queue(clients, "standard")
    fifo = Queue(clients, "ordered.fifo", FifoQueue="true")
    first = seed * 100
    return Load(
        clients,
        [
            Objects(clients, first + 1, "objects"),
            Objects(clients, first + 2, "objects"),
            Versions(clients, first + 3),
            Items(clients, first + 4),
            Items(clients, first + 5),
            Counter(clients, first + 6),
            Ring(clients, first + 7),
            Ring(clients, first + 8),
            Sender(clients, first + 9, standard),
            Receiver(clients, first + 10, standard),
            Receiver(clients, first + 11, standard),
            FifoSender(clients, first + 12, fifo),
            FifoReceiver(clients, first + 13, fifo),
        ],
    )
