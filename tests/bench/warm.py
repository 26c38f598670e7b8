"""Warm speed: side by side, in parts, against the core's limit, and how it grows."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from operator import itemgetter
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

from tests.bench.contender import Contender, exponent, interleaved
from tests.bench.texts import QUERY, passages

SIZES = ((20, 50), (100, 100), (100, 256), (1000, 100))
GROWTH_PASSAGES = (10, 30, 100, 300, 1000)
GROWTH_TOKENS = (32, 64, 128, 256, 490)
FLASHRANK_BYTES = 13e9
# Rows, inner and outer size of the products that the peak is the best of; small enough to stay in a cache.
PEAK_SHAPES = ((1024, 512, 128), (1024, 128, 512), (512, 512, 512), (1024, 1024, 1024))

Progress = Callable[[str], None]


def side_by_side(contenders: list[Contender], words: list[str], rounds: int, progress: Progress) -> dict[str, Any]:
    """Time every contender on every size; the slow ones fewer times on a thousand passages."""
    found = {}
    for count, tokens in SIZES:
        task = passages(words, count, tokens)
        taking_part = [one for one in contenders if count <= 100 or _fits(one)]
        found[f"{count}x{tokens}"] = interleaved(
            taking_part,
            QUERY,
            task,
            rounds,
            lambda text, size=f"{count}x{tokens}": progress(f"warm {size}: {text}"),  # type: ignore[misc]
        )
    return found


def parts(contender: Contender, words: list[str], rounds: int) -> dict[str, Any]:
    """Split our own time at 100 x 100 into its parts, in milliseconds, medians over rounds."""
    contender.ask(query=QUERY, passages=passages(words, 100, 100))
    contender.ask(parts=True)
    every = [contender.ask(parts=True)["parts"] for _ in range(rounds)]
    tokens, squares = (every[0].pop(name) for name in ("tokens", "squares"))
    return {
        "tokens": tokens,
        "squares": squares,
        "ms": {name: 1000 * median(one[name] for one in every) for name in every[0]},
    }


def growth(contender: Contender, words: list[str], rounds: int, progress: Progress) -> dict[str, Any]:
    """Time against passages (of 100 tokens) and tokens (of 100 passages, all equally long), with fitted exponents.

    The sizes take turns, and ten times the passages are compared within a round: over the minutes between one size and
    the next a shared machine slows down by more than what is looked for.
    """
    counts = GROWTH_PASSAGES if _fits(contender) else GROWTH_PASSAGES[:-1]
    by_passages = _in_turn(contender, {count: passages(words, count, 100) for count in counts}, rounds, progress)
    tasks = {tokens: passages(words, 100, tokens, spread=0) for tokens in GROWTH_TOKENS}
    by_tokens = _in_turn(contender, tasks, rounds, progress)
    medians = [{size: median(times) for size, times in by_size.items()} for by_size in (by_passages, by_tokens)]
    tenfold = [more / few for more, few in zip(by_passages.get(1000, ()), by_passages[100], strict=False)]
    return {
        "passages": medians[0],
        "passages_exponent": exponent(medians[0]),
        "times_per_tenfold_passages": median(tenfold) if tenfold else None,
        "tokens": medians[1],
        "tokens_exponent": exponent(medians[1]),
    }


def _in_turn(
    contender: Contender, tasks: dict[int, list[str]], rounds: int, progress: Progress
) -> dict[int, list[float]]:
    """Milliseconds of every task in every round."""
    times: dict[int, list[float]] = {size: [] for size in tasks}
    for number in range(rounds):
        for size, task in tasks.items():
            progress(f"growth: {contender.name}, round {number + 1} of {rounds}, {size}")
            contender.ask(query=QUERY, passages=task)
            times[size].append(1000 * contender.ask()["cpu"])
    return times


def peak() -> dict[str, float]:
    """Measure what this core multiplies: 10⁹ operations a second, of int8 and of float32, at the best shape."""
    from time import process_time

    random = np.random.default_rng(0)
    best = {"int8": 0.0, "float32": 0.0}
    for rows, inner, outer in PEAK_SHAPES:
        left = {"int8": random.integers(0, 255, (rows, inner)).astype(np.uint8)}
        left["float32"] = left["int8"].astype(np.float32)
        for kind, x in left.items():
            session = _product(kind, inner, outer)
            for _ in range(15):
                began = process_time()
                for _ in range(10):
                    session.run(None, {"x": x})
                took = (process_time() - began) / 10
                best[kind] = max(best[kind], 2 * rows * inner * outer / took / 1e9)
    return best


def operations(tokens: float, squares: float, pairs: int, shape: dict[str, int]) -> float:
    """Count the additions and multiplications that scoring leaves to do: the last layer for [CLS] alone."""
    hidden, inner, layers = shape["hidden_size"], shape["intermediate_size"], shape["num_hidden_layers"]
    heads = shape["num_attention_heads"]
    whole = (layers - 1) * (tokens * (4 * hidden**2 + 2 * hidden * inner) + 2 * squares * hidden)
    last = tokens * 2 * heads * hidden + pairs * (2 * heads * hidden**2 + 2 * hidden * inner + hidden**2)
    return 2 * (whole + last)


def profile(graph: Path, feeds: list[dict[str, Any]], folder: Path, runs: int = 8) -> dict[str, Any]:
    """Say where scoring's time goes: milliseconds and share by operator, as the least of several runs of each node."""
    import json

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.enable_profiling = True
    options.profile_file_prefix = str(folder / "profile")
    session = onnxruntime.InferenceSession(str(graph), options, providers=["CPUExecutionProvider"])
    for _ in range(runs):
        for feed in feeds:
            session.run(None, feed)
    file = Path(session.end_profiling())
    events = [e for e in json.loads(file.read_text()) if e["name"].endswith("_kernel_time")]
    file.unlink()
    by_node: dict[str, list[float]] = {}
    for event in events:
        by_node.setdefault(f"{event['args']['op_name']} {event['name']}", []).append(event["dur"])
    by_operator: dict[str, float] = defaultdict(float)
    for name, durations in by_node.items():
        by_operator[name.split()[0]] += float(np.array(durations).reshape(runs, -1).min(axis=0).sum()) / 1000
    total = sum(by_operator.values())
    return {
        "nodes": len(by_node),
        "ms": total,
        "operators": {
            name: {"ms": ms, "share": ms / total}
            for name, ms in sorted(by_operator.items(), key=itemgetter(1), reverse=True)
        },
        "products_share": sum(ms for name, ms in by_operator.items() if _multiplies(name)) / total,
    }


def _multiplies(operator: str) -> bool:
    """Whether an operator is all products, or nearly: attention's softmax is a quarter of it."""
    return "MatMul" in operator or operator in {"Gemm", "Attention"}


def _product(kind: str, inner: int, outer: int) -> onnxruntime.InferenceSession:
    weight = np.random.default_rng(1).integers(-63, 64, (inner, outer))
    operator = "MatMulInteger" if kind == "int8" else "MatMul"
    typed, out = (TensorProto.UINT8, TensorProto.INT32) if kind == "int8" else (TensorProto.FLOAT, TensorProto.FLOAT)
    node = helper.make_node(operator, ["x", "w"], ["y"])
    constant = numpy_helper.from_array(weight.astype(kind), "w")
    x, y = helper.make_tensor_value_info("x", typed, ["m", inner]), helper.make_tensor_value_info("y", out, None)
    model = helper.make_model(
        helper.make_graph([node], "product", [x], [y], [constant]),
        opset_imports=[helper.make_opsetid("", 20)],
        ir_version=9,
    )
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])


def _fits(contender: Contender) -> bool:
    """Whether a thousand passages fit this machine: FlashRank pads them all to the longest, in one batch of 10 GB."""
    if contender.name != "flashrank":
        return True
    try:
        lines = dict(line.split(":") for line in Path("/proc/meminfo").read_text(encoding="utf-8").splitlines())
        return int(lines["MemAvailable"].split()[0]) * 1024 > FLASHRANK_BYTES
    except OSError:
        return True
