"""Writes type stubs of requests and results, from AWS's models, into `src/doppio/_stubs/`.

Each structure becomes a TypedDict, so that the type checker finds a misspelt member. The stubs are
imported under TYPE_CHECKING only and are not committed. `python -m tools.stubs [SERVICE ...]`; by
default, the services that exist here.
"""

from __future__ import annotations

import builtins
import json
import keyword
import sys
from pathlib import Path
from typing import Any

from doppio.catalog import model_name
from tools.import_services import newest_models

ROOT = Path(__file__).parent.parent
TARGET = ROOT / "src" / "doppio" / "_stubs"
HEADER = '''"""Generated from AWS's model of {service}: not committed, imported by the type checker alone."""

from __future__ import annotations

from datetime import datetime
from typing import Any, TypedDict

'''
SCALARS = {
    "string": "str", "character": "str", "integer": "int", "long": "int", "short": "int",
    "float": "float", "double": "float", "bigdecimal": "float", "boolean": "bool",
    "timestamp": "datetime", "blob": "bytes",
}  # fmt: skip
_TAKEN = {"datetime", "Any", "TypedDict", *dir(builtins), *keyword.kwlist}


def class_name(shape: str) -> str:
    """A shape's name as a Python name that is not taken."""
    return f"{shape}_" if shape in _TAKEN else shape


def type_of(name: str, shapes: dict[str, Any], depth: int = 0) -> str:
    """The Python type of a shape."""
    shape = shapes[name]
    kind = shape["type"]
    if kind == "structure":
        if shape.get("document") or shape.get("eventstream"):
            return "Any"
        return class_name(name)
    if shape.get("streaming") or depth > 8:
        return "Any"
    if kind == "list":
        return f"list[{type_of(shape['member']['shape'], shapes, depth + 1)}]"
    if kind == "map":
        return f"dict[str, {type_of(shape['value']['shape'], shapes, depth + 1)}]"
    return SCALARS[kind]


def stub(service: str) -> str:
    """The stubs of one service."""
    name = model_name(service)
    shapes = newest_models(name)[name]["shapes"]
    lines = [HEADER.format(service=service)]
    for name, shape in sorted(shapes.items()):
        if shape["type"] != "structure" or shape.get("eventstream"):
            continue
        lines.append(structure(name, shape, shapes))
    return "\n".join(lines)


def structure(name: str, shape: dict[str, Any], shapes: dict[str, Any]) -> str:
    """One structure as a TypedDict."""
    members = {}
    payload = shape.get("payload")
    for member, ref in shape.get("members", {}).items():
        streams = ref.get("streaming") or (
            member == payload and shapes[ref["shape"]].get("streaming")
        )
        members[member] = "Any" if streams else type_of(ref["shape"], shapes)
    if all(member.isidentifier() and not keyword.iskeyword(member) for member in members):
        body = [f"    {member}: {kind}" for member, kind in members.items()] or ["    pass"]
        return "\n".join([f"class {class_name(name)}(TypedDict, total=False):", *body, ""])
    fields = ", ".join(f"{json.dumps(member)}: {kind!r}" for member, kind in members.items())
    cls = class_name(name)
    return f"{cls} = TypedDict({cls!r}, {{{fields}}}, total=False)\n"


def services_here() -> list[str]:
    """The services that this repository has, by folder name."""
    home = ROOT / "src" / "doppio" / "services"
    return sorted(path.parent.name for path in home.glob("*/service.py"))


def main() -> None:
    """Write the stubs."""
    TARGET.mkdir(exist_ok=True)
    (TARGET / "__init__.py").write_text('"""Generated type stubs: see tools/stubs.py."""\n')
    for service in sys.argv[1:] or services_here():
        (TARGET / f"{service}.py").write_text(stub(service))


if __name__ == "__main__":
    main()
