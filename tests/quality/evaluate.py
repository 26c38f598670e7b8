"""Rerank a first-stage run through the shipped engine and report what it gained: ``make eval``.

    python -m tests.quality.evaluate FOLDER [--run RUN] [--model DIRECTORY] [--json FILE] [--per-query FILE]

``FOLDER`` is a set in BEIR layout (see :mod:`layer.train.beir`), or a folder of such sets. The first stage is ``RUN``,
or the ``bm25.run`` or ``candidates.run`` beside the set, or BM25 (of bm25s) over the whole corpus. Every judged query
counts, one that the first stage found nothing for as 0. Measures are those of ir-measures, with trec_eval's linear nDCG
gain.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import bm25s
import ir_measures
import scipy.stats
from ir_measures import RR, R, nDCG
from tqdm import tqdm

from handler.contract import Passage, RankRequest
from handler.errors import RerankError
from handler.ranker import Ranker
from handler.runtime import Clock
from layer.train.beir import BeirSet, DataError, open_text, read_set

DEPTH = 100
MEASURES = {"ndcg@10": nDCG @ 10, "mrr@10": RR @ 10, "recall@10": R @ 10, "recall@100": R @ 100}
RUNS = ("bm25.run", "bm25.run.gz", "candidates.run", "candidates.run.gz")
Run = dict[str, dict[str, float]]
PerQuery = dict[str, dict[str, float]]


@dataclass(frozen=True, slots=True)
class Report:
    """One set's figures: per measure and query, before and after reranking."""

    name: str
    first_stage: PerQuery
    reranked: PerQuery

    def mean(self, stage: PerQuery, measure: str) -> float:
        """Return the mean over all judged queries."""
        return sum(stage[measure].values()) / len(stage[measure])

    def p_value(self, measure: str) -> float:
        """Return the two-sided p of a paired t-test over queries (Smucker, Allan & Carterette, CIKM 2007); 1 where
        nothing changed.
        """
        queries = list(self.first_stage[measure])
        before, after = ([stage[measure][q] for q in queries] for stage in (self.first_stage, self.reranked))
        return 1.0 if before == after or len(queries) < 2 else float(scipy.stats.ttest_rel(before, after).pvalue)

    def as_json(self) -> dict[str, object]:
        """Return the machine-readable form."""
        figures: dict[str, object] = {"queries": len(self.first_stage["ndcg@10"])}
        for measure in MEASURES:
            figures[measure] = {
                "first_stage": round(self.mean(self.first_stage, measure), 4),
                "reranked": round(self.mean(self.reranked, measure), 4),
                "p": float(f"{self.p_value(measure):.3g}"),
            }
        return figures


def read_run(path: Path) -> Run:
    """Read a TREC run, ``query Q0 passage rank score tag``, plain or gzipped.

    Raises:
        DataError: it is missing, empty, or a line has not those six fields.
    """
    if not path.is_file():
        raise DataError(f"{path}: no such run")
    run: Run = {}
    with open_text(path) as lines:
        for number, line in enumerate(lines, 1):
            fields = line.split()
            if not fields:
                continue
            try:
                query, _, passage, _, score, *_ = fields
                run.setdefault(query, {})[passage] = float(score)
            except ValueError as error:
                raise DataError(f"{path}:{number}: needs `query Q0 passage rank score tag`") from error
    if not run:
        raise DataError(f"{path}: holds no line")
    return run


def bm25(data: BeirSet, depth: int) -> Run:
    """Return the best ``depth`` passages a query by BM25 with English stop words left out."""
    keys = list(data.corpus)
    retriever = bm25s.BM25(k1=0.9, b=0.4)
    retriever.index(
        bm25s.tokenize(list(data.corpus.values()), stopwords="en", show_progress=False), show_progress=False
    )
    queries = [query for query in data.qrels if query in data.queries]
    tokens = bm25s.tokenize(
        [data.queries[query] for query in queries], stopwords="en", show_progress=False, return_ids=False
    )
    run: Run = {}
    for query, words in zip(queries, tokens, strict=True):
        if not words:
            continue
        found, scores = retriever.retrieve([words], k=min(depth, len(keys)), show_progress=False)
        run[query] = {keys[i]: float(score) for i, score in zip(found[0], scores[0], strict=True) if score > 0}
    return run


def first_stage(data: BeirSet, folder: Path, given: Path | None, depth: int) -> Run:
    """Return the candidates of every judged query, at most ``depth``.

    Raises:
        DataError: the run cannot be read, or names passages or queries that the set does not hold.
    """
    path = given or next((folder / name for name in RUNS if (folder / name).is_file()), None)
    run = bm25(data, depth) if path is None else read_run(path)
    judged = {query: candidates for query, candidates in run.items() if query in data.qrels and candidates}
    if not judged:
        raise DataError(f"{path or folder}: no query of the first stage is judged in this set")
    for query, candidates in judged.items():
        if query not in data.queries:
            raise DataError(f"{path}: the query {query!r} is not in queries.jsonl")
        for passage in candidates:
            if passage not in data.corpus:
                raise DataError(f"{path}: the passage {passage!r} is not in corpus.jsonl")
        judged[query] = dict(sorted(candidates.items(), key=lambda item: -item[1])[:depth])
    return judged


def rerank(ranker: Ranker, data: BeirSet, run: Run) -> Run:
    """Score the candidates of every query with the engine."""
    reranked: Run = {}
    for query, candidates in tqdm(run.items(), desc=f"{data.name}: reranking", unit="query", mininterval=0.5):
        passages = tuple(Passage(data.corpus[key], id=key) for key in candidates)
        ranking = ranker.rank(RankRequest(data.queries[query], passages, raw_scores=True), Clock.start())
        reranked[query] = {str(result.passage.id): result.score for result in ranking.results}
    return reranked


def measure(data: BeirSet, run: Run) -> PerQuery:
    """Return every measure by query, for the judged queries that have a relevant passage."""
    judged = {query: grades for query, grades in data.qrels.items() if any(grade > 0 for grade in grades.values())}
    # trec_eval breaks ties of scores by passage id: ranks instead of scores keep the order that the engine gave.
    ranks = {
        query: {passage: -float(rank) for rank, passage in enumerate(sorted(run[query], key=lambda p: -run[query][p]))}
        for query in judged
        if run.get(query)
    }
    figures: PerQuery = {name: dict.fromkeys(judged, 0.0) for name in MEASURES}
    names = {str(value): name for name, value in MEASURES.items()}
    for metric in ir_measures.iter_calc(list(MEASURES.values()), judged, ranks):
        figures[names[str(metric.measure)]][metric.query_id] = metric.value
    return figures


def evaluate(folder: Path, ranker: Ranker, run: Path | None = None, depth: int = DEPTH) -> Report:
    """Read a set, rerank its first stage and measure both.

    Raises:
        DataError: something in the set is missing or malformed.
    """
    data = read_set(folder)
    candidates = first_stage(data, folder, run, depth)
    return Report(data.name, measure(data, candidates), measure(data, rerank(ranker, data, candidates)))


def sets_in(folder: Path) -> list[Path]:
    """Return ``folder`` where it is a set; else the sets in it that have a first-stage run.

    Raises:
        DataError: there is none.
    """
    if any(
        (folder / name).exists()
        for name in ("corpus.jsonl", "corpus.jsonl.gz", "queries.jsonl", "queries.jsonl.gz", "qrels")
    ):
        return [folder]
    inside = [path for path in sorted(folder.glob("*")) if any((path / name).is_file() for name in RUNS)]
    if not inside:
        raise DataError(f"{folder}: neither a set in BEIR layout nor a folder of sets with a run each")
    return inside


def table(reports: Iterable[Report]) -> str:
    """Return the figures as a Markdown table."""
    lines = [
        "| set | queries | " + " | ".join(MEASURES) + " | p (nDCG@10) |",
        "|---|---|" + "---|" * (len(MEASURES) + 1),
    ]
    for report in reports:
        cells = [f"{report.mean(report.first_stage, m):.3f} → {report.mean(report.reranked, m):.3f}" for m in MEASURES]
        queries = len(report.first_stage["ndcg@10"])
        lines.append(f"| {report.name} | {queries} | {' | '.join(cells)} | {report.p_value('ndcg@10'):.2g} |")
    return "\n".join(lines)


def write_per_query(reports: Iterable[Report], path: Path) -> None:
    """Write a line a query and measure: set, query, measure, before, after."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8") as out:
        out.write("set\tquery\tmeasure\tfirst_stage\treranked\n")
        for report in reports:
            for name in MEASURES:
                for query, before in report.first_stage[name].items():
                    out.write(f"{report.name}\t{query}\t{name}\t{before:.4f}\t{report.reranked[name][query]:.4f}\n")


def main(arguments: list[str] | None = None) -> int:
    """Run the tool; returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="make eval", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--run", type=Path)
    parser.add_argument("--model", type=Path, default=Path("layer/nano"))
    parser.add_argument("--json", type=Path)
    parser.add_argument("--per-query", type=Path, default=Path(".build/eval/per-query.tsv"))
    parser.add_argument("--depth", type=int, default=DEPTH)
    given = parser.parse_args(arguments)
    try:
        folders = sets_in(given.folder)
        if given.run and len(folders) > 1:
            raise DataError("RUN goes with one set: name it in DATA")
        ranker = Ranker.load(given.model)
        reports = [evaluate(folder, ranker, given.run, given.depth) for folder in folders]
    except (DataError, RerankError) as error:
        print(f"eval: {error}", file=sys.stderr)
        return 2
    print(table(reports))
    write_per_query(reports, given.per_query)
    print(f"per query: {given.per_query}")
    if given.json:
        given.json.parent.mkdir(parents=True, exist_ok=True)
        given.json.write_text(json.dumps({report.name: report.as_json() for report in reports}, indent=2) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
