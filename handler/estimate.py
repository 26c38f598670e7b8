"""What a dry run foretells: the time that scoring would take on this machine, and Lambda's price for it."""

from __future__ import annotations

import os
import platform
from statistics import median
from time import perf_counter
from typing import TYPE_CHECKING, NamedTuple

from handler.batching import TOKEN_BUDGET, micro_batches
from handler.contract import Estimate
from handler.encoding import ID_BYTES, Chunk

if TYPE_CHECKING:
    from collections.abc import Sequence

    from handler.encoding import EncodedQuery
    from handler.model import Model

# On-demand prices in us-east-1 as of November 2026 (aws.amazon.com/lambda/pricing), those of infra/prices.toml, which
# the function does not carry; a test holds them together. Most regions have
# the same. The free tier and savings plans are left out.
USD_PER_GB_SECOND = {"x86_64": 0.0000166667, "arm64": 0.0000133334}
USD_PER_REQUEST = 0.20 / 1_000_000

FULL_VCPU_MB = 1769  # the memory size from which on a function has a whole vCPU
_RUNS = 5
_SHORT = 64


class Rate(NamedTuple):
    """Milliseconds a token that scoring costs, and what every token of its sequence adds to that (attention)."""

    token: float
    pair: float

    def milliseconds(self, chunks: Sequence[Chunk]) -> float:
        """Time to score ``chunks``, padding left out."""
        return sum(chunk.length * (self.token + self.pair * chunk.length) for chunk in chunks)


def estimate(model: Model, query: EncodedQuery, chunks: Sequence[Chunk], encode_ms: float) -> Estimate:
    """Foretell ranking ``chunks``, the encoding of which took ``encode_ms``."""
    milliseconds = encode_ms + measured_rate(model, query).milliseconds(chunks)
    memory_mb = memory()
    return Estimate(milliseconds, usd(milliseconds, memory_mb), memory_mb)


def memory() -> int:
    """This function's memory in MB; off Lambda, what a whole vCPU comes with."""
    return int(os.environ.get("AWS_LAMBDA_FUNCTION_MEMORY_SIZE") or FULL_VCPU_MB)


def measured_rate(model: Model, query: EncodedQuery) -> Rate:
    """Time two micro-batches of made-up passages with this query, short ones and ones that fill the window.

    It takes some ten runs of the model, and follows the processor, the memory size and the model wherever this runs;
    a rate kept in a file would be that of another machine.
    """
    lengths = sorted({max(_SHORT, len(query.ids) // ID_BYTES + 2), model.manifest.window})
    costs = [_time_a_token(model, query, length) for length in lengths]
    pair = max(costs[-1] - costs[0], 0.0) / max(lengths[-1] - lengths[0], 1)
    return Rate(max(costs[0] - pair * lengths[0], 0.0), pair)


def usd(milliseconds: float, memory_mb: int, machine: str = platform.machine()) -> float:
    """Lambda's price of one invocation in US dollars: duration times memory, and the request itself."""
    architecture = "arm64" if machine in {"arm64", "aarch64"} else "x86_64"
    return milliseconds / 1000 * memory_mb / 1024 * USD_PER_GB_SECOND[architecture] + USD_PER_REQUEST


def _time_a_token(model: Model, query: EncodedQuery, length: int) -> float:
    filler = query.ids[ID_BYTES : 2 * ID_BYTES] * (length - len(query.ids) // ID_BYTES)
    rows = max(TOKEN_BUDGET // length, 1)
    (batch,) = micro_batches(query, [Chunk(row, query.ids + filler, length, length) for row in range(rows)])
    times = []
    for _ in range(_RUNS):
        began = perf_counter()
        model.logits(batch)
        times.append(perf_counter() - began)
    return median(times) * 1000 / (rows * length)
