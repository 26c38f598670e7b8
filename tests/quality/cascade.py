"""What a cascade gains and costs: quality against time at several cuts, ``make eval-cascade``.

    python -m tests.quality.cascade FOLDER --first DIRECTORY --second DIRECTORY [--cuts 10 20 50] [--queries 50]

Both models score every candidate once, timed; every cut is then put together from those scores by the very code that
serves requests (``handler.cascade``), so that the rows of the table differ in nothing but the cut.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter

import numpy as np
from tqdm import tqdm

from handler.backends.bedrock import ranking
from handler.cascade import Cascade
from handler.contract import ModelId, Passage, Ranking, RankRequest, Usage
from handler.ranker import Ranker
from handler.runtime import Clock
from handler.scoring import sigmoid
from layer.train.beir import BeirSet, DataError, read_set
from tests.quality.evaluate import Run, first_stage, measure, sets_in

DEPTH = 100
MEASURE = "ndcg@10"


@dataclass
class Timed:
    """A model that keeps the seconds that its passages took, and its rankings by query."""

    ranker: Ranker
    seconds: float = 0.0
    passages: int = 0
    known: dict[str, dict[str, float]] = field(default_factory=dict)

    @property
    def model_id(self) -> ModelId:
        return self.ranker.model_id

    @property
    def milliseconds(self) -> float:
        """Milliseconds a passage."""
        return self.seconds * 1000 / self.passages

    def learn(self, query: str, texts: list[str]) -> None:
        """Score the candidates of a query."""
        began = perf_counter()
        answer = self.ranker.rank(RankRequest(query, tuple(map(Passage, texts)), raw_scores=True), Clock.start())
        self.seconds += perf_counter() - began
        self.passages += len(texts)
        self.known[query] = {result.passage.text: result.score for result in answer.results}

    def rank(self, request: RankRequest, clock: Clock) -> Ranking:
        """Answer from what was learnt, through the same results as ever."""
        logits = np.array([self.known[request.query][passage.text] for passage in request.passages])
        usage = Usage(len(logits), 0, len(logits), 0)
        return ranking(request, self.ranker._model.manifest, sigmoid(logits).tolist(), usage, clock, asked=0.0)


def main(arguments: list[str] | None = None) -> int:
    """Run the command line and return its exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.quality.cascade")
    parser.add_argument("folder", type=Path, help="a set in BEIR layout, or a folder of sets")
    parser.add_argument("--first", type=Path, required=True, help="model directory of the cheap model")
    parser.add_argument("--second", type=Path, required=True, help="model directory of the better one")
    parser.add_argument("--cuts", type=int, nargs="*", default=[10, 20, 50])
    parser.add_argument("--queries", type=int, help="take the first so many of each set")
    given = parser.parse_args(arguments)
    try:
        for folder in sets_in(given.folder):
            data = read_set(folder)
            run = dict(list(first_stage(data, folder, None, DEPTH).items())[: given.queries])
            report(data, run, Ranker.load(given.first), Ranker.load(given.second), given.cuts)
    except DataError as error:
        sys.exit(str(error))
    return 0


def report(data: BeirSet, run: Run, one: Ranker, two: Ranker, cuts: list[int]) -> None:
    """Print the table of one set."""
    first, second = Timed(one), Timed(two)
    for query, candidates in tqdm(run.items(), desc=f"{data.name}: both models", unit="query", mininterval=0.5):
        texts = list(dict.fromkeys(data.corpus[key] for key in candidates))
        first.learn(data.queries[query], texts)
        second.learn(data.queries[query], texts)
    judged = BeirSet(data.name, data.corpus, data.queries, {query: data.qrels[query] for query in run})
    depth = sum(len(candidates) for candidates in run.values()) / len(run)
    print(f"\n{data.name}: {len(run)} queries, {depth:.0f} candidates each")
    print(f"{'order':<28} {'nDCG@10':>8} {'ms / query':>11}")
    print(f"{'first stage':<28} {_quality(judged, run):>8.4f} {'':>11}")
    rows = {f"{one.model_id.name} alone": 0}
    rows |= {f"{one.model_id.name}+{two.model_id.name}, cut {cut}": cut for cut in cuts}
    for name, cut in rows.items():
        model: Cascade | Timed = Cascade(first, second, cut) if cut else first
        time = depth * first.milliseconds + min(cut, depth) * second.milliseconds
        print(f"{name:<28} {_quality(judged, _rerank(model, data, run)):>8.4f} {time:>11.1f}")
    alone = _quality(judged, _rerank(second, data, run))
    print(f"{f'{two.model_id.name} alone':<28} {alone:>8.4f} {depth * second.milliseconds:>11.1f}", flush=True)


def _rerank(model: Cascade | Timed, data: BeirSet, run: Run) -> Run:
    reranked: Run = {}
    for query, candidates in run.items():
        passages = tuple(Passage(data.corpus[key], id=key) for key in candidates)
        ranking = model.rank(RankRequest(data.queries[query], passages), Clock.start())
        reranked[query] = {str(result.passage.id): -float(place) for place, result in enumerate(ranking.results)}
    return reranked


def _quality(data: BeirSet, run: Run) -> float:
    by_query = measure(data, run)[MEASURE]
    return sum(by_query.values()) / len(by_query)


if __name__ == "__main__":
    sys.exit(main())
