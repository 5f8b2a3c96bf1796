"""Garbage: whatever a request has become, it is answered, and never with an error of ours."""

from __future__ import annotations

import asyncio
import json
import logging
import random
import re
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from doppio.app import Cloud, Settings
from doppio.gateway.app import Gateway
from doppio.gateway.requestlog import RequestLog
from doppio.kernel.clock import SimulatedClock
from doppio.kernel.memory_store import MemoryStore
from doppio.services.dynamodb.service import SERVICE
from doppio.wire.http import Response

from .garbage import Case, signed, spoiled
from .loop import SimulatedLoop
from .valid import BEGIN_UPLOAD, FURNITURE, HANDLE, RECEIVE, UPLOAD, VALID
from .world import quieten

CASES = 700
# The longest that anything may wait: SQS's longest poll.
ANSWER_SECONDS_MAX = 21.0


class Target:
    """A gateway before a furnished cloud."""

    def __init__(self, folder: Path, clock: SimulatedClock, chance: random.Random) -> None:
        self._clock = clock
        self._chance = chance
        self.cloud = Cloud(Settings(data=folder, seed=1, host_clock=clock), MemoryStore())
        self._given: dict[str, str] = {}
        self._gateway = Gateway(self.cloud, RequestLog(None, clock.seconds))

    async def open(self) -> None:
        """Make what the valid requests speak of."""
        await self.cloud.start()
        for case in FURNITURE:
            assert (await self.ask(case)).status == 200, case
        await asyncio.sleep(5)
        begun = re.search(rb"<UploadId>(.+)</UploadId>", await self._said(BEGIN_UPLOAD))
        handle = json.loads(await self._said(RECEIVE))["Messages"][0]["ReceiptHandle"]
        assert begun is not None
        self._given = {UPLOAD: begun[1].decode(), HANDLE: handle}

    async def _said(self, case: Case) -> bytes:
        response = await self.ask(case)
        assert isinstance(response.body, bytes)
        return response.body

    async def ask(self, case: Case) -> Response:
        """An answer, read to its end."""
        query, body = case.query, case.body
        for name, value in self._given.items():
            query = query.replace(name, value)
            body = body.replace(name.encode(), value.encode())
        case = replace(case, query=query, body=body)
        request = signed(case, self._clock.seconds(), self._chance)
        async with asyncio.timeout(ANSWER_SECONDS_MAX):
            response = await self._gateway(request)
            answer: Any = response.body
            if hasattr(answer, "__aiter__"):
                async for _ in answer:
                    pass
        return response


def on_a_target(folder: Path, seed: int, story: Any) -> None:
    """Run a story before a cloud of its own, on simulated time."""
    clock = SimulatedClock(datetime(2030, 1, 1, tzinfo=UTC))
    chance = random.Random(seed)

    async def told() -> None:
        target = Target(folder, clock, chance)
        await target.open()
        await story(target, chance)
        await target.cloud.close()

    loop = SimulatedLoop(clock, random.Random(seed))
    asyncio.set_event_loop(loop)
    try:
        loop.run_until_complete(told())
    finally:
        quieten(loop)


async def unharmed(target: Target, chance: random.Random) -> None:
    """Each valid request is understood; what garbage is made of must not be garbage itself."""
    for case in VALID:
        response = await target.ask(case)
        answer = bytes(response.body) if isinstance(response.body, bytes) else b""
        for word in (
            b"SignatureDoesNotMatch",
            b"MalformedXML",
            b"Serialization",
            b"NotImplemented",
        ):
            assert word not in answer, (case, answer)


def garbage(cases: int, caplog: pytest.LogCaptureFixture) -> Any:
    """So many spoiled requests."""

    async def story(target: Target, chance: random.Random) -> None:
        answered: dict[int, int] = {}
        for _ in range(cases):
            case = spoiled(chance.choice(VALID), chance)
            response = await target.ask(case)
            assert response.status != 500, f"{case}"
            crashes = [one for one in caplog.records if one.levelno >= logging.ERROR]
            assert not crashes, f"{case} {crashes}"
            answered[response.status // 100] = answered.get(response.status // 100, 0) + 1
        assert answered[2] > cases // 20, "some are still understood"
        assert answered[4] > cases // 4, "many are not"

    return story


def test_what_garbage_is_made_of_is_understood(tmp_path: Path) -> None:
    on_a_target(tmp_path, 0, unharmed)


@pytest.mark.parametrize("seed", range(4))
def test_garbage_is_never_an_error_of_ours(
    tmp_path: Path, seed: int, caplog: pytest.LogCaptureFixture
) -> None:
    on_a_target(tmp_path, seed, garbage(CASES, caplog))


def test_an_error_of_ours_would_be_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def broken(ctx: object, req: dict[str, Any]) -> None:
        raise KeyError("TableName")

    monkeypatch.setitem(SERVICE.operations, "scan", broken)
    with pytest.raises(AssertionError, match="Scan"):
        on_a_target(tmp_path, 0, garbage(CASES, caplog))


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(100, 140))
def test_much_more_garbage_is_never_an_error_of_ours(
    tmp_path: Path, seed: int, caplog: pytest.LogCaptureFixture
) -> None:
    on_a_target(tmp_path, seed, garbage(3 * CASES, caplog))
