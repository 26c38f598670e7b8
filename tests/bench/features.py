"""What each option of a request costs, and how well deadlines are kept: ``make bench-features``.

Options are timed in turn, round after round, in one process, by its processor time (one thread does all), and compared
by the median of their ratios to the plain request of the same round: a noisy neighbour slows both. ``engine alone`` is
what is left where no option exists at all: tokenise, batch, score, sort.

Deadlines are of the answer as JSON. They too are kept and measured in processor time, the service's own clock included,
as on a core that nobody else uses; with ``--wall`` by the clock on the wall, which shows busy neighbours too.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from pathlib import Path
from random import Random
from statistics import median
from time import perf_counter, process_time
from typing import Any

import numpy as np

import handler.estimate
import handler.ranker
import handler.runtime
from handler import scoring
from handler.batching import micro_batches
from handler.contract import Chunking, RankRequest
from handler.dialects import native
from handler.encoding import ID_BYTES, Chunk
from handler.ranker import Ranker
from handler.runtime import Clock

WORDS = 70  # the median length: about a hundred tokens with those that are words of several pieces
QUERY = "what makes rain form over the hills in autumn"


def passages(vocabulary: list[str], count: int, words: int, seed: int = 0) -> list[dict[str, Any]]:
    """Made-up passages of sentences of vocabulary words, log-normal in length, with a first-stage score."""
    random = Random(seed)
    made = []
    for number in range(count):
        length = max(int(random.lognormvariate(0, 0.35) * words), 5)
        text = [random.choice(vocabulary) + "." * (place % 15 == 14) for place in range(length)]
        sentences = " ".join(word.capitalize() if place % 15 == 0 else word for place, word in enumerate(text))
        made.append({"text": sentences, "score": float(count - number)})
    return made


def engine_alone(ranker: Ranker, request: RankRequest) -> list[tuple[int, float]]:
    """The least that reranking is: no chunks, duplicates, clocks, fusion, thresholds or results."""
    encoder, model = ranker._encoder, ranker._model
    query = encoder.encode_query(request.query)
    chunks: list[Chunk] = []
    for index, passage in enumerate(request.passages):
        ids = encoder._ids(passage.text)
        chunks.append(Chunk(index, query.ids + ids + encoder._suffix, len(ids) // ID_BYTES, len(ids) // ID_BYTES))
    logits = np.empty(len(chunks), np.float32)
    for batch in micro_batches(query, chunks):
        logits[[chunk.passage for chunk in batch.chunks]] = model.logits(batch)
    scores = scoring.calibrated(logits.astype(np.float64), model.manifest)
    return [(index, float(scores[index])) for index in np.argsort(-scores, kind="stable").tolist()]


def compare_options(ranker: Ranker, made: list[dict[str, Any]], rounds: int) -> None:
    """Print the time of each option as a ratio to the plain request."""
    far = 1_000_000

    def run(**options: Any) -> Callable[[], object]:
        request = native.parse({"query": QUERY, "passages": made, **options})
        return lambda: ranker.rank(request, Clock.start(request.deadline_ms))

    plain = native.parse({"query": QUERY, "passages": made})
    options: dict[str, Callable[[], object]] = {
        "plain": run(),
        "engine alone": lambda: engine_alone(ranker, plain),
        "plain, again": run(),
        "deadline_ms, far away": run(deadline_ms=far),
        "score_threshold": run(score_threshold=0.5, min_results=3),
        "top_n 10": run(top_n=10),
        "fusion weighted": run(fusion={}),
        "fusion rrf": run(fusion={"method": "rrf"}),
        "relevant_spans, top_n 10": run(relevant_spans={}, top_n=10),
        "relevant_spans, all": run(relevant_spans={}),
        "chunking 64": run(chunking={"chunk_tokens": 64, "overlap_tokens": 16}),
        "dry_run": run(dry_run=True),
    }
    times: dict[str, list[float]] = {label: [] for label in options}
    for turn in range(rounds + 2):
        for label, call in options.items():
            began = process_time()
            call()
            if turn > 1:  # the first rounds fill the word cache and the arena
                times[label].append(process_time() - began)
    print(f"\n{len(made)} passages, {rounds} rounds\n")
    print("| option | median CPU ms | ratio to plain |\n|---|---|---|")
    for label, taken in times.items():
        ratio = median(one / base for one, base in zip(taken, times["plain"], strict=True))
        print(f"| {label} | {median(taken) * 1000:.2f} | {ratio:.3f} |")


def keep_deadlines(ranker: Ranker, made: list[dict[str, Any]], rounds: int, now: Callable[[], float]) -> None:
    """Print by how much answers come after their deadline, in milliseconds and in micro-batches."""
    request = native.parse({"query": QUERY, "passages": made})
    query = ranker._encoder.encode_query(QUERY)
    batches: list[float] = []
    for batch in micro_batches(query, ranker._encoder.chunks(query, enumerate(p["text"] for p in made), Chunking())):
        began = now()
        ranker._model.logits(batch)
        batches.append(now() - began)
    began = now()
    ranker.rank(request, Clock.start())
    whole = (now() - began) * 1000
    random, over, scored = Random(1), [], []
    for _ in range(rounds):
        allowed = max(int(whole * random.uniform(0.1, 0.9)), 1)
        clock = Clock.start(allowed)
        ranking = ranker.rank(request, clock)
        json.dumps(native.render(ranking, request))
        over.append((now() - clock.began) * 1000 - allowed)
        scored.append((1 - ranking.unscored / len(made)) * whole / allowed)
        if len(ranking.results) != len(made):
            raise SystemExit("a passage was lost")
    one = median(batches) * 1000
    print(f"\n{len(made)} passages take {whole:.0f} ms, a micro-batch {one:.2f}; {rounds} deadlines\n")
    print("| overshoot | ms | micro-batches |\n|---|---|---|")
    for label, value in (("median", median(over)), ("p99", float(np.quantile(over, 0.99))), ("most", max(over))):
        print(f"| {label} | {value:.2f} | {value / one:.2f} |")
    print(f"\nOf what the time allowed would have sufficed for, {median(scored):.0%} were scored (median).")


def compare_estimates(ranker: Ranker, vocabulary: list[str], now: Callable[[], float]) -> None:
    """Print what a dry run foretells beside what the real one takes, for short, usual and long passages."""
    print("\n| passages | words | foretold ms | taken ms | ratio |\n|---|---|---|---|---|")
    for count, words in ((20, 20), (100, WORDS), (100, 300), (50, 2000)):
        made = passages(vocabulary, count, words, seed=count)
        dry = native.parse({"query": QUERY, "passages": made, "dry_run": True})
        real = native.parse({"query": QUERY, "passages": made})
        foretold, taken = [], []
        for _ in range(5):
            told = ranker.rank(dry, Clock.start()).estimate
            foretold.append(told.milliseconds if told else 0.0)
            began = now()
            ranker.rank(real, Clock.start())
            taken.append((now() - began) * 1000)
        ahead, after = median(foretold), median(taken)
        print(f"| {count} | {words} | {ahead:.1f} | {after:.1f} | {ahead / after:.2f} |")


def main() -> None:
    """Run the comparisons."""
    parser = argparse.ArgumentParser(prog="make bench-features", description=__doc__)
    parser.add_argument("--model", type=Path, default=Path("layer/nano"))
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--wall", action="store_true")
    given = parser.parse_args()
    ranker = Ranker.load(given.model)
    lines = (given.model / "vocab.txt").read_text(encoding="utf-8").split("\n")
    vocabulary = [word for word in lines if word.isalpha() and word.isascii() and len(word) > 1]
    compare_options(ranker, passages(vocabulary, 100, WORDS), given.rounds)
    now = perf_counter if given.wall else process_time
    for module in (handler.ranker, handler.runtime, handler.estimate):
        module.perf_counter = now  # type: ignore[attr-defined]
    compare_estimates(ranker, vocabulary, now)
    keep_deadlines(ranker, passages(vocabulary, 1000, WORDS), given.rounds * 5, now)


if __name__ == "__main__":
    main()
