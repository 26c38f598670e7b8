"""Pin the newest versions: `python -m layer.lock [GROUP]`.

Two kinds of lock come out of the groups in pyproject.toml. ``tests/locks/<group>.txt`` makes an environment on any
machine, so it lists the hash of every file of a release. ``layer/locks/<minor>-<architecture>.txt`` makes a layer for
exactly one runtime, so it names one wheel per package. Neither holds the address of a registry.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tomllib
from pathlib import Path

from layer.target import TARGETS, Target

ROOT = Path(__file__).resolve().parent.parent
ENVIRONMENTS = ROOT / "tests" / "locks"
LAYER_GROUP = "runtime"
UV = [str(Path(sys.executable).with_name("uv")), "pip", "compile", "--quiet", "--no-header", "--no-emit-index-url"]


def lock_environment(group: str) -> None:
    """Write the universal lock of one dependency group."""
    path = ENVIRONMENTS / f"{group}.txt"
    path.unlink(missing_ok=True)  # uv would prefer the versions that the old lock holds
    options = ["--universal", "--python-version", "3.11", "--generate-hashes", "--group", group]
    subprocess.run([*UV, *options, "--output-file", str(path.relative_to(ROOT))], cwd=ROOT, check=True)
    print(f"{path.relative_to(ROOT)}: {path.read_text().count('==')} packages")


def lock_layer(target: Target) -> None:
    """Write the lock of the dependency layer for one architecture and Python minor: a wheel and its hash per package.

    The versions are those of the group's environment lock, so that what is tested is what ships.
    """
    constraints = str(ENVIRONMENTS / f"{LAYER_GROUP}.txt")
    options = ["--no-deps", "--no-annotate", "--python-version", target.minor, "--group", LAYER_GROUP]
    versions = subprocess.run(
        [*UV, *options, "--constraints", constraints],
        cwd=ROOT,
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    ).stdout.split()
    # pip wants a --target with foreign platforms, though a dry run writes nothing into it.
    command = [sys.executable, "-m", "pip", "install", "--dry-run", "--ignore-installed", "-qq", "--report", "-"]
    command += ["--target", str(target.lock.with_suffix(""))]
    report = subprocess.run(
        [*command, *target.pip_options(), *versions],
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    ).stdout
    pins = sorted(
        f"{item['metadata']['name'].lower().replace('_', '-')}=={item['metadata']['version']}"
        f" --hash=sha256:{item['download_info']['archive_info']['hashes']['sha256']}"
        for item in json.loads(report)["install"]
    )
    target.lock.write_text("\n".join(pins) + "\n")
    print(f"{target.lock.relative_to(ROOT)}: {len(pins)} wheels")


def main(groups: list[str]) -> None:
    """Lock the given groups, or all of them; the layers follow the group that they are made of."""
    known = tomllib.loads((ROOT / "pyproject.toml").read_text())["dependency-groups"]
    for group in groups or known:
        if group not in known:
            sys.exit(f"There is no group {group!r} in pyproject.toml; there are: {', '.join(known)}")
        lock_environment(group)
        if group == LAYER_GROUP:
            for target in TARGETS:
                lock_layer(target)


if __name__ == "__main__":
    main(sys.argv[1:])
