"""Texts that nobody wrote, made of a small world."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch", reason="torch is in the training environment alone")

from layer.train import varied
from layer.train.prepare import PASSAGE_TOKENS, World
from layer.train.tokens import Tokens
from layer.train.vocabulary import WORD, WholeWords

TOKENS = Tokens(Path("layer/nano/vocab.txt"))
RNG = np.random.default_rng(2)
VECTORS = RNG.standard_normal((len(TOKENS.pieces), 384)).astype(np.float16)
TEXT = "The moon pulls the deep sea. Twice every day the water rises. Then it falls again over the reef."
PASSAGES = TOKENS.encode([TEXT] * 10)
WORDS = WholeWords(TOKENS, VECTORS)
WORLD = World(PASSAGES, [], [], [], len(PASSAGES))


def test_there_are_as_many_as_the_passages_call_for() -> None:
    texts = varied.write(WORLD, TOKENS, WORDS, 1)
    assert len(texts) == round(10 * (varied.SWAPPED + varied.JOINED + varied.LISTS))
    assert all(0 < len(text) <= PASSAGE_TOKENS for text in texts)


def test_the_same_seed_writes_the_same_texts() -> None:
    one, two = (varied.write(WORLD, TOKENS, WORDS, 4) for _ in range(2))
    assert all(np.array_equal(a, b) for a, b in zip(one, two, strict=True))


def test_only_whole_uncommon_words_are_swapped() -> None:
    (text,) = TOKENS.encode(["the deep sea, unfathomably 12 m"])
    swappable = np.isin(np.arange(len(TOKENS.pieces)), WORDS.ids)
    swappable[text[0]] = False
    changed = np.zeros(len(text), np.bool_)
    for _ in range(200):
        changed |= varied.swap(text, WORDS, swappable, TOKENS.continues, RNG) != text
    pieces = [TOKENS.pieces[i] for i in text]
    followed = [after.startswith("##") for after in [*pieces[1:], ""]]
    expected = [
        WORD.fullmatch(piece) is not None and i != text[0] and not more
        for i, piece, more in zip(text, pieces, followed, strict=True)
    ]
    assert changed.tolist() == expected
