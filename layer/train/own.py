"""The training set that this project wrote: passages of many trades and kinds, each with queries that it answers.

The public sets of ``train/`` are encyclopaedic, medical, or of one platform; a reranker meets every trade's words. A
language model wrote these texts from its own knowledge, without sources or data sets at hand: they teach words and
what they have to do with each other, and are no source of facts. A file of ``texts/`` is a field: paragraphs as in
textbooks and reports, ``news-`` reports, ``web-`` pages, ``qa-`` eight sentences each of one article,
``same-question-`` questions that others ask in other words. A block between blank lines is one passage under its
queries, which begin with ``? ``.
"""

from __future__ import annotations

from pathlib import Path

from layer.train.beir import BeirSet, DataError

NAME = "own"
TEXTS = Path(__file__).parent / "texts"


def read(folder: Path = TEXTS) -> BeirSet:
    """Read all fields as one set.

    Raises:
        DataError: a block is not one passage under its queries.
    """
    corpus: dict[str, str] = {}
    queries: dict[str, str] = {}
    qrels: dict[str, dict[str, int]] = {}
    for path in sorted(folder.glob("*.txt")):
        blocks = path.read_text(encoding="utf-8").strip().split("\n\n")
        for number, block in enumerate(blocks, 1):
            *asked, passage = block.splitlines()
            if not asked or not all(line.startswith("? ") for line in asked) or passage.startswith("?"):
                raise DataError(f"{path.name}: block {number} is not one passage under its queries")
            key = f"{path.stem}/{number}"
            corpus[key] = passage
            for place, line in enumerate(asked):
                queries[f"{key}/{place}"] = line[2:]
                qrels[f"{key}/{place}"] = {key: 1}
    return BeirSet(NAME, corpus, queries, qrels)
