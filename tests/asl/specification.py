"""statelint, the States Language specification's own linter, over infra/: ``python -m tests.asl.specification``.

The specification leaves a reader's configuration to the service: it does not know AWS's ``InputType``, left out here.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import yaml

from tests.asl.check import FOLDER, FUNCTION, ROOT


def main() -> int:
    """Lint each definition; how many had findings."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    linter = str(Path(sys.executable).with_name("statelint"))
    failures = 0
    for path in sorted((ROOT / "infra").glob("*.asl.yaml")):
        definition = yaml.safe_load(path.read_text())
        for state in definition["States"].values():
            state.get("ItemReader", {}).get("ReaderConfig", {}).pop("InputType", None)
        plain = FOLDER / f"{path.name.removesuffix('.asl.yaml')}-specification.json"
        plain.write_text(json.dumps(definition).replace("${BatchFunctionArn}", FUNCTION))
        found = subprocess.call([linter, str(plain)]) != 0
        print(f"statelint: {path.name} {'has findings' if found else 'is clean'}", flush=True)
        failures += found
    return failures


if __name__ == "__main__":
    sys.exit(main())
