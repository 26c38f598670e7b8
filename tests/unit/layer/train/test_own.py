"""The training texts that this project wrote."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from layer.train import own
from layer.train.beir import DataError, read_set

DEV = Path(__file__).resolve().parents[5] / "shared" / "data" / "dev"
RUN = 12  # words; shorter ones are titles, names and set phrases


def test_every_block_of_our_texts_is_a_passage_under_its_queries() -> None:
    found = own.read()
    assert len(found.corpus) > 1000
    assert found.queries.keys() == found.qrels.keys()
    assert {passage for relevant in found.qrels.values() for passage in relevant} == found.corpus.keys()
    assert min(len(text.split()) for text in found.corpus.values()) >= 5
    assert len(set(found.corpus.values())) == len(found.corpus)


@pytest.mark.parametrize("block", ["? a question alone", "a passage alone", "? a question\ntwo lines\nof a passage"])
def test_a_malformed_block_is_named_and_its_text_is_not(tmp_path: Path, block: str) -> None:
    (tmp_path / "field.txt").write_text(f"? asked\nanswered\n\n{block}\n")
    with pytest.raises(DataError, match=r"^field\.txt: block 2 is not one passage under its queries$"):
        own.read(tmp_path)


def words(text: str) -> list[str]:
    return re.findall(r"[a-z0-9]+", text.lower())


def runs(text: str) -> Iterator[tuple[str, ...]]:
    found = words(text)
    return (tuple(found[i : i + RUN]) for i in range(len(found) - RUN + 1))


@pytest.mark.skipif(not DEV.is_dir(), reason="../shared/data/dev is not here")
def test_our_texts_repeat_nothing_of_the_sets_that_judge_the_model() -> None:
    ours = own.read()
    passages = {run for text in [*ours.corpus.values(), *ours.queries.values()] for run in runs(text)}
    queries = {" ".join(words(text)) for text in ours.queries.values()}
    for folder in sorted(path for path in DEV.iterdir() if path.is_dir()):
        theirs = read_set(folder)
        assert [text for text in theirs.queries.values() if " ".join(words(text)) in queries] == []
        everything = [*theirs.corpus.items(), *theirs.queries.items()]
        assert [key for key, text in everything if not passages.isdisjoint(runs(text))] == [], folder.name
