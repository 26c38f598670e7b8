"""Deploy what was built: `python -m infra.deploy CONFIG [Parameter=value ...]` (make deploy).

`sam deploy` lets parameters of the command line replace those of samconfig.toml altogether; here they join them, the
command line's winning. Parameters that neither names keep what they are in the deployed stack.
"""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def parameters(config: str, given: list[str]) -> list[str]:
    """The `Name=value` pairs of this configuration's table, with the given ones over them."""
    tables = tomllib.loads((ROOT / "samconfig.toml").read_text())
    if config not in tables or "deploy" not in tables[config]:
        sys.exit(f"samconfig.toml has no {config}.deploy: ENV is dev, staging or prod, or left out")
    pairs = [*tables[config]["deploy"]["parameters"].get("parameter_overrides", []), *given]
    for pair in pairs:
        if "=" not in pair:
            sys.exit(f"{pair} is not of the form Name=value")
    return [f"{name}={value}" for name, value in dict(pair.split("=", 1) for pair in pairs).items()]


if __name__ == "__main__":
    sam = str(Path(sys.executable).with_name("sam"))
    command = [sam, "deploy", "--config-env", sys.argv[1]]
    sys.exit(subprocess.call([*command, "--parameter-overrides", *parameters(sys.argv[1], sys.argv[2:])], cwd=ROOT))
