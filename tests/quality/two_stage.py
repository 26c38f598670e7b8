"""Two stages, from a corpus to a ranking: retrieve with BM25 and FAISS, rerank over HTTP, measure: ``make two-stage``.

    python -m tests.quality.two_stage FOLDER [--url URL] [--queries N] [--json FILE]

``FOLDER`` is a set in BEIR layout. The first stages search the whole corpus, BM25 by words (bm25s) and FAISS by the
embeddings of all-MiniLM-L6-v2; their best 100 passages go to ``POST /rank`` of ``URL``, or of a server started here.
Measures are those of ir-measures; every judged query counts, and one that nothing was found for counts as 0. The
figures are added to ``--json``, from which ``make figures`` draws.
"""

from __future__ import annotations

import argparse
import hashlib
import http.client
import json
import os
import random
import sys
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

import faiss
import ir_measures
import numpy as np
from ir_measures import RR, R, nDCG
from tqdm import tqdm

from layer.train.beir import BeirSet, DataError, read_set
from layer.train.wheel import fetch
from tests.quality.evaluate import Run, bm25
from tests.quality.minilm import Array, MiniLM
from tests.service import serving

DEPTH = 100
MEASURES = {
    "recall@1": R @ 1, "recall@10": R @ 10, "mrr@1": RR @ 1, "mrr@10": RR @ 10,
    "ndcg@1": nDCG @ 1, "ndcg@10": nDCG @ 10,
}  # fmt: skip
CACHE = Path(".build/two-stage")


def embeddings(texts: list[str], cache: Path, describe: str) -> Array:
    """Return the unit embeddings of ``texts``, kept in ``cache`` under a digest of them."""
    kept = cache / f"{hashlib.sha256(chr(0).join(texts).encode()).hexdigest()[:24]}.npy"
    if not kept.is_file():
        np.save(kept, MiniLM(fetch(cache)).embed(texts, describe))
    stored: Array = np.load(kept)
    return stored


def dense(data: BeirSet, cache: Path, depth: int) -> Run:
    """Return the best ``depth`` passages a query by inner product, from an exact FAISS index."""
    corpus = embeddings(list(data.corpus.values()), cache, f"{data.name}: embedding passages")
    queries = embeddings([data.queries[query] for query in data.qrels], cache, f"{data.name}: embedding queries")
    index = faiss.IndexFlatIP(corpus.shape[1])
    index.add(corpus)
    scores, found = index.search(queries, min(depth, len(corpus)))
    keys = list(data.corpus)
    return {
        query: {keys[i]: float(score) for i, score in zip(row, values, strict=True)}
        for query, row, values in zip(data.qrels, found, scores, strict=True)
    }


def rerank(url: str, data: BeirSet, run: Run, describe: str) -> Run:
    """Send every query's candidates to ``url``'s ``POST /rank`` and return the scores that come back.

    Raises:
        DataError: the service refused a request; the message is its own.
    """
    parts = urlsplit(url)
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    connection = kind(parts.netloc, timeout=60)
    headers = {"content-type": "application/json"}
    if key := os.environ.get("RERANK_KEY"):
        headers["authorization"] = f"Bearer {key}"
    reranked: Run = {}
    for query, candidates in tqdm(run.items(), desc=describe, unit="query", mininterval=1):
        passages = [{"id": key, "text": data.corpus[key]} for key in candidates]
        body = json.dumps({"query": data.queries[query], "passages": passages, "raw_scores": True})
        connection.request("POST", f"{parts.path.rstrip('/')}/rank", body.encode(), headers)
        response = connection.getresponse()
        answer = json.load(response)
        if response.status != 200:
            raise DataError(f"{url} answered {response.status}: {answer.get('message')}")
        reranked[query] = {result["id"]: result["score"] for result in answer["results"]}
    return reranked


def measure(data: BeirSet, run: Run) -> dict[str, float]:
    """Return the mean of each measure over the judged queries."""
    values = {str(measure): 0.0 for measure in MEASURES.values()}
    for metric in ir_measures.iter_calc(
        list(MEASURES.values()), data.qrels, {q: found for q, found in run.items() if found}
    ):
        values[str(metric.measure)] += metric.value / len(data.qrels)
    return {name: round(values[str(measure)], 4) for name, measure in MEASURES.items()}


def sample(data: BeirSet, queries: int | None) -> BeirSet:
    """Return the set with ``queries`` of its judged queries, always the same ones; None keeps all."""
    judged = [query for query, grades in data.qrels.items() if query in data.queries and max(grades.values()) > 0]
    if queries is not None and queries < len(judged):
        judged = sorted(random.Random(0).sample(judged, queries))
    return replace(data, qrels={query: data.qrels[query] for query in judged})


def table(name: str, figures: dict[str, dict[str, float]]) -> str:
    """Return the figures as a Markdown table."""
    lines = [f"| {name} | " + " | ".join(MEASURES) + " |", "|---|" + "---|" * len(MEASURES)]
    lines += [
        f"| {stage} | " + " | ".join(f"{values[measure]:.3f}" for measure in MEASURES) + " |"
        for stage, values in figures.items()
    ]
    return "\n".join(lines)


def main() -> int:
    """Run the example; returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="make two-stage", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--url")
    parser.add_argument("--model", type=Path, default=Path("layer/nano"))
    parser.add_argument("--queries", type=int)
    parser.add_argument("--json", type=Path, default=Path(".build/results/two-stage.json"))
    given = parser.parse_args()
    try:
        data = sample(read_set(given.folder), given.queries)
        CACHE.mkdir(parents=True, exist_ok=True)
        stages = {"BM25": bm25(data, DEPTH), "FAISS, MiniLM": dense(data, CACHE, DEPTH)}
        runs: dict[str, Run] = {}
        settings = {"RERANK_MODEL_DIR": str(given.model.resolve()), "RERANK_AUTH_MODE": "None"}
        with nullcontext(given.url) if given.url else serving(**settings) as url:
            for stage, run in stages.items():
                runs[stage] = run
                runs[f"{stage}, reranked"] = rerank(url, data, run, f"{data.name}: reranking {stage}")
    except (DataError, OSError, RuntimeError) as error:
        print(f"two-stage: {error}", file=sys.stderr)
        return 2
    figures = {stage: measure(data, run) for stage, run in runs.items()}
    print(f"{data.name}: {len(data.qrels)} queries, {len(data.corpus):,} passages, {DEPTH} reranked a query")
    print(table(data.name, figures))
    results = json.loads(given.json.read_text(encoding="utf-8")) if given.json.is_file() else {}
    results[data.name] = {"queries": len(data.qrels), "stages": figures}
    given.json.parent.mkdir(parents=True, exist_ok=True)
    given.json.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
