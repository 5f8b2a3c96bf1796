"""The rules of the house, as functions from source to findings; `tests/tidy` runs them.

Each takes a path within the repository and its text, and gives lines that say what is wrong.
Exemptions stand in `EXEMPT`, each with its reason; one that is no longer needed is a finding.
"""

from __future__ import annotations

import ast
import re
import subprocess
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parent.parent
FILE_LINES_MAX = 500
FUNCTION_LINES_MAX = 70

# (rule, path): why.
EXEMPT: dict[tuple[str, str], str] = {
    ("sizes", "src/doppio/services/dynamodb/expressions/reserved.py"): "a table of words",
    ("mirror", "src/doppio/gateway/limits.py"): "numbers alone",
    ("mirror", "src/doppio/kernel/kernel.py"): "an interface; tests/test_catalog.py and all others",
    ("mirror", "src/doppio/kernel/store.py"): "an interface; tests/kernel/test_store_contract.py",
    ("mirror", "src/doppio/kernel/web.py"): "an interface; tests/gateway/test_websites.py",
    ("mirror", "src/doppio/kernel/witness.py"): "an interface; tests/services/s3/test_access_logs",
}


class Finding(NamedTuple):
    """Something that breaks a rule."""

    rule: str
    path: str
    line: int
    text: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.rule}: {self.text}"


def tracked(*patterns: str) -> list[str]:
    """The files of the repository, new ones too, that match git's patterns."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", *patterns],
        cwd=ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    return sorted({path for path in listed.stdout.splitlines() if (ROOT / path).is_file()})


def text_of(path: str) -> str:
    """The content of a file."""
    return (ROOT / path).read_text(errors="replace")


# Who may import whom: left may import right, and nothing else of ours.
ALLOWED: dict[str, set[str]] = {
    "wire": {"wire"},
    "machine": {"machine"},
    "kernel": {"kernel", "wire", "machine"},
    "services": {"services", "kernel", "wire", "machine"},
    "gateway": {"gateway", "kernel", "wire"},
    "catalog": {"services", "kernel"},
    "app": {"app", "catalog", "gateway", "services", "kernel", "wire", "machine"},
    "server": {"server", "app", "gateway", "kernel", "wire"},
    "cli": {"cli", "server", "app", "catalog", "gateway", "kernel", "wire"},
    "__main__": {"cli"},
    "testing": {"testing", "server", "app", "kernel"},
}
RULES_IMPORT = ("doppio.services.{}.records", "doppio.services.{}.limits",
                "doppio.services.{}.errors", "doppio.wire.arn")  # fmt: skip


def imports(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Modules that a file imports, with their lines; those for the type checker alone left out."""
    skipped: set[int] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            skipped.update(id(inner) for inner in ast.walk(node))
        if id(node) in skipped:
            continue
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                yield node.lineno, f"{node.module}.{alias.name}"


def layers(path: str, text: str) -> Iterator[Finding]:
    """ARCHITECTURE: imports point one way, and services know each other by `ports` alone."""
    parts = Path(path).with_suffix("").parts
    if parts[:2] != ("src", "doppio") or len(parts) < 3:
        return
    layer = parts[2]
    for line, module in imports(ast.parse(text)):
        names = module.split(".")
        if names[0] != "doppio" or len(names) < 2 or names[1].startswith("__"):
            continue
        if names[1] not in ALLOWED.get(layer, set()) and names[1] != "data":
            yield Finding("layers", path, line, f"{layer} may not import {module}")
        if layer == names[1] == "services" and len(parts) > 4:
            own, other = parts[3], names[2]
            if own != other and names[3:4] != ["ports"]:
                yield Finding("layers", path, line, f"{own} knows {other} by its ports alone")
        if parts[-1] == "rules" and layer == "services":
            fine = [pattern.format(parts[3]) for pattern in RULES_IMPORT]
            if not module.startswith(tuple(fine)):
                yield Finding("layers", path, line, f"rules.py may not import {module}")


# What is allowed in the kernel alone, or where the second column says.
BANS: tuple[tuple[str, str, str], ...] = (
    (r"\bdatetime\.now\(|\butcnow\(|\btime\.time\(", r"src/doppio/kernel/", "the clock is passed in"),
    (r"\basyncio\.sleep\((?!0\))", r"src/doppio/kernel/", "waits name their time: use the clock"),
    (r"\buuid4\(|\bimport random\b|\brandom\.random\(", r"src/doppio/kernel/", "ids and chance come from the context"),
    (r"\bshell\s*=\s*True", r"$^", "no shell strings"),
    (r"^\s*print\(", r"src/doppio/cli/", "only commands print"),
    (r"except Exception\b",
     r"src/doppio/(kernel/(door|controller|events|jobs|landing|leases|postgres_\w+)|gateway/(app|connection|drive)|server)\.py",
     "errors are caught by type"),
    (r"#\s*type: ignore(?!\[)", r"$^", "a type: ignore says what it ignores"),
    (r"\b(TODO|FIXME|XXX)\b", r"$^", "open ends are issues"),
)  # fmt: skip


def bans(path: str, text: str) -> Iterator[Finding]:
    """STYLE: what may stand in the kernel alone, or nowhere."""
    if not path.startswith("src/"):
        return
    for pattern, where, why in BANS:
        if re.search(where, path):
            continue
        for number, line in enumerate(text.splitlines(), 1):
            if re.search(pattern, line):
                yield Finding("bans", path, number, f"{line.strip()[:60]} — {why}")


def sizes(path: str, text: str) -> Iterator[Finding]:
    """STYLE: one noun a file, one screen a function."""
    count = text.count("\n")
    if count > FILE_LINES_MAX:
        yield Finding("sizes", path, 1, f"{count} lines, at most {FILE_LINES_MAX}")
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and node.end_lineno:
            length = node.end_lineno - node.lineno + 1
            if length > FUNCTION_LINES_MAX:
                yield Finding("sizes", path, node.lineno, f"{node.name} has {length} lines")


def mirror(path: str, text: str) -> Iterator[Finding]:
    """STYLE: each file of a layer has its test file."""
    found = re.fullmatch(r"src/doppio/(wire|kernel|gateway|machine)/(?:(\w+)/)?(\w+)\.py", path)
    if found is None or found[3] == "__init__":
        return
    folder = f"{found[1]}/{found[2]}" if found[2] else found[1]
    if not (ROOT / "tests" / folder / f"test_{found[3]}.py").exists():
        yield Finding("mirror", path, 1, f"there is no tests/{folder}/test_{found[3]}.py")


_HOSTS = re.compile(
    r"pypi\.org|pythonhosted|npmjs|deb\.debian|files\.python|crates\.io|/root/|/home/\w|/work/"
)


def hosts(path: str, text: str) -> Iterator[Finding]:
    """No registry's host and no machine's path is committed."""
    if path in ("tools/check.py", "LICENSE"):
        return
    for number, line in enumerate(text.splitlines(), 1):
        if _HOSTS.search(line):
            yield Finding("hosts", path, number, line.strip()[:80])


def kernel_table(root: Path = ROOT) -> Iterator[Finding]:
    """ARCHITECTURE's table of the kernel names each of its files once."""
    part = (root / "ARCHITECTURE.md").read_text().partition("## The kernel, file by file")[2]
    rows = [line.split("|")[1] for line in part.partition("\n## ")[0].splitlines() if "|" in line]
    named = [name.rstrip("/") for row in rows for name in re.findall(r"`([\w/]+)`", row)]
    there = [path.stem for path in (root / "src" / "doppio" / "kernel").iterdir()]
    for name in sorted({*named, *there} - {"__init__", "__pycache__"}):
        if named.count(name) != 1 or name not in there:
            yield Finding("kernel_table", "ARCHITECTURE.md", 1, f"{name} is not named just once")


STANDARD_FILES = ("__init__.py", "service.py", "limits.py", "errors.py", "README.md",
                  "quality.toml")  # fmt: skip


# What each service's README has, in this order; others may stand between them.
HEADINGS = ["What it promises", "What it has", "Known differences"]


def services(root: Path = ROOT) -> Iterator[Finding]:
    """Every service has the standard files, and its README the same headings in the same order."""
    for folder in sorted((root / "src" / "doppio" / "services").iterdir()):
        if not (folder / "service.py").exists():
            continue
        path = f"src/doppio/services/{folder.name}"
        for name in STANDARD_FILES:
            if not (folder / name).exists():
                yield Finding("services", path, 1, f"there is no {name}")
        readme = folder / "README.md"
        if readme.exists():
            lines = readme.read_text().splitlines()
            said = [line[3:] for line in lines if line.startswith("## ") and line[3:] in HEADINGS]
            if said != HEADINGS:
                wanted = ", ".join(HEADINGS)
                yield Finding("services", f"{path}/README.md", 1, f"its headings are {wanted}")
        quality = folder / "quality.toml"
        if quality.exists():
            yield from _quality(f"{path}/quality.toml", quality, rules_of_quality())


def rules_of_quality() -> dict[str, list[str]]:
    """The rules of docs/rules, by level."""
    found: dict[str, list[str]] = {}
    for line in (ROOT / "docs" / "rules" / "README.md").read_text().splitlines():
        if line.startswith("## "):
            found[line[3:]] = []
        elif line.startswith("- **"):
            found[list(found)[-1]].append(line[4:].partition("**")[0])
    return found


def _quality(path: str, file: Path, rules: Mapping[str, list[str]]) -> Iterator[Finding]:
    """Each rule up to the service's level holds or is exempt, and none is made up."""
    said = tomllib.loads(file.read_text())
    exempt = set(said.get("exempt", {}))
    levels = ["begun", *rules]
    if said.get("level") not in levels:
        yield Finding("services", path, 1, f"the level is one of {', '.join(levels)}")
        return
    for level, names in rules.items():
        holds = set(said.get("holds", {}).get(level, []))
        for name in sorted(holds - set(names)):
            yield Finding("services", path, 1, f"{level} has no rule {name}")
        if levels.index(level) <= levels.index(said["level"]):
            for name in sorted(set(names) - holds - exempt):
                yield Finding("services", path, 1, f"{name} neither holds nor is exempt")
    known = {name for names in rules.values() for name in names}
    for name in sorted(exempt - known):
        yield Finding("services", path, 1, f"there is no rule {name} to be exempt from")


def docstrings(path: str, text: str) -> Iterator[Finding]:
    """Modules, public classes and public functions say what they promise."""
    if not path.startswith("src/"):
        return
    tree = ast.parse(text)
    if text.strip() and ast.get_docstring(tree) is None:
        yield Finding("docstrings", path, 1, "the module has no docstring")
    if "/services/" not in path:
        return
    for node in tree.body:
        if not isinstance(node, ast.ClassDef):
            continue
        for inner in node.body:
            if (
                isinstance(inner, ast.AsyncFunctionDef)
                and not inner.name.startswith("_")
                and ast.get_docstring(inner) is None
            ):
                yield Finding("docstrings", path, inner.lineno, f"{inner.name} has no docstring")


_LINK = re.compile(r"\[[^\]]*\]\(([^)#\s]+)(?:#[^)]*)?\)")


def links(path: str, text: str) -> Iterator[Finding]:
    """Links between documents lead somewhere."""
    for number, line in enumerate(text.splitlines(), 1):
        for target in _LINK.findall(line):
            if "://" not in target and not (ROOT / path).parent.joinpath(target).exists():
                yield Finding("links", path, number, f"{target} does not exist")


def exempted(findings: list[Finding]) -> list[Finding]:
    """Findings without the exempted ones, and with the exemptions that nothing needs."""
    used = {(finding.rule, finding.path) for finding in findings}
    rules = {finding.rule for finding in findings}
    left = [finding for finding in findings if (finding.rule, finding.path) not in EXEMPT]
    for (rule, path), why in EXEMPT.items():
        if rule in rules and (rule, path) not in used:
            left.append(Finding(rule, path, 1, f"needs no exemption any more ({why})"))
    return left
