"""The student's own vocabulary, and ids carried over from the teacher's."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from layer.train.tokens import SPECIAL_TOKENS, UNK, Tokens, Translation, learn_vocabulary

NANO = Tokens(Path("layer/nano/vocab.txt"))
TEXT = "the tide rises and the tide falls; tides rise twice a day, said the sailor's 2 tables"


@pytest.fixture
def learnt(tmp_path: Path) -> Path:
    (ids,) = NANO.encode([TEXT])
    learn_vocabulary(NANO.join(ids) * 100, tmp_path / "vocab.txt", size=120)
    return tmp_path / "vocab.txt"


def test_a_learnt_vocabulary_has_special_tokens_first_and_no_piece_twice(learnt: Path) -> None:
    pieces = Tokens(learnt).pieces
    assert pieces[: len(SPECIAL_TOKENS)] == SPECIAL_TOKENS
    assert len(set(pieces)) == len(pieces)
    assert {"the", "tide", "##s"} <= set(pieces)


def test_the_same_words_give_the_same_vocabulary(learnt: Path, tmp_path: Path) -> None:
    (ids,) = NANO.encode([TEXT])
    words = NANO.join(ids) * 100
    learn_vocabulary(reversed(words), tmp_path / "again.txt", size=120)
    assert (tmp_path / "again.txt").read_bytes() == learnt.read_bytes()


def test_words_of_rare_characters_are_left_out(tmp_path: Path) -> None:
    learn_vocabulary(["tide"] * 100 + ["ebbe\u0142"] * 3, tmp_path / "vocab.txt", size=60)
    assert not any("\u0142" in piece for piece in Tokens(tmp_path / "vocab.txt").pieces)


def test_translated_ids_are_what_the_other_vocabulary_makes_of_the_text(learnt: Path) -> None:
    own = Tokens(learnt)
    (ids,) = NANO.encode([TEXT])
    (translated,) = Translation(NANO, own)([ids])
    assert np.array_equal(translated, own.encode([TEXT])[0])


def test_what_the_source_does_not_know_stays_unknown(learnt: Path) -> None:
    unknown = np.array([NANO.tokenizer.token_to_id("[UNK]")], np.int32)
    empty = np.zeros(0, np.int32)
    first, second = Translation(NANO, Tokens(learnt))([unknown, empty])
    assert first.tolist() == [UNK]
    assert second.tolist() == []
