"""`python -m bench.functions`: how soon functions answer, warm and from a cold start, through boto3."""

from __future__ import annotations

import io
import json
import statistics
import sys
import time
import zipfile
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from doppio.testing import Cloud

CODE = "def handler(event, context):\n    return event\n"
TRUST = {
    "Version": "2012-10-17",
    "Statement": [{
        "Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"},
        "Action": "sts:AssumeRole",
    }],
}  # fmt: skip
COLD, WARM, AT_ONCE = 15, 400, 4


def package() -> bytes:
    """A package with one handler that answers its event."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("app.py", CODE)
    return buffer.getvalue()


def timed(client: Any, name: str) -> float:
    """Milliseconds of one invocation."""
    begun = time.perf_counter()
    answer = client.invoke(FunctionName=name, Payload=b'{"a":1}')
    assert json.loads(answer["Payload"].read()) == {"a": 1}
    return (time.perf_counter() - begun) * 1000


def shown(name: str, figures: list[float]) -> None:
    """Say what was measured."""
    ordered = sorted(figures)
    p99 = ordered[min(len(ordered) - 1, int(len(ordered) * 0.99))]
    print(f"{name:28} p50 {statistics.median(ordered):7.1f} ms   p99 {p99:7.1f} ms")


def main() -> None:
    """Measure."""
    with Cloud() as cloud:
        role = cloud.client("iam").create_role(
            RoleName="bench", AssumeRolePolicyDocument=json.dumps(TRUST)
        )["Role"]["Arn"]
        client = cloud.client("lambda")
        version = "python{}.{}".format(*sys.version_info[:2])
        for number in range(COLD):
            client.create_function(
                FunctionName=f"f{number}", Runtime=version, Handler="app.handler", Role=role,
                Code={"ZipFile": package()},
            )  # fmt: skip
        client.get_waiter("function_active_v2").wait(FunctionName=f"f{COLD - 1}")
        running = cloud._thread.running
        assert running is not None
        print(f"isolation: {running.cloud.machine.environments.isolation}")
        shown("cold start", [timed(client, f"f{number}") for number in range(COLD)])
        shown("warm", [timed(client, "f0") for _ in range(WARM)])
        begun = time.perf_counter()
        with ThreadPoolExecutor(AT_ONCE) as threads:
            each = threads.map(lambda _: timed(client, "f1"), range(WARM))
            shown(f"warm, {AT_ONCE} at once", list(each))
        print(f"{WARM / (time.perf_counter() - begun):.0f} invocations a second")


if __name__ == "__main__":
    main()
