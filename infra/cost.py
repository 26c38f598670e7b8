"""Estimate what a month costs: `python -m infra.cost REQUESTS PASSAGES [--memory MB]` (make cost).

The formula is in :func:`month`; every price and assumption is in ``prices.toml``, with its date.
"""

from __future__ import annotations

import argparse
import math
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PRICES: dict[str, Any] = tomllib.loads(Path(__file__).with_name("prices.toml").read_text())


@dataclass(frozen=True, slots=True)
class Use:
    """What a month brings: requests, passages in each, their size, and the function's memory in MB."""

    requests: float
    passages: float
    kb_per_passage: float = 0.5
    memory_mb: int = 1769
    architecture: str = "arm64"
    provisioned: int = 0
    http: bool = True
    overhead_ms: float = PRICES["function"]["overhead_ms"]
    ms_per_passage: float = PRICES["function"]["ms_per_passage"]


def billed_seconds(use: Use) -> float:
    """Seconds billed for one request on average. Below one full vCPU the same work takes longer in proportion."""
    function = PRICES["function"]
    slowness: float = max(1.0, function["full_vcpu_mb"] / use.memory_mb)
    warm = math.ceil((use.overhead_ms + use.passages * use.ms_per_passage) * slowness) / 1000
    cold: float = function["cold_share"] * function["cold_ms"] * slowness / 1000
    return warm + cold


def month(use: Use) -> dict[str, float]:
    """US dollars a month by what they are paid for."""
    price, gigabytes = PRICES["lambda"], use.memory_mb / 1024
    metered = math.ceil(max(1, use.passages * use.kb_per_passage) / PRICES["http_api"]["metered_kb"])
    api = use.requests / 1e6 * PRICES["http_api"]["per_million_requests"] * metered if use.http else 0.0
    return {
        "Lambda, compute": use.requests * billed_seconds(use) * gigabytes * price["per_gb_second"][use.architecture],
        "Lambda, requests": use.requests / 1e6 * price["per_million_requests"],
        "Lambda, provisioned": use.provisioned
        * gigabytes
        * 30
        * 86400
        * price["provisioned_per_gb_second"][use.architecture],
        "HTTP API": api,
        "Logs and metrics": use.requests * PRICES["logs"]["kb_per_request"] / 1e6 * PRICES["logs"]["per_gb"],
    }


def main() -> None:
    """Print the estimate with what it was made from."""
    parser = argparse.ArgumentParser(prog="make cost", description="Estimate a month in US dollars")
    parser.add_argument("requests", type=float, help="requests a month")
    parser.add_argument("passages", type=float, help="passages in a request")
    parser.add_argument("--memory", type=int, default=1769)
    parser.add_argument("--architecture", choices=PRICES["lambda"]["per_gb_second"], default="arm64")
    parser.add_argument("--provisioned", type=int, default=0)
    parser.add_argument("--overhead-ms", type=float, default=PRICES["function"]["overhead_ms"])
    parser.add_argument("--ms-per-passage", type=float, default=PRICES["function"]["ms_per_passage"])
    asked = parser.parse_args()
    use = Use(
        asked.requests,
        asked.passages,
        memory_mb=asked.memory,
        architecture=asked.architecture,
        provisioned=asked.provisioned,
        overhead_ms=asked.overhead_ms,
        ms_per_passage=asked.ms_per_passage,
    )
    lines = month(use)
    print(
        f"{use.requests:,.0f} requests of {use.passages:,.0f} passages, {billed_seconds(use) * 1000:.0f} ms each at",
        end="",
    )
    print(f" {use.memory_mb:,} MB on {use.architecture}; prices of us-east-1 as of {PRICES['as_of']}, no free tier\n")
    for name, dollars in lines.items():
        print(f"  {name:<22}{dollars:>12,.2f} USD")
    print(f"  {'in a month':<22}{sum(lines.values()):>12,.2f} USD")


if __name__ == "__main__":
    main()
