from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from doppio.kernel.clock import LAST, Clock, ClockState, MachineClock, SimulatedClock, duration
from tests.services.world import World, told

START = datetime(2030, 1, 1, tzinfo=UTC)
DAY = timedelta(days=1)


def clock() -> tuple[Clock, SimulatedClock]:
    host = SimulatedClock(START)
    return Clock(host), host


def test_cloud_time_is_host_time_until_told_otherwise() -> None:
    cloud, host = clock()
    host.run_to(host.seconds() + 5)
    assert cloud.now() == cloud.host_now() == START + timedelta(seconds=5)


def test_time_can_stand_still_and_go_on() -> None:
    cloud, host = clock()
    cloud.set(cloud.paused())
    host.run_to(host.seconds() + 100)
    assert cloud.now() == START
    cloud.set(cloud.running())
    host.run_to(host.seconds() + 1)
    assert cloud.now() == START + timedelta(seconds=1)


def test_time_can_run_faster_and_leap() -> None:
    cloud, host = clock()
    cloud.set(cloud.running(60))
    host.run_to(host.seconds() + 60)
    assert cloud.now() == START + timedelta(hours=1)
    cloud.set(cloud.advanced(DAY))
    assert cloud.now() == START + DAY + timedelta(hours=1)
    assert cloud.state.rate == 60


def test_time_ends_before_dates_do() -> None:
    cloud, host = clock()
    with pytest.raises(ValueError, match="ends with the year 8999"):
        cloud.advanced(8_000 * 365 * DAY)
    assert cloud.now() == START
    ran: list[datetime] = []
    cloud.call_at(datetime(9999, 1, 1, tzinfo=UTC), lambda: ran.append(cloud.now()))
    cloud.set(cloud.running(1e6))
    for _ in range(5):
        host.run_to(host.seconds() + 86_400)
    assert cloud.now() == LAST
    assert cloud.state.rate == 0
    assert ran == []


def test_a_fast_clock_that_ran_past_the_end_while_nobody_looked_stands_there() -> None:
    state = ClockState(host=0.0, cloud=0.0, rate=1e6)
    cloud = Clock(SimulatedClock(START))
    cloud.set(state)
    assert cloud.now() == LAST


def test_timers_run_in_order_when_their_time_has_come_and_not_before() -> None:
    cloud, host = clock()
    ran: list[str] = []
    cloud.call_at(START + 2 * DAY, lambda: ran.append("later"))
    cloud.call_at(START + DAY, lambda: ran.append("sooner"))
    cancel = cloud.call_at(START + DAY, lambda: ran.append("never"))
    cancel()
    cancel()
    host.run_to((START + DAY).timestamp() - 1)
    assert ran == []
    host.run_to((START + DAY).timestamp())
    assert ran == ["sooner"]
    cloud.set(cloud.advanced(DAY))
    assert ran == ["sooner", "later"]


def test_a_paused_clock_needs_no_timer_of_the_hosts() -> None:
    cloud, host = clock()
    ran: list[bool] = []
    cloud.set(cloud.paused())
    cloud.call_at(START + DAY, lambda: ran.append(True))
    assert host.next_timer() is None
    cloud.set(cloud.advanced(DAY))
    assert ran == [True]


def test_a_faster_clock_wakes_sooner() -> None:
    cloud, host = clock()
    ran: list[bool] = []
    cloud.call_at(START + timedelta(hours=1), lambda: ran.append(True))
    cloud.set(cloud.running(3600))
    host.run_to(host.seconds() + 1)
    assert ran == [True]


def test_many_cancelled_timers_leave_nothing() -> None:
    cloud, _ = clock()
    for _ in range(1_000):
        cloud.call_at(START + DAY, lambda: None)()
    assert len(cloud._waiting) < 200


def test_somebody_who_waits_is_woken_by_a_leap() -> None:
    async def story() -> None:
        cloud, _ = clock()
        waiting = asyncio.create_task(cloud.wait_until(START + DAY))
        await asyncio.sleep(0)
        assert not waiting.done()
        cloud.set(cloud.advanced(DAY))
        await asyncio.wait_for(waiting, 1)
        gone = asyncio.create_task(cloud.wait_until(START + 3 * DAY))
        await asyncio.sleep(0)
        gone.cancel()
        await asyncio.gather(gone, return_exceptions=True)
        assert all(entry[2].run is None for entry in cloud._waiting)

    asyncio.run(story())


def test_the_machines_clock_wakes_too() -> None:
    async def story() -> None:
        cloud = Clock(MachineClock())
        await asyncio.wait_for(cloud.wait_until(cloud.now() + timedelta(seconds=0.01)), 2)

    asyncio.run(story())


@told
async def test_cloud_time_survives_a_restart(world: World) -> None:
    cloud = world.cloud
    await cloud.set_clock(cloud.clock.advanced(30 * DAY))
    await cloud.set_clock(cloud.clock.paused())
    again = world.again()
    await again.start()
    assert again.now == START + 30 * DAY
    assert again.cloud.clock.state.rate == 0
    await again.close()


def test_a_state_is_what_it_says() -> None:
    cloud = Clock(SimulatedClock(START), ClockState(host=START.timestamp(), cloud=10.0, rate=2.0))
    assert cloud.seconds() == 10


def test_what_cloud_time_it_was_is_known() -> None:
    host = SimulatedClock(START)
    cloud, start = Clock(host), START.timestamp()
    host.run_to(start + 10)
    cloud.set(cloud.advanced(DAY))
    host.run_to(start + 20)
    cloud.set(cloud.paused())
    host.run_to(start + 30)
    cloud.set(cloud.running(2.0))
    host.run_to(start + 40)
    day = DAY.total_seconds()
    for seconds, passed in (
        (5, 5), (10, day + 10), (15, day + 15), (25, day + 20), (35, day + 30), (40, day + 40)
    ):  # fmt: skip
        assert cloud.seconds_at(start + seconds) == start + passed
    assert cloud.seconds() == start + day + 40


def test_an_end_that_was_given_in_host_time_comes_sooner_by_what_leapt_since() -> None:
    host = SimulatedClock(START)
    cloud, start = Clock(host), START.timestamp()
    host.run_to(start + 10)
    cloud.set(cloud.advanced(DAY))
    host.run_to(start + 20)
    day = DAY.total_seconds()
    assert cloud.end_of(start + 60, start + 5) == start + 60
    assert cloud.end_of(start + 60, start + 15) == start + day + 60
    assert cloud.end_of(start + 60) == cloud.end_of(start + 60, start + 99) == start + day + 60


def test_what_cloud_time_it_was_is_forgotten_after_a_week() -> None:
    host = SimulatedClock(START)
    cloud = Clock(host)
    for _ in range(5):
        cloud.set(cloud.advanced(timedelta(hours=1)))
        host.run_to(host.seconds() + 3 * 86_400)
    assert len(cloud.state.before) == 3
    for _ in range(1_200):
        cloud.set(cloud.advanced(timedelta(seconds=1)))
    assert len(cloud.state.before) == 1_000
    assert not any(state.before for state in cloud.state.before)


@pytest.mark.parametrize(
    ("text", "expected"),
    [("90s", 90), ("5m", 300), ("2h", 7_200), ("30d", 30 * 86_400), ("1w", 604_800),
     ("1d12h", 129_600), (" 1.5h ", 5_400)],
)  # fmt: skip
def test_durations_are_typed_as_people_do(text: str, expected: int) -> None:
    assert duration(text) == timedelta(seconds=expected)


@pytest.mark.parametrize("text", ["99999999999999999999d", "9000000d", "9" * 60 + "w"])
def test_more_time_than_there_is_cannot_pass(text: str) -> None:
    with pytest.raises(ValueError, match="longer than there is time"):
        duration(text)


@pytest.mark.parametrize(
    "text", ["9" * 400 + "s", "", "5", "d", "-1d", "1y", "1d 2h", "1.2.3s", "⅓h"]
)
def test_what_is_no_duration_is_refused_with_what_is(text: str) -> None:
    with pytest.raises(ValueError, match="is not a duration"):
        duration(text)
