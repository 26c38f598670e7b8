"""The pure parts of preparing text: chunks, crops and the queries that are written from passages."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np

from layer.train import prepare
from layer.train.tokens import Tokens

TOKENS = Tokens(Path("layer/nano/vocab.txt"))
STOP = prepare.SENTENCE_ENDS[0]
TEXT = np.array(
    [*range(2000, 2006), STOP, *range(3000, 3007), STOP, *range(2100, 2105), STOP, *range(4000, 4008), STOP]
)


def test_chunks_lose_nothing_and_end_at_sentences() -> None:
    ids = np.tile(TEXT, 20)
    chunks = prepare.chunks(ids, 50)
    assert np.array_equal(np.concatenate(chunks), ids)
    assert all(len(chunk) <= 50 for chunk in chunks)
    assert all(chunk[-1] in prepare.SENTENCE_ENDS for chunk in chunks)


def test_a_text_without_sentence_ends_is_cut_at_the_limit() -> None:
    chunks = prepare.chunks(np.arange(1100, 1221, dtype=np.int32), 50)
    assert [len(chunk) for chunk in chunks] == [50, 50, 21]


def test_a_crop_is_a_run_of_whole_sentences() -> None:
    for seed in range(20):
        crop = prepare.crop(TEXT, random.Random(seed))
        assert crop is not None
        assert " ".join(map(str, crop)) in " ".join(map(str, TEXT))
        assert crop[-1] in prepare.SENTENCE_ENDS


def test_written_queries_use_the_passage_s_rarer_words() -> None:
    words = [
        "the",
        "quick",
        "zebra",
        "of",
        "the",
        "deep",
        "savanna",
        "is",
        "the",
        "grazer",
        "of",
        "the",
        "open",
        "plain",
    ]
    rarity = dict.fromkeys(words, 8.0) | dict.fromkeys(("the", "of", "is"), 0.1)
    keywords, template = prepare.written_queries(words, rarity, random.Random(3))
    assert set(keywords.split()) <= {word for word, rare in rarity.items() if rare > 1}
    assert any(word in template for word in ("zebra", "savanna", "grazer", "deep", "quick", "open", "plain"))


def test_words_are_joined_from_their_pieces() -> None:
    (ids,) = TOKENS.encode(["Hydroxychloroquine, twice."])
    assert len(ids) > 4
    assert TOKENS.words(ids) == ["hydroxychloroquine", "twice"]


def test_idf_falls_with_frequency() -> None:
    frequency = prepare.token_frequency([np.array([1, 1, 2]), np.array([1])], 4)
    assert frequency.tolist() == [0, 2, 1, 0]
    idf = prepare.idf(frequency, 2)
    assert idf[3] > idf[2] > idf[1] > 0
