"""Pack the three artefacts into zips that are the same bytes at every build: `python -m layer.package`.

For those who upload layers by other means than SAM, and to prove that a build can be repeated.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from layer import archive
from layer.build import ARTEFACTS, CACHE, ROOT, BuildError, build
from layer.target import MACHINES, Target


def main() -> None:
    """Build and pack, print the sizes, and write ``SHA256SUMS`` beside the zips."""
    parser = argparse.ArgumentParser(prog="python -m layer.package")
    parser.add_argument("--architecture", choices=MACHINES, default="arm64")
    parser.add_argument("--python", default="3.13")
    parser.add_argument("--model", type=Path, default=ROOT / "layer" / "nano")
    asked = parser.parse_args()
    target = Target(asked.architecture, asked.python)
    folder = CACHE / "package" / target.lock.stem
    sums = []
    for artefact in ARTEFACTS:
        try:
            unzipped = build(artefact, folder / artefact, target, asked.model)["bytes"]
        except BuildError as error:
            sys.exit(str(error))
        zipped = folder / f"{artefact}.zip"
        sums.append(f"{archive.pack(folder / artefact, zipped)}  {zipped.name}")
        print(f"  {unzipped / 1e6:6.2f} MB unzipped, {zipped.stat().st_size / 1e6:6.2f} MB zipped  {sums[-1]}")
    (folder / "SHA256SUMS").write_text("\n".join(sums) + "\n")
    print(f"In {folder.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
