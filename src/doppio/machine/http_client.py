"""Requests to HTTP servers outside this cloud, in worker threads."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple
from urllib.parse import urlsplit

import urllib3

# A subscriber that is slow takes one of these, and the others go on.
THREADS_MAX = 32
BODY_BYTES_MAX = 64 * 1024


class Answer(NamedTuple):
    """What a server said; `status` is 0 and `error` says why where it said nothing.

    `retry_after` is its header of that name.
    """

    status: int
    body: bytes
    error: str = ""
    retry_after: str = ""

    @property
    def ok(self) -> bool:
        return 200 <= self.status < 300


class HttpClient:
    """Posts to other people's servers. Certificates are checked where the scheme is https.

    `outside` says where a host really is: a request for `https://proxy.example` goes to the server
    of another URL, and names the host it was meant for.
    """

    def __init__(self, outside: Mapping[str, str] | None = None) -> None:
        self._outside = dict(outside or {})
        self._pool = urllib3.PoolManager(num_pools=64, maxsize=THREADS_MAX, retries=False)
        self._threads = ThreadPoolExecutor(THREADS_MAX, thread_name_prefix="http client")

    async def send(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str],
        body: bytes,
        seconds_max: float,
        fingerprint: str | None = None,
        bytes_max: int = BODY_BYTES_MAX,
    ) -> Answer:
        """One request; never raises for what the other side does, and follows no redirects.

        Of what it says, `bytes_max` are read.

        `fingerprint`: the SHA-1 or SHA-256 of the one certificate that the server may have, in
        hexadecimal; no authority is asked then.
        """
        return await asyncio.get_running_loop().run_in_executor(
            self._threads, self._send, method, url, dict(headers), body, seconds_max, fingerprint,
            bytes_max,
        )  # fmt: skip

    def close(self) -> None:
        """Let go of connections and threads; a request under way ends by itself."""
        self._threads.shutdown(wait=False, cancel_futures=True)
        self._pool.clear()

    def _send(
        self,
        method: str,
        url: str,
        headers: dict[str, str],
        body: bytes,
        seconds_max: float,
        fingerprint: str | None,
        bytes_max: int,
    ) -> Answer:
        parts = urlsplit(url)
        there = self._outside.get(parts.hostname or "")
        if there is not None:
            headers.setdefault("host", parts.netloc.rpartition("@")[2])
            url = there.rstrip("/") + url.partition(parts.netloc)[2]
        elif parts.username is not None:
            login = f"{parts.username}:{parts.password or ''}"
            headers.update(urllib3.make_headers(basic_auth=login))
            url = url.replace(f"{parts.netloc.rpartition('@')[0]}@", "", 1)
        pool = self._pool if fingerprint is None else _pinned(fingerprint)
        try:
            response = pool.request(
                method,
                url,
                body=body,
                headers=headers,
                timeout=urllib3.Timeout(total=seconds_max),
                redirect=False,
                preload_content=False,
            )
            try:
                said = response.read(bytes_max)
                return Answer(response.status, said, "", response.headers.get("retry-after", ""))
            finally:
                response.release_conn()
        except (urllib3.exceptions.HTTPError, OSError, ValueError) as error:
            return Answer(0, b"", str(error))
        finally:
            if fingerprint is not None:
                pool.clear()


def _pinned(fingerprint: str) -> urllib3.PoolManager:
    return urllib3.PoolManager(
        retries=False, cert_reqs="CERT_NONE", assert_hostname=False, assert_fingerprint=fingerprint
    )
