from __future__ import annotations

import json
from typing import Any

import pytest

from doppio.wire.http import Request, Whole

from .signed import Front, fronted


async def ask(
    front: Front, path: str, method: str = "GET", body: Any = None, **headers: str
) -> tuple[int, Any]:
    content = b"" if body is None else json.dumps(body).encode()
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    path, _, query = path.partition("?")
    answer = await front.ask(Request(method, path, query, named, Whole(content)))
    assert isinstance(answer.body, bytes)
    kind = dict(answer.headers)["content-type"]
    return answer.status, json.loads(answer.body) if kind.endswith("json") else answer.body.decode()


@fronted
async def test_health_names_what_runs(front: Front) -> None:
    status, health = await ask(front, "/_doppio/health")
    assert (status, health["status"]) == (200, "running")
    assert set(health["services"]) == set(front.world.cloud.services)
    assert health["clock"] == front.world.now.isoformat()


@fronted
async def test_how_code_is_kept_apart_is_said(front: Front) -> None:
    status, said = await ask(front, "/_doppio/isolation")
    assert (status, said["isolation"]) == (200, front.world.cloud.machine.environments.isolation)
    assert "memory bounded by " in said["isolation"]


@fronted
async def test_tools_that_look_for_localstack_find_what_they_need(front: Front) -> None:
    status, health = await ask(front, "/_localstack/health")
    assert (status, health["services"]["sqs"]) == (200, "running")
    assert "codebuild" not in health["services"]
    assert (await ask(front, "/_localstack/info"))[0] == 200
    status, init = await ask(front, "/_localstack/init")
    assert (status, init["completed"]["READY"], init["scripts"]) == (200, True, [])
    status, stage = await ask(front, "/_localstack/init/ready")
    assert (status, stage) == (200, {"completed": True, "name": "READY", "scripts": []})


@fronted
async def test_metrics_count_requests(front: Front) -> None:
    front.gateway.internal.counts = lambda: (12, 3)
    status, text = await ask(front, "/_doppio/metrics")
    assert status == 200
    assert "\ndoppio_requests_total 12\n" in text
    assert "\ndoppio_request_errors_total 3\n" in text


@fronted
async def test_the_clock_turns_only_with_the_token(front: Front) -> None:
    assert (await ask(front, "/_doppio/clock", "POST", {"action": "pause"}))[0] == 403
    front.gateway.internal.token = "secret"
    wrong = {"x_doppio_token": "guess"}
    assert (await ask(front, "/_doppio/clock", "POST", {"action": "pause"}, **wrong))[0] == 403
    right = {"x_doppio_token": "secret"}
    before = front.world.now
    status, now = await ask(
        front, "/_doppio/clock", "POST", {"action": "advance", "by": "1d"}, **right
    )
    assert status == 200
    assert (front.world.now - before).total_seconds() == 86_400
    assert now["now"] == front.world.now.isoformat()
    assert (await ask(front, "/_doppio/clock", "POST", {"action": "pause"}, **right))[1]["paused"]
    rate = {"action": "rate", "rate": 60}
    assert (await ask(front, "/_doppio/clock", "POST", rate, **right))[1]["rate"] == 60
    assert (await ask(front, "/_doppio/clock", "POST", {"action": "resume"}, **right))[1][
        "rate"
    ] == 1
    assert (await ask(front, "/_doppio/clock"))[1]["rate"] == 1


@pytest.mark.parametrize(
    "wish",
    [{}, {"action": "stop"}, {"action": "rate", "rate": 0}, {"action": "rate", "rate": "fast"},
     {"action": "rate"}, {"action": "rate", "rate": []}, {"action": "rate", "rate": 1e7},
     {"action": "advance"}, {"action": "advance", "by": "-1d"}, {"action": "advance", "by": "9e9d"},
     {"action": "advance", "by": "99999999999999999999d"},
     {"action": "advance", "by": "2800000d"}, []],
)  # fmt: skip
def test_a_wish_that_makes_no_sense_is_refused(wish: Any) -> None:
    @fronted
    async def story(front: Front) -> None:
        front.gateway.internal.token = "secret"
        status, text = await ask(front, "/_doppio/clock", "POST", wish, x_doppio_token="secret")
        assert status == 400, text
        assert text["message"]

    story()


@fronted
async def test_zones_fail_and_work_again_with_the_token(front: Front) -> None:
    wish = {"name": "us-east-1b", "state": "down"}
    assert (await ask(front, "/_doppio/zones", "POST", wish))[0] == 403
    front.gateway.internal.token = "secret"
    right = {"x_doppio_token": "secret"}

    async def down() -> list[str]:
        _, found = await ask(front, "/_doppio/zones")
        assert {"us-east-1a", "eu-west-1c"} < {one["name"] for one in found}
        return [one["id"] for one in found if one["state"] == "down"]

    assert await down() == []
    assert (await ask(front, "/_doppio/zones", "POST", wish, **right))[0] == 200
    assert await down() == ["use1-az2"]
    wish = {"name": "us-east-1b", "state": "up"}
    assert (await ask(front, "/_doppio/zones", "POST", wish, **right))[0] == 200
    assert await down() == []
    for wish in ({"name": "us-east-1z", "state": "down"}, {"name": "us-east-1a", "state": "odd"}):
        status, said = await ask(front, "/_doppio/zones", "POST", wish, **right)
        assert status == 400
        assert said["message"]


@fronted
async def test_usage_is_told_by_account(front: Front) -> None:
    await front.world.call("sqs", "create_queue", QueueName="q")
    url = "http://localhost:4566/000000000000/q"
    await front.world.call("sqs", "send_message", QueueUrl=url, MessageBody="x")
    await front.world.cloud.audit.flush()
    _, lines = await ask(front, "/_doppio/usage")
    assert any("Requests" in line["usage_type"] and line["amount"] >= 1 for line in lines)
    assert (await ask(front, "/_doppio/usage?account=111111111111"))[1] == []


@fronted
async def test_what_became_of_a_request_is_told(front: Front) -> None:
    _, headers, _ = await front.json("sqs", "AmazonSQS.CreateQueue", {"QueueName": "q"})
    status, why = await ask(front, f"/_doppio/why/{headers['x-amzn-requestid']}")
    assert status == 200
    assert (why["call"]["service"], why["call"]["operation"]) == ("sqs", "CreateQueue")
    assert (await ask(front, "/_doppio/why/0000"))[0] == 404


@fronted
async def test_elsewhere_there_is_nothing(front: Front) -> None:
    assert (await ask(front, "/_doppio/elsewhere"))[0] == 404
    assert (await ask(front, "/_doppio/health", "DELETE"))[0] == 404


@fronted
async def test_a_service_is_asked_beside_its_operations_only_with_the_token(front: Front) -> None:
    form = {"account": "000000000000", "user": "nobody", "password": "x"}
    assert (await ask(front, "/_aws/iam/signin", "POST", form))[0] == 403
    front.gateway.internal.token = "secret"
    right = {"x_doppio_token": "secret"}
    assert await ask(front, "/_aws/iam/signin", "POST", form, **right) == (
        401, {"message": "Your authentication information is incorrect. Please try again."},
    )  # fmt: skip
    assert (await ask(front, "/_aws/iam/signin", "POST", [1], **right))[0] == 400
    for path in ("/_aws/iam/nothing", "/_aws/nothing/signin"):
        assert (await ask(front, path, "POST", form, **right))[0] == 404
    assert (await ask(front, "/_aws/iam/signin"))[0] == 404
