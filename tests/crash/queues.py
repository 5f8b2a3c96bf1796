"""SQS under load: a standard queue and a FIFO queue, each with senders and receivers."""

from __future__ import annotations

import time
from typing import Any

from .clients import Clients, Unanswered
from .ledgers import Messages
from .load import Worker

VISIBILITY_SECONDS = 3
# A receipt handle older than this may be that of an earlier delivery: it is not used.
FRESH_SECONDS = 2.0
DRAIN_SECONDS_MAX = 30.0


class Queue:
    """A queue and what is known of it, shared by its workers."""

    def __init__(self, clients: Clients, name: str, **attributes: str) -> None:
        self._clients = clients
        self._name = name
        self._attributes = {"VisibilityTimeout": str(VISIBILITY_SECONDS), **attributes}
        self.url = ""
        self.messages = Messages()

    def create(self) -> None:
        """Make it."""
        # The path alone says which queue it is: any gateway takes the URL.
        self.url = self._clients.call(
            "sqs", "create_queue", QueueName=self._name, Attributes=self._attributes
        )["QueueUrl"]

    def call(self, method: str, **req: Any) -> dict[str, Any]:
        """A call on this queue."""
        return self._clients.call("sqs", method, QueueUrl=self.url, **req)

    def drained(self) -> bool:
        """Whether nothing waits, and nothing is in flight."""
        shown = self._clients.surely(
            "sqs", "get_queue_attributes", QueueUrl=self.url, AttributeNames=["All"]
        )["Attributes"]
        names = ("ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible")
        return all(shown[name] == "0" for name in names)


class Sender(Worker):
    """Sends messages to a standard queue, one by one and in batches."""

    def __init__(self, clients: Clients, seed: int, queue: Queue) -> None:
        super().__init__(clients, seed)
        self.queue = queue
        self._sent = 0

    def setup(self) -> None:
        self.queue.create()

    def step(self) -> None:
        bodies = [self._body() for _ in range(self.random.choice((1, 1, 5)))]
        if len(bodies) == 1:
            self.queue.call("send_message", MessageBody=bodies[0])
        else:
            entries = [{"Id": str(n), "MessageBody": body} for n, body in enumerate(bodies)]
            got = self.queue.call("send_message_batch", Entries=entries)
            assert len(got["Successful"]) == len(bodies), got
        for body in bodies:
            self.queue.messages.sent(body)
        # Not faster than the receivers.
        time.sleep(0.005)

    def _body(self) -> str:
        self._sent += 1
        body = f"{self.queue.url} {self._sent} " + "x" * self.random.choice((10, 2_000))
        self.queue.messages.sending(body)
        return body


class Receiver(Worker):
    """Receives and deletes; now and then it forgets to, and the message comes again."""

    def __init__(self, clients: Clients, seed: int, queue: Queue) -> None:
        super().__init__(clients, seed)
        self.queue = queue

    def step(self) -> None:
        self._take(forgetful=True)

    def check(self) -> None:
        until = time.monotonic() + DRAIN_SECONDS_MAX
        while not self.queue.drained():
            assert time.monotonic() < until, "the queue does not come to an end"
            self._take(forgetful=False)
        assert not self.queue.messages.lost()
        print(f"  {self.queue.url.rpartition('/')[2]}: {self.queue.messages.counts()}")

    def _take(self, *, forgetful: bool) -> None:
        gone = self.queue.messages.gone()
        got = self.queue.call("receive_message", MaxNumberOfMessages=10, WaitTimeSeconds=1)
        begun = time.monotonic()
        for message in got.get("Messages", []):
            self.queue.messages.received(message["Body"], gone)
            if forgetful and self.random.random() < 0.03:
                continue
            if time.monotonic() - begun < FRESH_SECONDS:
                self._delete(message)

    def _delete(self, message: dict[str, Any]) -> None:
        self.queue.messages.deleting(message["Body"])
        self.queue.call("delete_message", ReceiptHandle=message["ReceiptHandle"])
        self.queue.messages.deleted(message["Body"])


class FifoSender(Worker):
    """Sends numbered messages to a group, each until it is acknowledged: it arrives once."""

    def __init__(self, clients: Clients, seed: int, queue: Queue) -> None:
        super().__init__(clients, seed)
        self.queue = queue

    def setup(self) -> None:
        self.queue.create()

    def step(self) -> None:
        body = f"{self.steps:06d}"
        self.queue.messages.sending(body)
        self.clients.until_answered(
            lambda: self.queue.call(
                "send_message", MessageBody=body, MessageGroupId="g", MessageDeduplicationId=body
            )
        )
        self.queue.messages.sent(body)
        time.sleep(0.01)


class FifoReceiver(Worker):
    """Receives in order, and each message only once when its deletion was acknowledged."""

    def __init__(self, clients: Clients, seed: int, queue: Queue) -> None:
        super().__init__(clients, seed)
        self.queue = queue
        self._next = 0
        # A deletion that was not answered: its message may come once more.
        self._unsure = False

    def step(self) -> None:
        gone = self.queue.messages.gone()
        got = self.queue.call("receive_message", MaxNumberOfMessages=5, WaitTimeSeconds=1)
        begun = time.monotonic()
        for message in got.get("Messages", []):
            number = int(message["Body"])
            self.queue.messages.received(message["Body"], gone)
            if number == self._next + 1 and self._unsure:
                self._next, self._unsure = number, False
            assert number == self._next, f"{number} came where {self._next} was due"
            if time.monotonic() - begun > FRESH_SECONDS:
                return
            self.queue.messages.deleting(message["Body"])
            try:
                self.queue.call("delete_message", ReceiptHandle=message["ReceiptHandle"])
            except Unanswered:
                self._unsure = True
                return
            self._next, self._unsure = number + 1, False
            self.queue.messages.deleted(message["Body"])

    def check(self) -> None:
        until = time.monotonic() + DRAIN_SECONDS_MAX
        while not self.queue.drained():
            assert time.monotonic() < until, "the queue does not come to an end"
            self.step()
        assert not self.queue.messages.lost()
        print(f"  {self.queue.url.rpartition('/')[2]}: {self.queue.messages.counts()}")
