"""The batch worker's memory and throughput: ``python -m tests.bench.batch`` (make bench-batch).

Workers read from and write to a real S3 API on this machine (MiniStack). *Memory* is the peak resident set of a
process that ranks a file of 10 lines and one of 10,000. *Throughput* is pairs a second of the worker against the direct
path (parse, rank, render) over the same lines in the same process, interleaved; medians.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import random
import resource
import subprocess
import sys
from pathlib import Path
from statistics import median
from time import perf_counter, process_time
from typing import Any

from infra import ministack
from infra.ministack import INPUT_BUCKET, OUTPUT_BUCKET, Stand

DL19 = ministack.ROOT.parent / "shared" / "data" / "dev" / "msmarco-dl19"
MIB = 1024 * 1024


def lines(queries: int, passages: int, seed: int = 7) -> bytes:
    """Synthetic lines: words of a large vocabulary, lengths as those of web passages (log-normal, about 33 words)."""
    chance = random.Random(seed)
    words = ["".join(chance.choices("etaoinshrdlu", k=chance.randint(2, 9))) for _ in range(20_000)]

    def text(count: float) -> str:
        return " ".join(chance.choices(words, k=max(3, min(int(count), 200))))

    made = []
    for number in range(queries):
        found = [{"id": f"{number}-{i}", "text": text(chance.lognormvariate(3.5, 0.5))} for i in range(passages)]
        made.append(json.dumps({"id": f"q{number}", "query": text(6), "passages": found}))
    return "\n".join(made).encode() + b"\n"


def event(key: str, size: int, run: str) -> dict[str, Any]:
    """What the state machine sends a worker for the whole of an object."""
    items = [{"key": key, "start": 0, "end": size}]
    batch_input = {"input": {"bucket": INPUT_BUCKET}, "output": {"bucket": OUTPUT_BUCKET, "key": f"{run}/"}}
    return {"Items": items, "BatchInput": batch_input}


def worker(key: str, size: int, run: str) -> dict[str, float]:
    """Rank an object in this process; its peak resident set in MiB before and after, and the pairs."""
    from handler import app, objects  # noqa: F401 - what a warm environment holds
    from handler.batch import rank_items
    from handler.runtime import ranker

    ranker()
    objects.client()
    before = _peak_mib()
    answer = event(key, size, run)
    while not answer.get("done"):
        answer = rank_items(answer, lambda: 900_000)
    return {"before_mib": before, "peak_mib": _peak_mib(), "pairs": answer["totals"]["passages"]}


def _peak_mib() -> float:
    """The largest resident set since this program was started; getrusage would count the parent's before it."""
    status = Path("/proc/self/status")
    if status.exists():
        return int(status.read_text().split("VmHWM:")[1].split()[0]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / MIB


def memory(stand: Stand, passages: int) -> dict[int, dict[str, float]]:
    """Peak resident set by number of lines, each in a process of its own."""
    found = {}
    for count in (10, 10_000):
        body = lines(count, passages)
        key = f"{count}.jsonl"
        stand.s3.put_object(Bucket=INPUT_BUCKET, Key=key, Body=body)
        found[count] = {"input_mib": len(body) / MIB, **_alone("--worker", key, str(len(body)))}
    return found


def joining(stand: Stand, passages: int) -> dict[str, Any]:
    """What joining a run of a thousand queries with a corpus takes: processor seconds and memory of one process."""
    chance = random.Random(5)
    corpus = [
        {"_id": f"d{i}", "title": "", "text": f"{i} " + "seven letters a word or so " * 12} for i in range(passages)
    ]
    queries = [{"_id": f"q{i}", "text": f"query {i}"} for i in range(1000)]
    rows = [
        f"q{i} Q0 d{d} {r} {100 - r} x" for i in range(1000) for r, d in enumerate(chance.sample(range(passages), 100))
    ]
    files = {"corpus": corpus, "queries": queries}
    bodies = {name: "".join(json.dumps(row) + "\n" for row in said).encode() for name, said in files.items()}
    for name, body in {**bodies, "run": "\n".join(rows).encode()}.items():
        stand.s3.put_object(Bucket=INPUT_BUCKET, Key=f"join/{name}", Body=body)
    return {"passages": passages, "pairs": len(rows), "corpus_mib": len(bodies["corpus"]) / MIB, **_alone("--join")}


def join_worker() -> dict[str, float]:
    """Join in this process."""
    from handler import objects
    from handler.join import join

    objects.client()
    before = _peak_mib()
    source = {"bucket": INPUT_BUCKET, **{name: f"join/{name}" for name in ("corpus", "queries", "run")}}
    began = process_time()
    settings = {"input": source, "output": {"bucket": OUTPUT_BUCKET, "prefix": "join"}}
    join({"step": "join", "run": "bench", "settings": settings}, lambda: 900_000)
    return {"processor_seconds": process_time() - began, "before_mib": before, "peak_mib": _peak_mib()}


def _alone(*arguments: str) -> dict[str, float]:
    command = [sys.executable, "-m", "tests.bench.batch", *arguments]
    done = subprocess.run(command, env=os.environ, cwd=ministack.ROOT, capture_output=True, text=True, check=True)
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def throughput(stand: Stand, rounds: int) -> dict[str, Any]:
    """Pairs a second of the direct path and of the worker, and the ratio of each round."""
    from handler.batch import rank_items
    from handler.dialects import native
    from handler.runtime import rank

    body = _dl19() or lines(43, 100)
    stand.s3.put_object(Bucket=INPUT_BUCKET, Key="throughput.jsonl", Body=body)
    pairs = sum(len(json.loads(line)["passages"]) for line in body.splitlines())

    def direct() -> float:
        began = perf_counter()
        for line in body.splitlines():
            asked = native.parse(json.loads(line))
            json.dumps(native.render(rank(asked, lambda: 900_000), asked))
        return perf_counter() - began

    def batched(number: int) -> float:
        began = perf_counter()
        answer = rank_items(event("throughput.jsonl", len(body), f"round-{number}"), lambda: 900_000)
        assert answer["totals"]["passages"] == pairs
        return perf_counter() - began

    direct(), batched(-1)
    times = [(direct(), batched(number)) for number in range(rounds)]
    return {
        "lines": "dl19" if _dl19() else "synthetic",
        "pairs": pairs,
        "direct_pairs_per_second": pairs / median(one for one, _ in times),
        "worker_pairs_per_second": pairs / median(other for _, other in times),
        "ratio": median(one / other for one, other in times),
        "ratios": [round(one / other, 3) for one, other in times],
    }


def _dl19() -> bytes:
    """The dl19 run as lines, where the data is at hand."""
    if not DL19.exists():
        return b""

    def texts(name: str) -> dict[str, str]:
        rows = gzip.decompress((DL19 / f"{name}.jsonl.gz").read_bytes()).splitlines()
        return {found["_id"]: found["text"] for found in map(json.loads, rows)}

    passages, queries = texts("corpus"), texts("queries")
    run: dict[str, list[str]] = {}
    for row in (DL19 / "bm25.run").read_text().splitlines():
        query, _, document, *_ = row.split()
        run.setdefault(query, []).append(document)
    found = (
        {"id": query, "query": queries[query], "passages": [{"id": d, "text": passages[d]} for d in documents]}
        for query, documents in run.items()
    )
    return "".join(json.dumps(line) + "\n" for line in found).encode()


def main() -> None:
    """Measure, print a table, and write JSON where asked."""
    parser = argparse.ArgumentParser(prog="make bench-batch")
    parser.add_argument("--worker", nargs=2, metavar=("KEY", "SIZE"), help="what the memory bench starts")
    parser.add_argument("--join", action="store_true", help="what the join bench starts")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--passages", type=int, default=2, help="a line, in the memory bench")
    parser.add_argument("--json", type=Path)
    asked = parser.parse_args()
    os.environ.setdefault("RERANK_MODEL_DIR", str(ministack.ROOT / "layer" / "nano"))
    os.environ["RERANK_BUCKETS"] = f"{INPUT_BUCKET},{OUTPUT_BUCKET}"
    os.environ |= {"POWERTOOLS_LOG_LEVEL": "WARNING", "POWERTOOLS_METRICS_DISABLED": "true"}
    os.environ.setdefault("AWS_ACCESS_KEY_ID", "test")
    os.environ.setdefault("AWS_SECRET_ACCESS_KEY", "test")
    os.environ.setdefault("AWS_DEFAULT_REGION", ministack.REGION)
    if asked.worker:
        key, size = asked.worker
        print(json.dumps(worker(key, int(size), f"memory-{key}")))
        return
    if asked.join:
        print(json.dumps(join_worker()))
        return
    with ministack.stand() as stand:
        os.environ["AWS_ENDPOINT_URL_S3"] = stand.url
        speed = throughput(stand, asked.rounds)
        peaks = memory(stand, asked.passages)
        joined = joining(stand, 100_000)
    print(f"throughput over {speed['lines']}, {speed['pairs']:,} pairs, medians of {asked.rounds} interleaved rounds")
    print(f"  direct {speed['direct_pairs_per_second']:10,.0f} pairs/s")
    print(f"  worker {speed['worker_pairs_per_second']:10,.0f} pairs/s   {speed['ratio']:.1%} of direct, median")
    print("memory, peak resident set of a worker")
    for count, found in peaks.items():
        print(
            f"  {count:6,} lines, {found['input_mib']:6.1f} MiB of input, {found['pairs']:7,} pairs:"
            f" {found['peak_mib']:6.1f} MiB ({found['before_mib']:.1f} when idle)"
        )
    print(
        f"join of {joined['pairs']:,} pairs with {joined['passages']:,} passages, {joined['corpus_mib']:.1f} MiB:"
        f" {joined['processor_seconds']:.1f} processor seconds, {joined['peak_mib']:.1f} MiB"
        f" ({joined['before_mib']:.1f} when idle)"
    )
    if asked.json:
        asked.json.write_text(json.dumps({"throughput": speed, "memory": peaks, "join": joined}, indent=2) + "\n")


if __name__ == "__main__":
    main()
