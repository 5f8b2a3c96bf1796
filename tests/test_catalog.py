from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from doppio.app import Cloud, Settings
from doppio.catalog import Catalog, model_name, service_of
from doppio.kernel.records import TABLES

STORY = """
import asyncio, sys
from pathlib import Path
from doppio.app import Cloud, Settings

async def main():
    cloud = Cloud(Settings(data=Path(sys.argv[1]), port=0))
    await cloud.start()
    for step in sys.argv[2:]:
        service, method, key, value = step.split(":")
        await cloud.enter(cloud.root_context(), service, method, {key: value})
    while not cloud._dispatcher.complete:
        await asyncio.sleep(0.01)
    print(*sorted(service.name for service in cloud.services.imported))
    await cloud.close()

asyncio.run(main())
"""


def imported(data: Path, *steps: str) -> list[str]:
    """The services that a cloud in a process of its own has imported after these calls."""
    told = subprocess.run(
        [sys.executable, "-c", STORY, str(data), *steps], capture_output=True, text=True, check=True
    )
    return told.stdout.split()


def test_a_service_is_imported_when_it_is_called(tmp_path: Path) -> None:
    assert imported(tmp_path / "a") == ["iam"]
    assert imported(tmp_path / "b", "sqs:create_queue:QueueName:orders") == ["iam", "sqs"]


def test_a_service_that_has_left_something_is_imported_at_the_next_start(tmp_path: Path) -> None:
    imported(tmp_path, "sqs:create_queue:QueueName:orders", "sns:create_topic:Name:news")
    assert imported(tmp_path) == ["iam", "sns", "sqs"]


def test_tables_and_jobs_and_pages_bear_the_name_of_their_service() -> None:
    for name, service in Catalog().items():
        assert all(job.startswith(f"{name}.") for job in service.jobs), name
        assert all(page.startswith(f"{name}/") for page in service.pages), name
    for table in TABLES.values():
        owner = service_of(table.cls.__module__)
        assert owner is None or table.name.startswith(f"{owner}."), table.name


def test_packages_are_called_as_python_can_and_models_as_aws_does() -> None:
    assert [model_name(name) for name in ("sqs", "lambda_", "cognito_idp")] == [
        "sqs", "lambda", "cognito-idp",
    ]  # fmt: skip
    assert service_of("doppio.services.s3.happenings") == "s3"
    assert service_of("doppio.kernel.jobs") is None


def test_what_is_not_there_is_not_in_the_catalog(tmp_path: Path) -> None:
    catalog = Cloud(Settings(data=tmp_path)).services
    assert catalog.get("sqs") is not None
    assert "timestream" not in catalog
    assert catalog.get("timestream") is None
