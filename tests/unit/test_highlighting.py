"""The sentences that carry a passage's score."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from handler.contract import BestChunk, Highlighting, Passage, Result
from handler.encoding import ID_BYTES, Chunk
from handler.highlighting import MAX_HIGHLIGHT_TOKENS, Sentence, candidates, sentences, with_spans, within_budget


def cut(text: str) -> list[str]:
    return [text[start:end] for start, end in sentences(text, 0, len(text))]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", []),
        (" \n ", []),
        ("A text without a stop", ["A text without a stop"]),
        (
            "The first sentence is here. The second one follows!  A third, as a question?",
            ["The first sentence is here.", "The second one follows!", "A third, as a question?"],
        ),
        ("Dr. Smith met J. Doe at 3.30 p.m. in St. Ives, e.g. by chance. He said so himself.", None),
        ('She said: "It is raining outside." Then she left the house.', None),
        ("No. This short answer is joined to its reason.", ["No. This short answer is joined to its reason."]),
        ("A heading without a stop\n\nThen a paragraph that goes on.", None),
        (
            "Some lines are wrapped\nin the middle of a sentence.",
            ["Some lines are wrapped\nin the middle of a sentence."],
        ),
        ("今日はとても良い天気ですから散歩に行きましょう。明日は雨が降るかもしれないそうですよ。", None),
    ],
)
def test_text_is_cut_where_sentences_end(text: str, expected: list[str] | None) -> None:
    second = {"Dr": "He said", "Sh": "Then she", "A ": "Then a", "今日": "明日"}
    if expected is None:
        at = text.index(second[text[:2]])
        expected = [text[:at].rstrip(), text[at:]]
    assert cut(text) == expected


@given(st.text(alphabet="aB. !?\n。\u0301\U0001f600-9", max_size=300))
def test_sentences_are_in_order_apart_and_leave_nothing_but_space_out(text: str) -> None:
    spans = list(sentences(text, 0, len(text)))
    assert all(start < end for start, end in spans)
    assert all(before[1] <= after[0] for before, after in pairwise(spans))
    assert "".join("".join(text[start:end] for start, end in spans).split()) == "".join(text.split())


def test_sentences_of_a_part_stay_within_it() -> None:
    text = "Before the part. Inside of the part there is this. After the part."
    assert [text[start:end] for start, end in sentences(text, 17, 50)] == ["Inside of the part there is this."]


def result(text: str, *, scored: bool = True, best: BestChunk | None = None) -> Result:
    return Result(0, Passage(text), 0.5, 0.0, scored=scored, best_chunk=best)


def test_candidates_are_sentences_of_scored_passages_and_of_their_best_chunk() -> None:
    one, two = "The first sentence is here.", "The second sentence is here."
    results = [
        result(one, scored=False),
        result(f"{one} {two}"),
        result(f"{one} {two}", best=BestChunk(28, 56, 0.5, 1)),
    ]
    assert candidates(results) == [Sentence(1, 0, 27), Sentence(1, 28, 56), Sentence(2, 28, 56)]


def test_no_more_tokens_are_spent_than_the_budget() -> None:
    chunk = Chunk(0, bytes(1000 * ID_BYTES), 1000, 1000)
    assert len(list(within_budget([chunk] * 100))) == MAX_HIGHLIGHT_TOKENS // 1000


def test_the_best_sentences_over_the_threshold_come_back_in_reading_order() -> None:
    found = [Sentence(0, start, start + 10) for start in (0, 10, 20, 30)]
    scores = {0: 0.2, 1: 0.9, 2: 0.05, 3: 0.5}
    (highlighted,) = with_spans([result("x" * 40)], found, scores, Highlighting(threshold=0.1, max_spans=2))
    assert [(span.start, span.score) for span in highlighted.spans or ()] == [(10, 0.9), (30, 0.5)]


def test_no_sentence_over_the_threshold_is_said_apart_from_no_time_to_look() -> None:
    found = [Sentence(0, 0, 5), Sentence(1, 0, 5), Sentence(1, 5, 9)]
    results = [result("x" * 9), result("x" * 9), result(""), result("x", scored=False)]
    looked, not_looked, empty, unscored = with_spans(results, found, {0: 0.01, 1: 0.9}, Highlighting())
    assert looked.spans == empty.spans == ()
    assert not_looked.spans is unscored.spans is None
