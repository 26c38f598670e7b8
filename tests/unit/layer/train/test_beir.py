"""BEIR layout: what is read, and that what is not is named. The evaluation tool's tests hold the rest."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from layer.train import beir


def test_a_title_is_put_before_its_text_and_a_number_is_an_id(tmp_path: Path) -> None:
    path = tmp_path / "corpus.jsonl"
    path.write_text('{"_id": 7, "title": "Tides", "text": "rise"}\n\n{"_id": "b", "title": "", "text": "fall"}\n')
    assert beir.read_texts(path) == {"7": "Tides rise", "b": "fall"}


def test_a_gzipped_file_that_is_cut_short_is_named(tmp_path: Path) -> None:
    path = tmp_path / "corpus.jsonl.gz"
    whole = gzip.compress(b'{"_id": "a", "text": "x"}\n')
    path.write_bytes(whole[:-9])
    with pytest.raises(beir.DataError, match=r"corpus\.jsonl\.gz: cannot be read"):
        beir.read_texts(path)


def test_of_several_splits_the_test_split_is_taken(tmp_path: Path) -> None:
    (tmp_path / "qrels").mkdir()
    for name in ("train.tsv", "dev.tsv", "test.tsv"):
        (tmp_path / "qrels" / name).write_text("")
    assert beir.find_qrels(tmp_path).name == "test.tsv"
