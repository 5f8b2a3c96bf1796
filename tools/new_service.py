"""Writes the skeleton of a service: `python -m tools.new_service NAME` (botocore's model name).

What it writes passes `make check` as it is, and has no operation yet: the door answers 501 for each.
"""

from __future__ import annotations

import sys
from pathlib import Path

from doppio.catalog import package_name
from doppio.wire import model

ROOT = Path(__file__).parent.parent

FILES = {
    "__init__.py": '''"""{title}: one sentence that says what it is for.

Reading order: `records` (what is stored), `rules` (what is decided), then the nouns.
"""
''',
    "service.py": '''"""{title}: the table of contents."""

from __future__ import annotations

from doppio.kernel.service import Service

SERVICE = Service("{name}", groups=[])
''',
    "records.py": '''"""What {title} stores: frozen structs, each with its table, key and indexes."""

from __future__ import annotations
''',
    "rules.py": '''"""{title}'s decisions, pure: no clock, no store, nothing awaited."""

from __future__ import annotations
''',
    "limits.py": '''"""Every number that AWS documents for {title}, with its unit last in the name."""

from __future__ import annotations
''',
    "errors.py": '''"""{title}'s errors: one class per AWS code that the operations raise."""

from __future__ import annotations
''',
    "README.md": """# {title}

## What it promises

Nothing yet: every operation answers 501 `NotImplemented`.

## What it has

| | Operations |
| --- | --- |

## Known differences

None yet.
""",
    "quality.toml": """# Which rules of docs/rules hold for this service, by level; an exemption names its reason.
service = "{name}"
level = "begun"

[holds]

[exempt]
""",
}
TEST = '''"""{title}, through the door."""

from __future__ import annotations

from doppio.services.{package}.service import SERVICE
from doppio.wire import model


def test_every_operation_is_one_of_the_model() -> None:
    assert set(SERVICE.operations) <= set(model.load("{name}").by_method)
'''


def write(name: str, root: Path = ROOT) -> list[Path]:
    """Write the skeleton; the files written. Raises ValueError for a name that cannot be."""
    try:
        title = model.load(name).name
    except KeyError as error:
        raise ValueError(f"botocore has no service model named {name!r}") from error
    package = package_name(name)
    folder = root / "src" / "doppio" / "services" / package
    if folder.exists():
        raise ValueError(f"{folder} exists already")
    tests = root / "tests" / "services" / package
    folder.mkdir(parents=True)
    tests.mkdir(parents=True)
    known = {"name": name, "package": package, "title": title.upper() if len(title) < 5 else title}
    written = []
    for file, text in FILES.items():
        path = folder / file
        path.write_text(text.format(**known))
        written.append(path)
    for file, text in (("__init__.py", ""), (f"test_{package}.py", TEST)):
        path = tests / file
        path.write_text(text.format(**known))
        written.append(path)
    return written


def main() -> None:
    """The command."""
    if len(sys.argv) != 2:
        sys.exit("usage: python -m tools.new_service NAME")
    try:
        for path in write(sys.argv[1]):
            print(path.relative_to(ROOT))
    except ValueError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
