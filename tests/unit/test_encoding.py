"""The word cache stays bounded and sequences are put together as the model was trained on them."""

from __future__ import annotations

from array import array
from pathlib import Path

import pytest

from handler import encoding
from handler.contract import Chunking
from handler.encoding import CACHED_WORD_CHARACTERS, WordCache
from handler.model import load

MODEL = load(Path(__file__).resolve().parents[2] / "layer" / "nano")
ENCODER = MODEL.encoder()
TOKENIZER = MODEL.tokens.library


def word_ids(word: str) -> list[int]:
    return [len(word)] if word else []


def test_the_cache_holds_no_more_than_its_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(encoding, "CACHED_WORDS", 10)
    cache = WordCache(word_ids)
    text = " ".join("x" * length for length in range(1, 30))
    assert list(array("i", cache.ids(text))) == list(range(1, 30))
    assert len(cache) == 10


def test_long_words_are_not_kept() -> None:
    cache = WordCache(word_ids)
    cache.ids("x" * (CACHED_WORD_CHARACTERS + 1))
    assert not cache
    cache.ids("x" * CACHED_WORD_CHARACTERS)
    assert len(cache) == 1


def test_a_word_is_tokenised_once() -> None:
    asked: list[str] = []

    def counted(word: str) -> list[int]:
        asked.append(word)
        return [1]

    cache = WordCache(counted)
    cache.ids("rain and rain\nand rain")
    assert asked == ["rain", "and"]


def test_a_sequence_is_query_and_passage_between_special_tokens() -> None:
    query = ENCODER.encode_query("how does rain form")
    (chunk,) = ENCODER.chunks(query, [(0, "Over hills, in clouds.")], Chunking())
    expected = TOKENIZER.encode("how does rain form", "Over hills, in clouds.")
    assert list(array("i", chunk.ids)) == expected.ids


def test_a_long_query_leaves_half_of_the_window_to_the_passage() -> None:
    query = ENCODER.encode_query("rain " * 2000)
    window = MODEL.manifest.window
    assert query.truncated
    assert query.tokens == 2000
    (chunk,) = ENCODER.chunks(query, [(0, "hills " * 100)], Chunking())
    assert chunk.length <= window
    assert chunk.used == 100
