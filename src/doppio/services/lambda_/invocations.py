"""One invocation, from its event to what became of it: errors, log, bill and metrics.

Source: "Understanding the Lambda execution environment lifecycle"; "Lambda function errors".
"""

from __future__ import annotations

import asyncio
import base64
import math
from collections.abc import Mapping
from typing import Any, NamedTuple

from doppio.kernel.context import Context
from doppio.kernel.ids import is_uuid
from doppio.machine.guest import Reply
from doppio.machine.runtime_api import Chunk
from doppio.services.lambda_ import limits, measures, runtimes
from doppio.services.lambda_.errors import TooManyRequests
from doppio.services.lambda_.running import Outcome, Spec
from doppio.services.lambda_.workers import Started, Worker, Workers
from doppio.wire.json_write import dumps
from doppio.wire.timestamps import format_iso8601_millis

UNHANDLED = "Unhandled"
_SIGNALS = {9: "killed", 6: "aborted", 11: "segmentation fault", 15: "terminated", 4: "illegal instruction",
            7: "bus error", 8: "floating point exception"}  # fmt: skip
# Invocations that go on although who asked for them has gone.
_under_way: set[asyncio.Task[Outcome]] = set()


class Asked(NamedTuple):
    """An event for a version, and what its context tells of it."""

    request_id: str
    payload: bytes
    arn: str
    client_context: str = ""
    chunk: Chunk | None = None


async def invoked(ctx: Context, spec: Spec, asked: Asked) -> Outcome:
    """Run a version once. Raises TooManyRequestsException, InvalidRuntimeException.

    It goes on to its end even if who asks goes away.
    """
    workers = Workers.of(ctx)
    try:
        await workers.check_room(ctx, spec)
    except TooManyRequests:
        measures.count(ctx, measures.THROTTLES, spec, asked.arn)
        raise
    task = asyncio.create_task(_counted(ctx, workers, spec, asked))
    _under_way.add(task)
    task.add_done_callback(_over_with)
    return await asyncio.shield(task)


def _over_with(task: asyncio.Task[Outcome]) -> None:
    _under_way.discard(task)
    if not task.cancelled():
        # Whoever asked may have gone: then nobody else looks at it.
        task.exception()


async def _counted(ctx: Context, workers: Workers, spec: Spec, asked: Asked) -> Outcome:
    with workers.counted(spec) as at_once:
        measures.count(ctx, measures.CONCURRENT, spec, asked.arn, at_once)
        try:
            started = await workers.take(ctx, spec)
        except runtimes.InvalidEntrypoint as error:
            return await _without(ctx, spec, asked, str(error))
        if started.failed is not None and started.failed.what == "late":
            # A start that takes too long is tried again, in the time of the invocation.
            started.worker.journal.send()
            started = await workers.start(ctx, spec, spec.timeout_s)
        return _over(ctx, workers, spec, asked, *await _run(ctx, started, spec, asked))


async def _run(
    ctx: Context, started: Started, spec: Spec, asked: Asked
) -> tuple[Worker, Reply, float]:
    """Give the event to an environment; what it said, and what is billed beside its time."""
    worker, failed = started
    init_ms = worker.init_ms or 0.0
    if failed is None:
        # Else what it said of its start belongs to this.
        worker.journal.begin()
    worker.journal.say(
        f"START RequestId: {asked.request_id} Version: {spec.version}",
        "platform.start",
        {"requestId": asked.request_id, "version": spec.version},
    )
    if failed is not None:
        return worker, failed, 0.0
    headers = {
        "Lambda-Runtime-Invoked-Function-Arn": asked.arn,
        "Lambda-Runtime-Trace-Id": _trace(ctx, asked),
        "Content-Type": "application/json",
    }
    if asked.client_context:
        headers["Lambda-Runtime-Client-Context"] = asked.client_context
    reply = await worker.guest.invoke(
        asked.request_id, asked.payload, headers, spec.timeout_s, asked.chunk
    )
    return worker, reply, init_ms


def _trace(ctx: Context, asked: Asked) -> str:
    """A trace that nobody samples: SDKs and runtimes hand it on, and some insist on it."""
    unique = asked.request_id.replace("-", "")[-24:]
    return f"Root=1-{int(ctx.clock.seconds()):08x}-{unique};Parent={unique[-16:]};Sampled=0"


def _over(
    ctx: Context, workers: Workers, spec: Spec, asked: Asked, worker: Worker, reply: Reply,
    init_ms: float,
) -> Outcome:  # fmt: skip
    """What became of an invocation that is over; its environment is given back."""
    payload, error, status = _told(spec, asked, reply)
    journal = worker.journal
    journal.end_line()
    if reply.what == "late":
        late = f"{spec.timeout_s:.2f}"
        now = format_iso8601_millis(ctx.clock.now())
        journal.say(
            f"{now} {asked.request_id} Task timed out after {late} seconds",
            "platform.fault", {"requestId": asked.request_id, "status": "timeout"},
        )  # fmt: skip
    elif reply.what == "ended":
        told = _told_of_end(asked.request_id, reply)
        journal.say(f"{told['errorMessage']}\n{told['errorType']}", "platform.fault", told)
    took = min(reply.milliseconds, spec.timeout_s * 1000.0)
    billed = max(math.ceil(took) + math.ceil(init_ms), 1)
    peak = min(max(worker.guest.peak_bytes // 2**20, 1), spec.memory_mb)
    _report(worker, spec, asked, took, billed, peak, status)
    worker.init_ms = None
    if reply.what != "said" or _failed_to_start(reply):
        worker.kill()
    workers.give_back(ctx, worker)
    _billed(ctx, spec, asked, took, billed, error)
    return Outcome(
        payload=payload, error=error, log_tail=journal.tail, executed_version=spec.version,
    )  # fmt: skip


def _failed_to_start(reply: Reply) -> bool:
    return reply.said is not None and reply.said.of_start


def _told(spec: Spec, asked: Asked, reply: Reply) -> tuple[bytes, str | None, str]:
    """What the caller is told, whether it is an error, and how the report calls it."""
    if reply.what == "said":
        said = reply.said
        assert said is not None
        if said.too_large:
            most = limits.RESPONSE_BYTES_MAX
            told = {
                "errorType": "Function.ResponseSizeTooLarge",
                "errorMessage": f"Response payload size exceeded maximum allowed payload size ({most} bytes).",
            }
            return dumps(told), UNHANDLED, f"error\tError Type: {told['errorType']}"
        if not said.failed:
            return said.body, None, ""
        status = (
            f"error\tError Type: {said.error_type or 'Function.Unknown'}" if said.of_start else ""
        )
        return said.body, UNHANDLED, status
    if reply.what == "late":
        told = {
            "errorType": "Sandbox.Timedout",
            "errorMessage": f"RequestId: {asked.request_id} Error: Task timed out after "
            f"{spec.timeout_s:.2f} seconds",
        }
        return dumps(told), UNHANDLED, "timeout"
    told = _told_of_end(asked.request_id, reply)
    return dumps(told), UNHANDLED, f"error\tError Type: {told['errorType']}"


def _told_of_end(request_id: str, reply: Reply) -> dict[str, str]:
    """What is said of an environment that has ended by itself."""
    status = reply.status
    # Bubblewrap tells of a signal as a shell does; a plain process by a number below zero.
    number = -status if status < 0 else status - 128 if status > 128 else 0
    kind = "Runtime.OutOfMemory" if reply.out_of_memory else "Runtime.ExitError"
    if number in _SIGNALS:
        why = f"Runtime exited with error: signal: {_SIGNALS[number]}"
    elif status:
        why = f"Runtime exited with error: exit status {status}"
    else:
        why = "Runtime exited without providing a reason"
    return {"errorType": kind, "errorMessage": f"RequestId: {request_id} Error: {why}"}


def _report(
    worker: Worker, spec: Spec, asked: Asked, took: float, billed: int, peak: int, status: str
) -> None:
    request_id = asked.request_id
    worker.journal.say(f"END RequestId: {request_id}", "platform.end", {"requestId": request_id})
    text = (
        f"REPORT RequestId: {request_id}\tDuration: {took:.2f} ms\tBilled Duration: {billed} ms\t"
        f"Memory Size: {spec.memory_mb} MB\tMax Memory Used: {peak} MB\t"
    )
    numbers: dict[str, Any] = {
        "durationMs": round(took, 3), "billedDurationMs": billed, "memorySizeMB": spec.memory_mb,
        "maxMemoryUsedMB": peak,
    }  # fmt: skip
    if worker.init_ms is not None:
        text += f"Init Duration: {worker.init_ms:.2f} ms\t"
        numbers["initDurationMs"] = round(worker.init_ms, 3)
    if status:
        text += f"Status: {status}"
    record: Mapping[str, Any] = {
        "requestId": request_id, "metrics": numbers,
        "status": status.partition("\t")[0] or "success",
    }  # fmt: skip
    worker.journal.say(text, "platform.report", record)


def _billed(
    ctx: Context, spec: Spec, asked: Asked, took: float, billed: int, error: str | None
) -> None:
    measures.count(ctx, measures.INVOCATIONS, spec, asked.arn)
    measures.count(ctx, measures.DURATION, spec, asked.arn, took)
    measures.count(ctx, measures.ERRORS, spec, asked.arn, 0.0 if error is None else 1.0)
    payer = ctx.derive(ctx.caller, region=spec.region)
    payer.payer = spec.account
    reader = payer.read()
    reader.meter("Request")
    reader.meter("Lambda-GB-Second", spec.memory_mb / 1024 * billed / 1000)


async def _without(ctx: Context, spec: Spec, asked: Asked, why: str) -> Outcome:
    """What is said of a package that has no program to run."""
    told = {
        "errorType": "Runtime.InvalidEntrypoint",
        "errorMessage": f"RequestId: {asked.request_id} Error: {why}",
    }
    _billed(ctx, spec, asked, 0.0, 1, UNHANDLED)
    return Outcome(payload=dumps(told), error=UNHANDLED, executed_version=spec.version)


def request_id_of(ctx: Context) -> str:
    """The id of an invocation: that of the request which a client has signed, else one of its own.

    Services that call functions have requests with ids of other forms, and one may call several.
    """
    return ctx.request_id if ctx.signature and is_uuid(ctx.request_id) else ctx.new_id()


def log_result(outcome: Outcome) -> str:
    """The end of the log, as a header bears it."""
    return base64.b64encode(outcome.log_tail).decode()
