"""Writes src/doppio/data/services.json: what tells AWS's services apart on the wire.

Source: botocore's service models (the installed version, named in the file). Run by hand after an
upgrade of botocore: `python -m tools.import_services`.
"""

from __future__ import annotations

import gzip
import importlib.metadata
import importlib.util
import json
from pathlib import Path
from typing import Any

TARGET = Path(__file__).parent.parent / "src" / "doppio" / "data" / "services.json"


def newest_models(only: str | None = None) -> dict[str, dict[str, Any]]:
    """Each service's newest model, or one service's, as botocore has it."""
    spec = importlib.util.find_spec("botocore")
    assert spec is not None
    assert spec.origin is not None
    data = Path(spec.origin).parent / "data"
    found: dict[str, dict[str, Any]] = {}
    for folder in [data / only] if only else sorted(data.iterdir()):
        versions = sorted(folder.glob("*/service-2.json*")) if folder.is_dir() else []
        if versions:
            newest = versions[-1]
            raw = newest.read_bytes()
            text = gzip.decompress(raw) if newest.suffix == ".gz" else raw
            found[folder.name] = json.loads(text)
    return found


def row(metadata: dict[str, Any]) -> dict[str, Any]:
    """The members that routing needs."""
    names = {
        "signing": metadata.get("signingName", metadata["endpointPrefix"]),
        "endpoint": metadata["endpointPrefix"],
        "protocols": metadata.get("protocols", [metadata["protocol"]]),
        "target": metadata.get("targetPrefix"),
        "version": metadata["apiVersion"],
        "id": metadata.get("serviceId"),
    }
    return {key: value for key, value in names.items() if value}


def main() -> None:
    """Write the table."""
    table = {
        "source": f"botocore {importlib.metadata.version('botocore')}",
        "services": {name: row(model["metadata"]) for name, model in newest_models().items()},
    }
    TARGET.write_text(json.dumps(table, indent=0, sort_keys=True) + "\n")


if __name__ == "__main__":
    main()
