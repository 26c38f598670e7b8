"""Make a model directory: ``python -m layer.optimize SOURCE TARGET [--name NAME] [--pairs FILE] [--fp32]``."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from layer.optimize.checkpoint import UnsupportedModel
from layer.optimize.make import PAIRS, optimise, read_pairs


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(prog="python -m layer.optimize", description=__doc__)
    parser.add_argument("source", type=Path, help="folder with config.json, weights and vocabulary")
    parser.add_argument("target", type=Path, help="model directory to write")
    parser.add_argument("--name", help="the model's name (default: that of the target folder)")
    parser.add_argument("--revision", default="", help="default: from the weights' digest")
    parser.add_argument("--pairs", type=Path, default=PAIRS, help="JSON lines of query and passages to calibrate on")
    parser.add_argument("--fp32", action="store_true", help="keep float32")
    arguments = parser.parse_args()
    try:
        made = optimise(
            arguments.source,
            arguments.target,
            name=arguments.name or arguments.target.name,
            revision=arguments.revision,
            pairs=read_pairs(arguments.pairs),
            int8=not arguments.fp32,
        )
    except UnsupportedModel as error:
        sys.exit(f"{arguments.source}: {error}")
    size = sum(file["bytes"] for file in made.manifest.files.values())
    print(f"{arguments.target}: {made.manifest.name} {made.manifest.revision}, {size / 1e6:.1f} MB")
    print(
        f"largest difference to fp32: {made.largest_difference:.4f} logits, of a deviation of {made.fp32_deviation:.4f}"
    )


if __name__ == "__main__":
    main()
