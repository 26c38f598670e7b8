"""Lint the state machines with asl-validator and statelint: ``python -m tests.template.machines`` (make validate).

cfn-lint passed broken definitions, asl-validator caught them. statelint follows the States Language specification,
which leaves a reader's configuration to the service: AWS's own ``InputType`` is unknown to it and left out there.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / ".build" / "machines"
VALIDATOR = "asl-validator@4.0.0"
ARN = "arn:aws:lambda:eu-central-1:123456789012:function:rerank"
MACHINES = {"batch": "BatchFunctionArn", "rank": "RerankFunctionArn"}


def substituted(name: str, substitution: str) -> dict[str, Any]:
    """The definition as Step Functions gets it."""
    text = (ROOT / "infra" / f"{name}.asl.yaml").read_text().replace(f"${{{substitution}}}", ARN)
    definition: dict[str, Any] = yaml.safe_load(text)
    return definition


def main() -> int:
    """Lint each definition; the number of linters that found something."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    failures = 0
    for name, substitution in MACHINES.items():
        definition = substituted(name, substitution)
        path = FOLDER / f"{name}.json"
        path.write_text(json.dumps(definition, indent=2))
        failures += subprocess.call(["npx", "--yes", VALIDATOR, "--json-path", str(path)]) != 0
        for state in definition["States"].values():
            state.get("ItemReader", {}).get("ReaderConfig", {}).pop("InputType", None)
        path = FOLDER / f"{name}-specification.json"
        path.write_text(json.dumps(definition, indent=2))
        found = subprocess.call([str(Path(sys.executable).with_name("statelint")), str(path)]) != 0
        print(f"{'x' if found else 'ok'} statelint {path.name}", flush=True)
        failures += found
    return failures


if __name__ == "__main__":
    sys.exit(main())
