"""The cloud's own paths: health, metrics, clock, zones, explanations; and LocalStack's, as tools ask.

What changes something needs the token that lies beside the data (0600), so that no web page in
a browser on this machine can turn the clock.
"""

from __future__ import annotations

import asyncio
import hmac
import re
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import unquote

import msgspec

from doppio import __version__
from doppio.gateway.route import services as known_services
from doppio.kernel.audit import LOG, Denial, decode_call
from doppio.kernel.clock import duration
from doppio.kernel.meter import usage
from doppio.kernel.regions import regions, set_zone, zone_id, zones, zones_down
from doppio.wire.errors import AwsError
from doppio.wire.http import Request, Response

TOKEN_HEADER = "x-doppio-token"
PAGES = "/_aws/"
CALLS_A_READ = 2_000
USAGE_LINES_MAX = 10_000


class Internal:
    """Answers the internal paths."""

    def __init__(self, cloud: Any) -> None:
        self._cloud = cloud
        self.token = ""
        self.counts: Callable[[], tuple[int, int]] = lambda: (0, 0)
        self._get: dict[str, Callable[[Request], Awaitable[Response]]] = {
            "/_doppio/health": self._health,
            "/_doppio/metrics": self._metrics,
            "/_doppio/isolation": self._isolation,
            "/_doppio/clock": self._clock,
            "/_doppio/zones": self._zones,
            "/_doppio/usage": self._usage,
            "/_localstack/health": self._localstack_health,
            "/_localstack/info": self._localstack_info,
            "/_localstack/init": self._localstack_init,
        }

    async def answer(self, request: Request) -> Response:
        """Answer one request."""
        path = request.path.rstrip("/")
        if request.method in {"GET", "HEAD"}:
            found = self._get.get(path)
            if found is not None:
                return await found(request)
            stage = re.fullmatch(r"/_localstack/init/(boot|start|ready|shutdown)", path)
            if stage:
                name = stage[1].upper()
                return _json({"completed": name != "SHUTDOWN", "name": name, "scripts": []})
            if path.startswith(PAGES):
                return await self._page(path.removeprefix(PAGES))
            why = re.fullmatch(r"/_doppio/why/([^/]{1,256})", path)
            if why:
                return await self._why(unquote(why[1]))
        if request.method == "POST" and path == "/_doppio/clock":
            return await self._set_clock(request)
        if request.method == "POST" and path == "/_doppio/zones":
            return await self._set_zone(request)
        if request.method == "POST" and path.startswith(PAGES):
            return await self._post(request, path.removeprefix(PAGES))
        return _json({"message": f"There is nothing at {request.path}."}, 404)

    async def _post(self, request: Request, name: str) -> Response:
        service = self._cloud.services.get(name.partition("/")[0])
        post = None if service is None else service.posts.get(name)
        if post is None:
            return _json({"message": f"There is nothing at {PAGES}{name}."}, 404)
        refused = self._refused(request)
        if refused is not None:
            return refused
        try:
            asked = msgspec.json.decode(request.body.whole or b"{}", type=dict[str, Any])
            return _json(await post(self._cloud.context_for("", "us-east-1"), asked))
        except msgspec.DecodeError as error:
            return _json({"message": str(error)}, 400)
        except AwsError as error:
            return _json({"message": error.message}, error.status)

    async def _page(self, name: str) -> Response:
        service = self._cloud.services.get(name.partition("/")[0])
        for beginning, page in service.pages.items() if service is not None else ():
            if name.startswith(beginning):
                found = await page(self._cloud.context_for("", ""), name.removeprefix(beginning))
                if found is not None:
                    return Response(200, [("content-type", found[1])], found[0])
        return _json({"message": f"There is nothing at {PAGES}{name}."}, 404)

    async def _health(self, request: Request) -> Response:
        cloud = self._cloud
        return _json(
            {
                "status": "running",
                "version": __version__,
                "services": dict.fromkeys(sorted(cloud.services), "running"),
                "clock": cloud.clock.now().isoformat(),
            }
        )

    async def _isolation(self, request: Request) -> Response:
        """How code that users bring is kept apart; the first time, that is tried out."""
        environments = self._cloud.machine.environments
        loop = asyncio.get_running_loop()
        said = await loop.run_in_executor(None, lambda: environments.isolation)
        return _json({"isolation": said})

    async def _metrics(self, request: Request) -> Response:
        requests, errors = self.counts()
        text = (
            "# HELP doppio_requests_total Requests answered.\n"
            "# TYPE doppio_requests_total counter\n"
            f"doppio_requests_total {requests}\n"
            "# HELP doppio_request_errors_total Requests answered with a status of 400 or more.\n"
            "# TYPE doppio_request_errors_total counter\n"
            f"doppio_request_errors_total {errors}\n"
            "# HELP doppio_cloud_time_seconds Cloud time, seconds since 1970.\n"
            "# TYPE doppio_cloud_time_seconds gauge\n"
            f"doppio_cloud_time_seconds {self._cloud.clock.seconds():.3f}\n"
        )
        return Response(200, [("content-type", "text/plain; version=0.0.4")], text.encode())

    async def _clock(self, request: Request) -> Response:
        clock = self._cloud.clock
        return _json(
            {
                "now": clock.now().isoformat(),
                "host": clock.host_now().isoformat(),
                "rate": clock.state.rate,
                "paused": clock.state.rate == 0,
            }
        )

    async def _set_clock(self, request: Request) -> Response:
        refused = self._refused(request)
        if refused is not None:
            return refused
        clock = self._cloud.clock
        try:
            wish = msgspec.json.decode(request.body.whole or b"{}", type=dict[str, Any])
            action = wish.get("action")
            if action == "pause":
                state = clock.paused()
            elif action == "resume":
                state = clock.running()
            elif action == "rate":
                state = clock.running(_rate(wish.get("rate")))
            elif action == "advance":
                state = clock.advanced(duration(str(wish.get("by", ""))))
            else:
                raise ValueError("action is one of pause, resume, rate, advance")
        except (ValueError, msgspec.DecodeError) as error:
            return _json({"message": str(error)}, 400)
        await self._cloud.set_clock(state)
        return await self._clock(request)

    async def _zones(self, request: Request) -> Response:
        down = set(await zones_down(self._cloud.context_for("", "").read()))
        return _json(
            [
                {"name": zone, "id": zone_id(zone), "state": "down" if zone in down else "up"}
                for region in regions()
                for zone in zones(region)
            ]
        )

    async def _set_zone(self, request: Request) -> Response:
        refused = self._refused(request)
        if refused is not None:
            return refused
        try:
            wish = msgspec.json.decode(request.body.whole or b"{}", type=dict[str, Any])
            state = wish.get("state")
            if state not in {"up", "down"}:
                raise ValueError("state is one of up, down")
            async with self._cloud.context_for("", "").write() as tx:
                set_zone(tx, str(wish.get("name", "")), state)
        except (ValueError, msgspec.DecodeError) as error:
            return _json({"message": str(error)}, 400)
        return await self._zones(request)

    async def _usage(self, request: Request) -> Response:
        found = re.search(r"(?:^|&)account=(\d{12})(?:&|$)", request.query)
        account = found[1] if found else "000000000000"
        lines = await usage(self._cloud.store.view(), account, limit=USAGE_LINES_MAX)
        return _json(
            [
                {
                    "region": line.region,
                    "usage_type": line.usage_type,
                    "hour": line.hour.isoformat(),
                    "amount": line.amount,
                }
                for line in lines
            ]
        )

    async def _why(self, request_id: str) -> Response:
        context = self._cloud.context_for("", "")
        denial = await context.read().get(Denial, request_id)
        if denial is not None:
            return Response(200, _JSON, msgspec.json.encode({"denied": denial}))
        await self._cloud.audit.flush()
        view, position = self._cloud.store.view(), 0
        while entries := await view.log(LOG, position, limit=CALLS_A_READ):
            position = entries[-1][0]
            for _, entry in entries:
                call = decode_call(entry)
                if call.request_id == request_id:
                    names = call.__struct_fields__
                    return _json({"call": {name: getattr(call, name) for name in names}})
        return _json(
            {"message": f"No denial or recorded call has the request id {request_id}."}, 404
        )

    async def _localstack_health(self, request: Request) -> Response:
        running = self._cloud.services
        return _json(
            {
                "services": {name: "running" for name in known_services() if name in running},
                "edition": "community",
                "version": __version__,
            }
        )

    async def _localstack_info(self, request: Request) -> Response:
        return _json(
            {"version": __version__, "edition": "community", "is_license_activated": False}
        )

    async def _localstack_init(self, request: Request) -> Response:
        return _json(
            {
                "completed": {"BOOT": True, "START": True, "READY": True, "SHUTDOWN": False},
                "scripts": [],
            }
        )

    def _refused(self, request: Request) -> Response | None:
        given = request.headers.get(TOKEN_HEADER, "")
        if self.token and hmac.compare_digest(given.encode(), self.token.encode()):
            return None
        return _json(
            {
                "message": f"This needs the header {TOKEN_HEADER} with the token from the data directory."
            },
            403,
        )


_JSON = [("content-type", "application/json")]


def _json(content: Any, status: int = 200) -> Response:
    return Response(status, list(_JSON), msgspec.json.encode(content))


def _rate(given: Any) -> float:
    try:
        rate = float(given)
    except (TypeError, ValueError):
        rate = 0.0
    if not 0 < rate <= 1e6:
        raise ValueError("rate is a number above 0 and at most 1000000")
    return rate
