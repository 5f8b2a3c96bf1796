"""The rules of the house hold, and each rule is shown to find what it forbids."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tools import check, new_service
from tools.check import Finding

Rule = Callable[[str, str], Iterator[Finding]]
SOURCE_RULES: list[Rule] = [check.layers, check.bans, check.sizes, check.mirror, check.docstrings]


def findings(rule: Rule, paths: list[str]) -> list[Finding]:
    found = [finding for path in paths for finding in rule(path, check.text_of(path))]
    return check.exempted(found)


@pytest.mark.parametrize("rule", SOURCE_RULES, ids=lambda rule: rule.__name__)
def test_the_source_keeps_the_rule(rule: Rule) -> None:
    found = findings(rule, check.tracked("src/*.py"))
    assert not found, "\n".join(map(str, found))


def test_no_file_outside_the_source_is_too_long() -> None:
    paths = check.tracked("tests/*.py", "tools/*.py", "demo/*.py", "bench/*.py")
    found = findings(check.sizes, paths)
    assert not found, "\n".join(map(str, found))


def test_no_committed_file_names_a_registry_or_a_machine() -> None:
    paths = [path for path in check.tracked() if not path.endswith((".json", ".png"))]
    found = findings(check.hosts, paths)
    assert not found, "\n".join(map(str, found))


def test_links_between_documents_lead_somewhere() -> None:
    found = findings(check.links, check.tracked("*.md"))
    assert not found, "\n".join(map(str, found))


def test_every_service_has_the_standard_files() -> None:
    found = list(check.services())
    assert not found, "\n".join(map(str, found))


def test_the_architecture_names_every_file_of_the_kernel() -> None:
    found = list(check.kernel_table())
    assert not found, "\n".join(map(str, found))


def test_a_file_of_the_kernel_that_is_not_named_is_found(tmp_path: Path) -> None:
    kernel = tmp_path / "src" / "doppio" / "kernel"
    kernel.mkdir(parents=True)
    for name in ("clock", "store"):
        (kernel / f"{name}.py").write_text("")
    table = "## The kernel, file by file\n| `clock`, `gone` | time |\n\n## Time\n| `store` | |\n"
    (tmp_path / "ARCHITECTURE.md").write_text(table)
    found = [finding.text.split()[0] for finding in check.kernel_table(tmp_path)]
    assert found == ["gone", "store"]


def test_the_architecture_stays_within_two_hundred_lines() -> None:
    assert check.text_of("ARCHITECTURE.md").count("\n") <= 200


@pytest.mark.parametrize(
    ("rule", "path", "text"),
    [
        (check.layers, "src/doppio/wire/x.py", "from doppio.kernel import clock\n"),
        (check.layers, "src/doppio/gateway/x.py", "import doppio.services.sqs.queues\n"),
        (
            check.layers,
            "src/doppio/services/sqs/x.py",
            "from doppio.services.iam.records import User\n",
        ),
        (
            check.layers,
            "src/doppio/services/sqs/rules.py",
            "from doppio.kernel.context import Context\n",
        ),
        (check.bans, "src/doppio/services/sqs/x.py", "now = datetime.now(UTC)\n"),
        (check.bans, "src/doppio/services/sqs/x.py", "await asyncio.sleep(1)\n"),
        (check.bans, "src/doppio/gateway/x.py", "try: pass\nexcept Exception: pass\n"),
        (check.bans, "src/doppio/wire/x.py", "x = 1  # type: ignore\n"),
        (check.sizes, "src/doppio/wire/x.py", "x = 1\n" * 501),
        (check.sizes, "src/doppio/wire/x.py", "def f():\n" + "    x = 1\n" * 70),
        (check.mirror, "src/doppio/wire/nowhere_tested.py", ""),
        (check.docstrings, "src/doppio/wire/x.py", "x = 1\n"),
        (check.hosts, "docs/x.md", "see /ho" + "me/somebody/x\n"),
        (check.links, "docs/x.md", "[gone](nowhere.md)\n"),
    ],
)
def test_a_rule_finds_what_it_forbids(rule: Rule, path: str, text: str) -> None:
    assert list(rule(path, text))


def test_a_service_without_its_files_is_found(tmp_path: Path) -> None:
    folder = tmp_path / "src" / "doppio" / "services" / "empty"
    folder.mkdir(parents=True)
    (folder / "service.py").write_text("")
    assert list(check.services(tmp_path))


def test_a_readme_whose_headings_are_others_is_found(tmp_path: Path) -> None:
    written = new_service.write("sqs", tmp_path)
    assert not list(check.services(tmp_path))
    readme = next(path for path in written if path.name == "README.md")
    readme.write_text(readme.read_text().replace("What it has", "Operations"))
    found = list(check.services(tmp_path))
    assert [finding.path for finding in found] == ["src/doppio/services/sqs/README.md"]
