"""cfn-lint over SAM's transform of every parameter set that the tests know: `python -m tests.template.lint`."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
from pathlib import Path

from tests.template.cloudformation import ROOT, load, transform
from tests.template.test_stack import SETS

FOLDER = ROOT / ".build" / "transformed"
# Of what SAM itself makes: parameters that its transform has used up, dependencies that are said twice, nested
# templates that only `sam package` uploads, and empty defaults of parameters that a condition keeps out of use.
NOT_OURS = ("W2001", "W3005", "W3002", "W1030")


def main() -> int:
    """Write the transformed templates, lint them together, and return cfn-lint's exit status."""
    logging.disable(logging.WARNING)
    FOLDER.mkdir(parents=True, exist_ok=True)
    written = []
    for name, given in SETS.items():
        path = FOLDER / f"{name.replace(' ', '-')}.json"
        path.write_text(json.dumps(transform(load(), given)))
        written.append(str(path))
    rest = FOLDER / "rest-api.json"
    rest.write_text(json.dumps(transform(load("infra/rest-api.yaml"), {})))
    print(f"cfn-lint over {len(written) + 1} transformed templates", flush=True)
    cfn_lint = str(Path(sys.executable).with_name("cfn-lint"))
    # Its error log says that the nested templates are not beside the transformed ones, which NOT_OURS covers.
    return subprocess.call(
        [cfn_lint, "--ignore-checks", *NOT_OURS, "--", *written, str(rest)], stderr=subprocess.DEVNULL
    )


if __name__ == "__main__":
    sys.exit(main())
