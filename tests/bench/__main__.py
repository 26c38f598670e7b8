"""All the figures of speed: `python -m tests.bench [--json FILE] [--rounds N] [--only warm,cold,memory]` (make bench).

Everyone has one thread on one processor and takes turns with the others, round after round; medians are printed.
Times are processor times, which neighbours on a shared machine lengthen little; the JSON has the wall's beside them.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import platform
import sys
import tomllib
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tests.bench import cold, reference, warm
from tests.bench.contender import BUILD, NANO, ROOT, Contender, Models
from tests.bench.texts import QUERY, passages, words_of
from tests.integration.sandbox import RUNTIME_PYTHON, Sandbox

BENCH_PYTHON = ROOT / ".venvs" / "bench" / "bin" / "python"
MEMORY_GB = 1769 / 1024  # the template's default: one vCPU
PARTS = ("warm", "cold", "memory")


def main() -> None:
    """Run what was asked for, print a table of it, and write the JSON."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("--json", type=Path, help="write everything measured to this file")
    parser.add_argument("--model", type=Path, default=NANO, help="the model directory to measure as ours")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--only", default=",".join(PARTS), help="of " + ",".join(PARTS))
    parser.add_argument("--transformers", type=Path, help="a Python that has sentence-transformers[onnx]")
    arguments = parser.parse_args()
    wanted = arguments.only.split(",")
    models = Models.prepare(arguments.model.resolve())
    found: dict[str, Any] = {"about": about(arguments.rounds)}
    if "warm" in wanted:
        found["warm"] = run_warm(models, arguments.rounds, arguments.transformers)
        found["cost"] = cost(found["warm"]["sizes"])
    if "memory" in wanted:
        found["memory"] = run_memory(models)
    if "cold" in wanted:
        found["cold"] = run_cold(models, arguments.rounds)
    progress("")
    report(found)
    if arguments.json:
        arguments.json.parent.mkdir(parents=True, exist_ok=True)
        arguments.json.write_text(json.dumps(found, indent=1), encoding="utf-8")


def about(rounds: int) -> dict[str, Any]:
    """Say on what and with what it was measured."""
    import numpy as np
    import onnxruntime

    features = np.show_config(mode="dicts")["SIMD Extensions"]["found"]
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": platform.machine(),
        "processor": _processor(),
        "simd": features,
        "python": platform.python_version(),
        "onnxruntime": onnxruntime.__version__,
        "rounds": rounds,
    }


def run_warm(models: Models, rounds: int, transformers: Path | None) -> dict[str, Any]:
    """Side by side, in parts, growth, peak and profile."""
    words = words_of(models.nano / "vocab.txt")
    with ExitStack() as stack:
        wanted = [
            Contender("ours, same weights", BENCH_PYTHON, models.tiny),
            Contender("ours, nano", BENCH_PYTHON, models.nano),
            Contender("flashrank", BENCH_PYTHON, models.flashrank),
            Contender("fastembed", BENCH_PYTHON, models.flashrank),
            *([Contender("sentence_transformers", transformers, models.flashrank)] if transformers else []),
        ]
        contenders = [stack.enter_context(contender) for contender in wanted]
        running = [contender for contender in contenders if not contender.skipped]
        tiny, nano, flash = running[0], running[1], running[2]
        sizes = warm.side_by_side(running, words, rounds, progress)
        split = {each.name: warm.parts(each, words, rounds) for each in (tiny, nano)}
        growing = {
            each.name: warm.growth(each, words, times, progress)
            for each, times in ((tiny, rounds), (nano, rounds), (flash, 2))
        }
    progress("peak of the core")
    limit = warm.peak()
    counted = warm.operations(split[tiny.name]["tokens"], split[tiny.name]["squares"], 100, reference.TINY)
    progress("profile")
    profiles = {
        each.name: warm.profile(each.folder / "model.onnx", feeds(each.folder, words), BUILD) for each in (tiny, nano)
    }
    return {
        "sizes": sizes,
        "skipped": {contender.name: contender.skipped for contender in contenders if contender.skipped},
        "parts": split,
        "growth": growing,
        "peak_gops": limit,
        "operations": counted,
        "share_of_peak": counted / (split[tiny.name]["ms"]["score"] / 1000) / 1e9 / limit["int8"],
        "profile": profiles,
    }


def feeds(folder: Path, words: list[str]) -> list[dict[str, Any]]:
    """Return the model's inputs for 100 passages of 100 tokens."""
    from handler.batching import micro_batches
    from handler.contract import Chunking
    from handler.model import load

    encoder = load(folder).encoder()
    query = encoder.encode_query(QUERY)
    chunks = encoder.chunks(query, enumerate(passages(words, 100, 100)), Chunking())
    names = ("input_ids", "attention_mask", "token_type_ids")
    return [{name: getattr(batch, name) for name in names} for batch in micro_batches(query, chunks)]


def run_memory(models: Models) -> dict[str, Any]:
    """Peak resident memory of a fresh process that answers one size of request, in MB."""
    words = words_of(models.nano / "vocab.txt")
    found: dict[str, Any] = {}
    for name, folder, sizes in (
        ("ours, same weights", models.tiny, ((100, 100), (1000, 256))),
        ("ours, nano", models.nano, ((100, 100), (1000, 256))),
        ("flashrank", models.flashrank, ((100, 100),)),  # at 1,000 x 256 it takes over 10 GB
    ):
        for count, tokens in sizes:
            progress(f"memory: {name}, {count}x{tokens}")
            with Contender(name, BENCH_PYTHON, folder) as contender:
                contender.ask(query=QUERY, passages=passages(words, count, tokens))
                for _ in range(2):
                    contender.ask()
                found.setdefault(name, {})[f"{count}x{tokens}"] = contender.peak_rss_mb
    return found


def run_cold(models: Models, rounds: int) -> dict[str, Any]:
    """Process start to first answer, page cache warm and dropped, and our own start step by step."""
    sandbox = dataclasses.replace(Sandbox.of(), faithful=False)  # mounts would be counted with the start
    environment = sandbox.environment()
    event = {"query": QUERY, "passages": passages(words_of(models.nano / "vocab.txt"), 10, 30)}
    client = [str(RUNTIME_PYTHON), "-m", "awslambdaric", "handler.app.lambda_handler"]
    runtime = _packages(RUNTIME_PYTHON)
    tiny, nano = ({**environment, "RERANK_MODEL_DIR": str(folder)} for folder in (models.tiny, models.nano))
    function = BUILD / "function"
    function.mkdir(parents=True, exist_ok=True)
    code = cold.FLASHRANK_FUNCTION.replace("__CACHE__", repr(str(models.flashrank)))
    (function / "flashrank_function.py").write_text(code, encoding="utf-8")
    worker = Path(__file__).parent  # for the one thread that the warm contenders get too
    plain = {**environment, "PYTHONPATH": os.pathsep.join(map(str, (function, worker)))}
    starts = {
        "ours, same weights": cold.Start(client, sandbox.task, tiny, (sandbox.opt, sandbox.task, models.tiny, runtime)),
        "ours, nano": cold.Start(client, sandbox.task, nano, (sandbox.opt, sandbox.task, models.nano, runtime)),
        "flashrank": cold.Start(
            [str(BENCH_PYTHON), "-m", "awslambdaric", "flashrank_function.lambda_handler"],
            function,
            plain,
            (_packages(BENCH_PYTHON), models.flashrank, function),
        ),
        "floor": cold.Start(
            [str(BENCH_PYTHON), "-c", cold.FLOOR],
            function,
            {**plain, "ORT_DISABLE_TELEMETRY": "1"},
            (_packages(BENCH_PYTHON),),
            client=False,
        ),
        "our imports": cold.Start(
            [str(RUNTIME_PYTHON), "-c", "import handler.app"],
            sandbox.task,
            nano,
            (sandbox.opt, sandbox.task),
            client=False,
        ),
    }
    found: dict[str, Any] = {"warm": cold.interleaved(starts, event, rounds, dropped=False, progress=progress)}
    if hasattr(os, "posix_fadvise"):
        found["dropped"] = cold.interleaved(starts, event, rounds, dropped=True, progress=progress)
    found["phases_ms"] = cold.phases(starts["ours, nano"], event, rounds)
    return found


def cost(sizes: dict[str, Any]) -> dict[str, Any]:
    """Dollars and GB-seconds of a thousand warm requests on one vCPU, from the dated list of prices."""
    prices = tomllib.loads((ROOT / "infra" / "prices.toml").read_text(encoding="utf-8"))
    requests = prices["lambda"]["per_million_requests"] / 1000
    found: dict[str, Any] = {"prices_of": prices["as_of"], "memory_gb": MEMORY_GB}
    for size, contenders in sizes.items():
        for name, times in contenders.items():
            seconds = times["ms"]  # of a thousand requests
            found.setdefault(size, {})[name] = {
                "gb_seconds_per_1000": seconds * MEMORY_GB,
                **{
                    f"usd_per_1000_{machine}": seconds * MEMORY_GB * price + requests
                    for machine, price in prices["lambda"]["per_gb_second"].items()
                },
            }
    return found


def report(found: dict[str, Any]) -> None:
    """Print what a person wants to know."""
    print(f"{found['about']['processor']}, onnxruntime {found['about']['onnxruntime']}, one thread; ms, medians")
    if "warm" in found:
        _report_warm(found["warm"])
    for name, sizes in found.get("memory", {}).items():
        print(f"peak RSS {name:22}", *(f"{size} {mb:7.1f} MB" for size, mb in sizes.items()), sep="  ")
    for state in ("warm", "dropped"):
        if times := found.get("cold", {}).get(state):
            print(f"\nprocess start to first answer, page cache {state}: ms (processor time)")
            for name, one in times.items():
                print(f"  {name:22} {one['ms']:8.1f} ({one['cpu_ms']:.1f})")
            flash, ours, tiny = (times[name] for name in ("flashrank", "ours, nano", "ours, same weights"))
            print(f"  FlashRank / ours {_ratio(flash, ours)}, same weights {_ratio(flash, tiny)}")
            print(f"  our imports and load / import floor {_ratio(times['our imports'], times['floor'])}")
    if "cold" in found:
        print("\nour cold start by step, ms of processor time")
        for name, ms in found["cold"]["phases_ms"].items():
            print(f"  {ms:7.1f}  {name}")


def _report_warm(found: dict[str, Any]) -> None:
    for size, contenders in found["sizes"].items():
        print(f"\n{size}: passages x tokens")
        for name, times in contenders.items():
            print(f"  {name:22} {times['ms']:9.1f}  x{times['ratio']:.2f}")
    for name, why in found["skipped"].items():
        print(f"  {name} was left out: {why}")
    print("\nour 100x100 in parts, ms")
    for name, split in found["parts"].items():
        print(f"  {name:22}", "  ".join(f"{part} {ms:.2f}" for part, ms in split["ms"].items()))
    for name, grown in found["growth"].items():
        tenfold = grown["times_per_tenfold_passages"]
        print(
            f"growth {name:22} passages^{grown['passages_exponent']:.3f}"
            + (f" (100 -> 1,000: x{tenfold:.1f})" if tenfold else "")
            + f"  tokens^{grown['tokens_exponent']:.3f}"
        )
    peak = found["peak_gops"]
    print(f"peak of the core: int8 {peak['int8']:.0f}, float32 {peak['float32']:.0f} 10^9 operations/s")
    print(f"scoring 100x100: {found['share_of_peak']:.1%} of the int8 peak")
    for name, one in found["profile"].items():
        shares = ", ".join(f"{op} {each['share']:.0%}" for op, each in list(one["operators"].items())[:9])
        print(f"  {name}: {one['nodes']} nodes, {one['products_share']:.0%} in products and attention: {shares}")


def _ratio(one: dict[str, float], other: dict[str, float]) -> str:
    return f"{one['ms'] / other['ms']:.2f} ({one['cpu_ms'] / other['cpu_ms']:.2f})"


def _packages(python: Path) -> Path:
    return next((python.parents[1] / "lib").glob("python*/site-packages"))


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").split("\n")
    except OSError:
        return platform.processor()
    return next((line.split(": ", 1)[1] for line in lines if line.startswith("model name")), platform.processor())


def progress(text: str) -> None:
    """Say on one line what is being measured."""
    if sys.stderr.isatty():
        sys.stderr.write(f"\r\x1b[K{text}")
        sys.stderr.flush()


if __name__ == "__main__":
    main()
