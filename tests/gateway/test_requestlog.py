from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from doppio.gateway import requestlog
from doppio.gateway.requestlog import RequestLog
from doppio.wire.http import Request, Whole

REQUEST = Request("GET", "/bucket", "", {}, Whole(b""), peer="127.0.0.9")


def lines(folder: Path, name: str = "requests.jsonl") -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / name).read_text().splitlines()]


def write(log: RequestLog, count: int, status: int = 200) -> None:
    async def story() -> None:
        for number in range(count):
            line = log.line(REQUEST, f"id-{number}")
            line.service, line.operation = "s3", "ListObjects"
            log.write(line, status)
        log.flush()

    asyncio.run(story())


def test_each_request_is_a_line_that_only_the_owner_reads(tmp_path: Path) -> None:
    now = iter([1.0, 1.5])
    write(RequestLog(tmp_path, lambda: next(now)), 1)
    assert lines(tmp_path) == [
        {
            "id": "id-0", "at": 1.0, "method": "GET", "path": "/bucket", "peer": "127.0.0.9",
            "service": "s3", "operation": "ListObjects", "status": 200, "micros": 500_000,
        }
    ]  # fmt: skip
    assert (tmp_path / "requests.jsonl").stat().st_mode & 0o777 == 0o600


def test_lines_are_written_within_a_second_without_being_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(requestlog, "BATCH_SECONDS", 0.01)

    async def story() -> None:
        log = RequestLog(tmp_path, lambda: 0.0)
        log.write(log.line(REQUEST, "x"), 200)
        await asyncio.sleep(0.1)
        assert [line["id"] for line in lines(tmp_path)] == ["x"]

    asyncio.run(story())


def test_many_lines_are_not_held(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(requestlog, "LINES_HELD_MAX", 3)

    async def story() -> None:
        log = RequestLog(tmp_path, lambda: 0.0)
        for number in range(3):
            log.write(log.line(REQUEST, str(number)), 200)
        assert len(lines(tmp_path)) == 3

    asyncio.run(story())


def test_a_full_file_makes_room_for_a_new_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(requestlog, "FILE_BYTES_MAX", 500)
    log = RequestLog(tmp_path, lambda: 0.0)
    write(log, 10)
    write(log, 1)
    assert len(lines(tmp_path, "requests.1.jsonl")) == 10
    assert len(lines(tmp_path)) == 1


def test_requests_and_errors_are_counted(tmp_path: Path) -> None:
    log = RequestLog(None, lambda: 0.0)
    write(log, 3)
    write(log, 2, status=404)
    assert (log.count, log.errors) == (5, 2)


def test_a_folder_that_is_gone_fails_no_request(tmp_path: Path) -> None:
    write(RequestLog(tmp_path / "gone", lambda: 0.0), 1)
