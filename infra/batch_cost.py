"""What ranking a data set costs and takes: ``python -m infra.batch_cost PAIRS...`` (make batch-cost).

The formula is in :func:`estimate`; every price and assumption is in ``prices.toml``, with its date.
"""

from __future__ import annotations

import argparse
import math
from dataclasses import dataclass

from infra.cost import PRICES


@dataclass(frozen=True, slots=True)
class Estimate:
    """Of one run: shards and parts (numbers), vCPU seconds, wall-clock seconds, and US dollars by what they pay for."""

    shards: int
    parts: int
    compute_seconds: float
    seconds: float
    dollars: dict[str, float]


def estimate(pairs: float, concurrency: int, ms_per_pair: float, memory_mb: int, architecture: str) -> Estimate:
    """Work out a run of ``pairs`` query-passage pairs by ``concurrency`` workers."""
    batch, function = PRICES["batch"], PRICES["function"]
    slowness = max(1.0, function["full_vcpu_mb"] / memory_mb)
    work = pairs * ms_per_pair / 1000 * slowness
    size = pairs * batch["bytes_per_pair"]
    shards = math.ceil(size / batch["range_bytes"])
    each = work / shards
    invocations = shards * math.ceil(each / batch["seconds_per_invocation"])
    output = pairs * batch["output_bytes_per_pair"]
    parts = shards + math.ceil(max(work / batch["part_seconds"], output / batch["part_bytes"]))
    cold = min(shards, concurrency) * function["cold_ms"] / 1000
    billed = work + cold
    log_bytes = parts * batch["log_bytes_per_part"] + invocations * batch["log_bytes_per_invocation"]
    gets = size / batch["piece_bytes"] + shards + parts
    dollars = {
        "Lambda, compute": billed * memory_mb / 1024 * PRICES["lambda"]["per_gb_second"][architecture],
        "Lambda, requests": invocations / 1e6 * PRICES["lambda"]["per_million_requests"],
        "Step Functions": shards
        * batch["transitions_per_shard"]
        / 1e3
        * PRICES["step_functions"]["per_thousand_transitions"],
        "S3, requests": parts * 2 / 1e3 * PRICES["s3"]["per_thousand_puts"]
        + gets / 1e3 * PRICES["s3"]["per_thousand_gets"],
        "Logs and metrics": log_bytes / 1e9 * PRICES["logs"]["per_gb"],
    }
    rounds = math.ceil(shards / concurrency)
    return Estimate(shards, parts, work, batch["start_seconds"] + rounds * each, dollars)


def main() -> None:
    """Print a column for each number of pairs."""
    parser = argparse.ArgumentParser(prog="make batch-cost", description="Time and price of ranking a data set")
    parser.add_argument("pairs", type=float, nargs="*", default=[1e6, 1e9])
    parser.add_argument("--concurrency", type=int, nargs="*", default=[100, 1000])
    parser.add_argument("--ms-per-pair", type=float, default=PRICES["function"]["ms_per_passage"])
    parser.add_argument("--memory", type=int, default=1769)
    parser.add_argument("--architecture", choices=PRICES["lambda"]["per_gb_second"], default="arm64")
    asked = parser.parse_args()
    print(
        f"{asked.ms_per_pair} ms a pair at {asked.memory:,} MB on {asked.architecture}; "
        f"prices of us-east-1 as of {PRICES['as_of']}, no free tier\n"
    )
    for pairs in asked.pairs:
        for concurrency in asked.concurrency:
            found = estimate(pairs, concurrency, asked.ms_per_pair, asked.memory, asked.architecture)
            parts = ", ".join(f"{name} {dollars:,.4f}" for name, dollars in found.dollars.items())
            print(
                f"{pairs:>14,.0f} pairs, {concurrency:>5,} workers: {found.shards:>7,} shards,"
                f" {_span(found.seconds):>9}, {sum(found.dollars.values()):>9,.4f} USD ({parts})"
            )


def _span(seconds: float) -> str:
    for unit, length in (("h", 3600), ("min", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:,.1f} {unit}"
    return f"{seconds:,.0f} s"


if __name__ == "__main__":
    main()
