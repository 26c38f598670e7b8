"""What the options for long passages and for fusion do to quality: ``make eval-answers``.

    python -m tests.quality.answers chunking|fusion FOLDER... [--model DIRECTORY] [--queries N] [--depth N] [--among N]

``FOLDER`` is a set in BEIR layout with a first-stage run beside it. ``chunking`` compares chunk sizes, overlaps and
modes by nDCG@10 and by tokens and time a query; ``--among 5`` hides every passage at a place among four others of the
corpus, as a long document would. ``fusion`` compares methods and weights by nDCG@10, the first stage being the run's
scores.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from random import Random
from time import process_time
from typing import NamedTuple

import numpy as np

from handler import scoring
from handler.contract import Chunking, Fusion
from handler.encoding import Chunk
from handler.errors import RerankError
from handler.ranker import Ranker
from handler.runtime import Clock
from layer.train.beir import BeirSet, DataError, read_set
from tests.quality.evaluate import DEPTH, Run, first_stage, measure

CUTS = ((None, 32), (256, 32), (128, 0), (128, 32), (64, 16))
MODES = {
    "truncated": Chunking(mode="first"),
    "max": Chunking(mode="max"),
    "mean": Chunking(mode="mean"),
    "top 2 mean": Chunking(mode="top_k_mean", top_k=2),
    "top 3 mean": Chunking(mode="top_k_mean", top_k=3),
    "max of 4": Chunking(mode="max", max_chunks_per_doc=4),
}
FUSIONS = {
    **{f"weighted {w:.1f}": Fusion("weighted", w) for w in (0.1, 0.2, 0.3, 0.4, 0.5)},
    **{f"rrf {w:.1f}, k {k}": Fusion("rrf", w, k) for k in (10, 60) for w in (0.3, 0.5)},
}


class Scored(NamedTuple):
    """The chunks of one query's candidates with their logits, and what they cost."""

    chunks: list[Chunk]
    logits: list[float]
    seconds: float


def sample(data: BeirSet, run: Run, queries: int | None) -> tuple[BeirSet, Run]:
    """Every judged query that has candidates, or as many of them, drawn by a fixed seed."""
    names = sorted(query for query in run if any(grade > 0 for grade in data.qrels[query].values()))
    if queries is not None and queries < len(names):
        names = sorted(Random(6).sample(names, queries))
    return replace(data, qrels={name: data.qrels[name] for name in names}), {name: run[name] for name in names}


def among_others(data: BeirSet, documents: int) -> BeirSet:
    """Every passage at a random place among others: a long document of which one part answers."""
    keys = sorted(data.corpus)
    corpus = {}
    for key in keys:
        random = Random(key)
        parts = [data.corpus[other] for other in random.sample(keys, documents - 1)]
        parts.insert(random.randrange(documents), data.corpus[key])
        corpus[key] = "\n".join(parts)
    return replace(data, corpus=corpus)


def score(ranker: Ranker, data: BeirSet, run: Run, chunking: Chunking) -> Iterator[tuple[str, Scored]]:
    """Score every chunk of every query's candidates, numbered by their place in the run."""
    for name, candidates in run.items():
        query = ranker._encoder.encode_query(data.queries[name])
        began = process_time()
        texts = enumerate(data.corpus[key] for key in candidates)
        scored = ranker._score(query, ranker._encoder.chunks(query, texts, chunking), Clock.start())
        yield name, Scored(scored.chunks, scored.logits, process_time() - began)


def aggregated(scored: dict[str, Scored], run: Run, chunking: Chunking) -> Run:
    """The run that ``chunking`` would have given, from all chunks of all passages."""
    most = 1 if chunking.mode == "first" else chunking.max_chunks_per_doc
    reranked: Run = {}
    for name, (chunks, logits, _) in scored.items():
        kept = [
            (chunk._replace(parts=min(chunk.parts, most)), logit)
            for chunk, logit in zip(chunks, logits, strict=True)
            if chunk.part < most
        ]
        found = scoring.evidence([chunk for chunk, _ in kept], [logit for _, logit in kept], chunking)
        reranked[name] = {key: found[place].logit for place, key in enumerate(run[name])}
    return reranked


def ndcg(data: BeirSet, run: Run) -> float:
    """Mean nDCG@10 over the judged queries."""
    return float(np.mean(list(measure(data, run)["ndcg@10"].values())))


def compare_chunking(ranker: Ranker, data: BeirSet, run: Run, among: int) -> None:
    """Print a line for each size and overlap of chunks."""
    if among > 1:
        data = among_others(data, among)
    print(f"\n### {data.name}, {len(run)} queries, {among} texts a passage: first stage {ndcg(data, run):.4f}\n")
    print(f"| chunk | overlap | {' | '.join(MODES)} | chunks a passage | tokens a query | CPU ms a query |")
    print("|---|---|" + "---|" * (len(MODES) + 3))
    for size, overlap in CUTS:
        cut = Chunking(chunk_tokens=size, overlap_tokens=overlap, max_chunks_per_doc=1000)
        scored = dict(score(ranker, data, run, cut))
        figures = [ndcg(data, aggregated(scored, run, mode)) for mode in MODES.values()]
        tokens = sum(chunk.length for one in scored.values() for chunk in one.chunks) / len(run)
        chunks = sum(len(one.chunks) for one in scored.values()) / sum(map(len, run.values()))
        seconds = sum(one.seconds for one in scored.values()) / len(run)
        cells = " | ".join(f"{figure:.4f}" for figure in figures)
        print(
            f"| {size or 'window'} | {overlap} | {cells} | {chunks:.2f} | {tokens:.0f} | {seconds * 1000:.1f} |",
            flush=True,
        )


def compare_fusion(ranker: Ranker, data: BeirSet, run: Run, _: int) -> None:
    """Print a line for each method and weight of fusion."""
    reranked = aggregated(dict(score(ranker, data, run, Chunking())), run, Chunking())
    print(f"\n### {data.name}, {len(run)} queries\n\n| fusion | nDCG@10 |\n|---|---|")
    print(f"| first stage alone | {ndcg(data, run):.4f} |\n| model alone | {ndcg(data, reranked):.4f} |")
    for label, fusion in FUSIONS.items():
        fused: Run = {}
        for name, logits in reranked.items():
            values = np.array(list(logits.values())), np.array(list(run[name].values()))
            fused[name] = dict(zip(logits, scoring.fuse(*values, fusion).tolist(), strict=True))
        print(f"| {label} | {ndcg(data, fused):.4f} |", flush=True)


def main(arguments: list[str] | None = None) -> int:
    """Run the tool; returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="make eval-answers", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", choices=("chunking", "fusion"))
    parser.add_argument("folders", type=Path, nargs="+")
    parser.add_argument("--model", type=Path, default=Path("layer/nano"))
    parser.add_argument("--queries", type=int)
    parser.add_argument("--depth", type=int, default=DEPTH)
    parser.add_argument("--among", type=int, default=1)
    given = parser.parse_args(arguments)
    compare = {"chunking": compare_chunking, "fusion": compare_fusion}[given.what]
    try:
        ranker = Ranker.load(given.model)
        for folder in given.folders:
            data = read_set(folder)
            data, run = sample(data, first_stage(data, folder, None, given.depth), given.queries)
            compare(ranker, data, run, given.among)
    except (DataError, RerankError) as error:
        print(f"eval-answers: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
