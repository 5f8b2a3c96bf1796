"""A whole cloud behind its gateway, spoken to with requests that botocore signs; no sockets."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from unittest import mock
from urllib.parse import urlsplit

import botocore.auth
from botocore.auth import S3SigV4Auth, S3SigV4QueryAuth, SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from doppio.gateway.app import Gateway
from doppio.gateway.requestlog import RequestLog
from doppio.wire.http import Request, Response, Whole
from tests.services.world import World

HOST = "localhost:4566"


class Front:
    """A world's gateway."""

    def __init__(self, world: World, folder: Path | None = None) -> None:
        self.world = world
        self.log = RequestLog(folder, world.host.seconds)
        self.gateway = Gateway(world.cloud, self.log)

    async def ask(self, request: Request) -> Response:
        """The answer to a request."""
        return await self.gateway(request)

    def signed(
        self,
        service: str,
        method: str = "POST",
        path: str = "/",
        body: bytes = b"",
        *,
        headers: dict[str, str] | None = None,
        keys: tuple[str, str] | None = ("test", "test"),
        token: str | None = None,
        at: datetime | None = None,
        presigned: int | None = None,
        region: str = "us-east-1",
    ) -> Request:
        """A request, signed now or at another time; by nobody where there are no keys."""
        asked = AWSRequest(method, f"http://{HOST}{path}", headers=headers or {}, data=body)
        if keys is not None:
            credentials = Credentials(*keys, token)
            moment = (at or datetime.fromtimestamp(self.world.host.seconds(), UTC)).replace(
                tzinfo=None
            )
            asked.context["payload_signing_enabled"] = True
            signer: Any
            if presigned is not None:
                signer = S3SigV4QueryAuth(credentials, service, region, expires=presigned)
            elif service == "s3":
                signer = S3SigV4Auth(credentials, service, region)
            else:
                signer = SigV4Auth(credentials, service, region)
            with mock.patch.object(botocore.auth, "get_current_datetime", return_value=moment):
                signer.add_auth(asked)
        ready = asked.prepare()
        split = urlsplit(ready.url)
        lower = {
            name.lower(): value.decode() if isinstance(value, bytes) else value
            for name, value in ready.headers.items()
        }
        lower.setdefault("host", HOST)
        lower["content-length"] = str(len(body))
        return Request(method, split.path, split.query, lower, Whole(body))

    async def json(
        self, service: str, target: str, content: Any, version: str = "1.0", **more: Any
    ) -> tuple[int, dict[str, str], dict[str, Any]]:
        """Ask a service that speaks JSON: status, headers, content."""
        body = content if isinstance(content, bytes) else json.dumps(content).encode()
        headers = {"content-type": f"application/x-amz-json-{version}", "x-amz-target": target}
        answer = await self.ask(self.signed(service, body=body, headers=headers, **more))
        assert isinstance(answer.body, bytes)
        return answer.status, dict(answer.headers), json.loads(answer.body or b"{}")

    async def query(self, service: str, form: str, **more: Any) -> tuple[int, str]:
        """Ask a service that speaks the query protocol: status and XML."""
        headers = {"content-type": "application/x-www-form-urlencoded; charset=utf-8"}
        answer = await self.ask(self.signed(service, body=form.encode(), headers=headers, **more))
        assert isinstance(answer.body, bytes)
        return answer.status, answer.body.decode()

    async def s3(
        self, method: str, path: str, body: bytes = b"", **more: Any
    ) -> tuple[int, dict[str, str], bytes]:
        """Ask S3: status, headers, content."""
        answer = await self.ask(self.signed("s3", method, path, body, **more))
        content = answer.body if isinstance(answer.body, bytes) else b""
        return answer.status, dict(answer.headers), content


def fronted(story: Callable[[Front], Awaitable[None]]) -> Callable[[], None]:
    """A test that talks to a cloud of its own."""

    async def main() -> None:
        world = World()
        await world.start()
        try:
            await story(Front(world))
        finally:
            await world.close()

    def test() -> None:
        asyncio.run(main())

    test.__name__ = story.__name__
    test.__doc__ = story.__doc__
    return test
