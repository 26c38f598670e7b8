"""cfn-lint over SAM's transform of each template that has one: `python -m tests.template.lint`.

The transform keeps conditions, so two parameter sets show all that it makes: nothing chosen, and everything.
"""

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
    made = {
        "nothing": transform(load(), {}),
        "everything": transform(load(), SETS["everything"]),
        "rest-api": transform(load("infra/rest-api.yaml"), {}),
    }
    for name, template in made.items():
        (FOLDER / f"{name}.json").write_text(json.dumps(template))
    paths = [str(FOLDER / f"{name}.json") for name in made]
    print(f"cfn-lint over the transforms {', '.join(made)}", flush=True)
    cfn_lint = str(Path(sys.executable).with_name("cfn-lint"))
    # Its error log says that the nested templates are not beside the transformed ones, which NOT_OURS covers.
    return subprocess.call([cfn_lint, "--ignore-checks", *NOT_OURS, "--", *paths], stderr=subprocess.DEVNULL)


if __name__ == "__main__":
    sys.exit(main())
