from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from botocore.auth import HmacV1QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from doppio.gateway import links
from doppio.gateway.links import Links
from doppio.kernel.clock import Clock, SimulatedClock
from doppio.wire.http import Request, Whole

from .signed import HOST, Front, fronted

START = datetime(2030, 1, 1, tzinfo=UTC)
MONTH = timedelta(days=30)


async def furnish(front: Front) -> None:
    await front.s3("PUT", "/bucket")
    await front.s3("PUT", "/bucket/key", b"coffee")


def pass_host(front: Front, seconds: float) -> None:
    front.world.host.run_to(front.world.host.seconds() + seconds)


def link(front: Front, seconds: int = 3_600) -> Request:
    return front.signed("s3", "GET", "/bucket/key", presigned=seconds)


def old_link(front: Front, seconds: int = 3_600) -> Request:
    """A link of Signature Version 2, as boto3 makes them."""
    asked = AWSRequest("GET", f"http://{HOST}/bucket/key")
    signer = HmacV1QueryAuth(Credentials("test", "test"), expires=seconds)
    ends = int(front.world.host.seconds()) + seconds
    signer._get_date = lambda: str(ends)
    signer.add_auth(asked)
    assert asked.url is not None
    return Request("GET", "/bucket/key", asked.url.partition("?")[2], {"host": HOST}, Whole(b""))


async def status(front: Front, request: Request) -> int:
    return (await front.ask(request)).status


@fronted
async def test_a_link_that_is_signed_after_a_leap_of_cloud_time_is_good(front: Front) -> None:
    await furnish(front)
    await front.world.advance(days=30)
    assert await status(front, link(front)) == 200
    assert await status(front, old_link(front)) == 200
    pass_host(front, 2)
    request, old = link(front, 60), old_link(front, 60)
    assert await status(front, request) == 200
    assert await status(front, old) == 200
    pass_host(front, 61)
    assert await status(front, request) == 403, "and it ends when its time is over"
    assert await status(front, old) == 403


@fronted
async def test_a_link_that_is_signed_before_a_leap_ends_by_it(front: Front) -> None:
    await furnish(front)
    unused, lasting = link(front), link(front, 86_400)
    pass_host(front, 2)
    await front.world.advance(hours=2)
    assert await status(front, unused) == 403
    assert await status(front, lasting) == 200
    pass_host(front, 2)
    await front.world.advance(hours=23)
    assert await status(front, lasting) == 403


@fronted
async def test_a_link_that_has_come_was_signed_before_what_leaps_then(front: Front) -> None:
    await furnish(front)
    request, old = link(front), old_link(front)
    for one in (request, old):
        assert await status(front, one) == 200
    await front.world.advance(hours=2)
    for one in (request, old):
        assert await status(front, one) == 403
    assert await status(front, old_link(front, 7_201)) == 200


@fronted
async def test_a_link_lasts_while_cloud_time_stands_still(front: Front) -> None:
    await furnish(front)
    request = link(front)
    pass_host(front, 2)
    await front.world.cloud.set_clock(front.world.cloud.clock.paused())
    pass_host(front, 7_200)
    assert await status(front, request) == 200


def test_so_many_links_are_remembered_at_most(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(links, "REMEMBERED_MAX", 2)
    clock = Clock(SimulatedClock(START))
    found = Links.of(clock)
    assert Links.of(clock) is found
    for name in ("a", "b", "c", "c"):
        found.has_come(clock, name)
    assert list(found._came) == ["b", "c"]
    clock.set(clock.advanced(MONTH))
    end = START.timestamp() + 60
    assert found.end_of(clock, "a")(end, None) == end + MONTH.total_seconds()
    assert found.end_of(clock, "c")(end, None) == end
