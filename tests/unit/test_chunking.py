"""Where a long passage is cut."""

from __future__ import annotations

from array import array
from itertools import pairwise

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from handler.chunking import LONG_WORD_CHARACTERS, Words, windows, words
from handler.encoding import ID_BYTES, WordCache
from handler.ranker import Ranker
from handler.runtime import SETTINGS

TOKENS = Ranker.load(SETTINGS.model_dir)._model.tokens
CACHE = WordCache(TOKENS.word_ids)

ENGLISH = st.sampled_from(
    ["water", "flows", "down-hill", "isn't", "unbelievably", "(see", "3.14)", "antidisestablishment"]
)
FOREIGN = st.sampled_from(
    ["東京都", "straße", "naïveté", "Ελλάδα", "re\u0301sume\u0301", "x\u200by", "https://a.b/c-d?e=f&g=h#ijklmnop"]
)
TEXTS = st.lists(st.one_of(ENGLISH, FOREIGN, st.just("\n"), st.just("")), min_size=100, max_size=150).map(" ".join)


def split(
    text: str, room: int, overlap: int = 0, most: int = 1000, limit: int = 10**6
) -> tuple[Words, list[tuple[int, int]]]:
    found = words(text, lambda word: len(CACHE[word]) // ID_BYTES, TOKENS.library)
    return found, list(windows(found, room, overlap, most, limit))


def ids(text: str) -> list[int]:
    return array("i", CACHE.ids(text)).tolist()


@settings(max_examples=100, deadline=None)
@given(text=TEXTS, room=st.integers(60, 90), overlap=st.integers(0, 40))
def test_every_token_is_in_a_chunk_and_no_chunk_is_over_the_room(text: str, room: int, overlap: int) -> None:
    tokens = len(ids(text))
    assume(tokens > room)
    _, ranges = split(text, room, overlap)
    assert ranges[0][0] == 0
    assert ranges[-1][1] == tokens
    assert all(0 < last - first <= room for first, last in ranges)
    assert all(before[0] < after[0] <= before[1] < after[1] for before, after in pairwise(ranges))


@settings(max_examples=100, deadline=None)
@given(text=TEXTS, room=st.integers(60, 90), overlap=st.integers(0, 40))
@example(text="a" * 40 + "." * 100 + "b" * 40, room=60, overlap=10)
@example(text="京" * 300, room=64, overlap=16)
def test_the_characters_of_a_chunk_have_its_tokens_and_no_others(text: str, room: int, overlap: int) -> None:
    assume(len(ids(text)) > room)
    found, ranges = split(text, room, overlap)
    for first, last in ranges:
        start, end = found.span(first, last)
        assert ids(text[start:end]) == ids(text)[first:last]


@settings(max_examples=50, deadline=None)
@given(text=st.lists(ENGLISH, min_size=80, max_size=150).map(" ".join), room=st.integers(30, 60))
def test_a_chunk_begins_and_ends_at_a_space(text: str, room: int) -> None:
    found, ranges = split(text, room, 8)
    for first, last in ranges:
        start, end = found.span(first, last)
        assert start == 0 or text[start - 1] == " "
        assert end == len(text) or text[end] == " "


def test_neighbours_share_about_the_overlap() -> None:
    _, ranges = split("water " * 1000, room=100, overlap=20)
    assert {before[1] - after[0] for before, after in pairwise(ranges)} == {20}


def test_chunks_are_of_even_size_rather_than_ending_in_a_scrap() -> None:
    _, ranges = split("water " * 205, room=100)
    assert [last - first for first, last in ranges] == [69, 68, 68]


def test_a_word_longer_than_the_room_is_the_only_one_that_is_cut() -> None:
    word = "京" * (LONG_WORD_CHARACTERS - 1)
    _, ranges = split(f"water {word} water", room=16)
    assert all(last - first <= 16 for first, last in ranges)
    assert ranges[-1][1] == len(word) + 2


@pytest.mark.parametrize(
    ("most", "limit", "covered"),
    [
        (1, 10**6, 100),
        (3, 10**6, 100 + 2 * 80),
        (1000, 250, 250),
        (1000, 10**6, 1000),
        (2, 130, 130),
        (1000, 40, 40),
    ],
)
def test_at_most_so_many_chunks_over_at_most_so_many_tokens(most: int, limit: int, covered: int) -> None:
    _, ranges = split("water " * 1000, room=100, overlap=20, most=most, limit=limit)
    assert ranges[-1][1] == covered
    assert len(ranges) <= most
