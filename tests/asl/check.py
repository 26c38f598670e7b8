"""asl-validator over every state machine in infra/: `python -m tests.asl.check`."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[2]
VALIDATOR = ROOT / "tests" / "asl" / "node_modules" / ".bin" / "asl-validator"
FOLDER = ROOT / ".build" / "asl"
FUNCTION = "arn:aws:lambda:eu-central-1:123456789012:function:rerank:live"


def main() -> int:
    """Write the definitions as JSON, their substitutions put in, and return the validator's exit status."""
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir(parents=True)
    definitions = sorted((ROOT / "infra").glob("*.asl.yaml"))
    paths = []
    for definition in definitions:
        text = re.sub(r"\$\{\w+\}", lambda found: FUNCTION if "Arn" in found[0] else "1", definition.read_text())
        path = FOLDER / f"{definition.name.removesuffix('.asl.yaml')}.json"
        path.write_text(json.dumps(yaml.safe_load(text)))
        paths += ["--json-path", str(path)]
    print(f"asl-validator over {', '.join(definition.name for definition in definitions)}", flush=True)
    return subprocess.call([str(VALIDATOR), *paths])


if __name__ == "__main__":
    sys.exit(main())
