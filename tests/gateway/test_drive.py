from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

from doppio.gateway.drive import Drive, drive


class Ends:
    """What a drive said at the end."""

    def __init__(self) -> None:
        self.said: list[tuple[Any, BaseException | None]] = []

    def drive(self, coroutine: Coroutine[Any, Any, Any]) -> Drive[Any]:
        return Drive(coroutine, lambda result, error: self.said.append((result, error)))


def test_what_never_waits_ends_at_the_first_step() -> None:
    async def quick() -> int:
        return 7

    ends = Ends()
    ends.drive(quick()).step()
    assert ends.said == [(7, None)]


def test_only_what_waits_is_held_on_to() -> None:
    said: list[tuple[int | None, BaseException | None]] = []

    async def quick() -> int:
        return 7

    async def fails() -> int:
        raise error

    async def story() -> None:
        future: asyncio.Future[int] = asyncio.get_running_loop().create_future()

        async def waits() -> int:
            return await future

        under_way = drive(waits(), lambda *end: said.append(end))
        assert under_way is not None
        assert not under_way.finished
        future.set_result(8)
        await asyncio.sleep(0)
        assert under_way.finished

    error = KeyError("x")
    assert drive(quick(), lambda *end: said.append(end)) is None
    assert drive(fails(), lambda *end: said.append(end)) is None
    asyncio.run(story())
    assert said == [(7, None), (None, error), (8, None)]


def test_what_waits_goes_on_when_its_future_is_done() -> None:
    async def story() -> None:
        future: asyncio.Future[int] = asyncio.get_running_loop().create_future()

        async def waits() -> int:
            await asyncio.sleep(0)
            return await future + 1

        ends = Ends()
        ends.drive(waits()).step()
        await asyncio.sleep(0.01)
        assert ends.said == []
        future.set_result(1)
        await asyncio.sleep(0.01)
        assert ends.said == [(2, None)]

    asyncio.run(story())


def test_an_error_is_the_end_too() -> None:
    async def fails() -> None:
        raise KeyError("x")

    ends = Ends()
    ends.drive(fails()).step()
    assert isinstance(ends.said[0][1], KeyError)


def test_cancelling_lets_it_clean_up_and_ends_it_once() -> None:
    async def story() -> None:
        cleaned: list[bool] = []

        async def waits() -> None:
            try:
                await asyncio.get_running_loop().create_future()
            finally:
                await asyncio.sleep(0.01)
                cleaned.append(True)

        ends = Ends()
        drive = ends.drive(waits())
        drive.step()
        drive.cancel()
        assert ends.said == []
        await asyncio.sleep(0.05)
        assert cleaned == [True]
        assert isinstance(ends.said[0][1], asyncio.CancelledError)
        drive.cancel()
        drive.step()
        assert len(ends.said) == 1

    asyncio.run(story())
