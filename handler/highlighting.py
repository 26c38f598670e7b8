"""The sentences that carry a passage's score, found by the model itself: each is scored as a passage of its own.

Loaded with the first request that asks for them.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from handler.contract import Span

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from handler.contract import Highlighting, Result
    from handler.encoding import Chunk

# What highlights may cost: sixteen micro-batches of tokens at most, whatever was asked. The results get theirs in the
# order of the ranking, and those past it none. A hundred passages of a hundred tokens fit with a short query.
MAX_HIGHLIGHT_TOKENS = 16_384

MIN_SENTENCE_CHARACTERS = 20  # "No." and "(a)" are joined to what follows: alone they carry nothing

_ABBREVIATIONS = ("Dr", "Mr", "Mrs", "Ms", "Prof", "St", "No", "Fig", "vs", "al", "cf", "ca", "approx", "e.g", "i.e")
_NOT_ABBREVIATED = "".join(rf"(?<!\b{re.escape(word)})" for word in _ABBREVIATIONS) + r"(?<!\b[A-Z])"
_SENTENCE = re.compile(
    rf"""\S.*?(?:
        (?: {_NOT_ABBREVIATED}\. | [!?…] ) ["'”’)\]]* (?= \s (?! \s*[a-z] ) | \Z )  # and no small letter follows
      | [。！？]+ ["'”’」』）]*
      | (?= \n\s*(?: \n | [-*•#] ) )  # a blank line, a list item or a heading follows
      | \Z
    )""",
    re.VERBOSE | re.DOTALL,
)


class Sentence(NamedTuple):
    """A sentence of a result: the result's place in the ranking, and code points ``[start, end)`` of its text."""

    place: int
    start: int
    end: int


def sentences(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    """Yield code points ``[start, end)`` of the sentences of ``text[start:end]``, in order; short ones are joined."""
    begin = None
    for match in _SENTENCE.finditer(text[:end].rstrip(), start):
        begin = match.start() if begin is None else begin
        if match.end() - begin >= MIN_SENTENCE_CHARACTERS:
            yield begin, match.end()
            begin = None
    if begin is not None:
        yield begin, match.end()


def candidates(results: Sequence[Result]) -> list[Sentence]:
    """The sentences worth scoring: of each scored result the whole text, or its best chunk where there are several."""
    found = []
    for place, result in enumerate(results):
        if result.scored:
            text, best = result.passage.text, result.best_chunk
            start, end = (0, len(text)) if best is None else (best.start, best.end)
            found += [Sentence(place, *span) for span in sentences(text, start, end)]
    return found


def within_budget(chunks: Iterable[Chunk]) -> Iterator[Chunk]:
    """Yield ``chunks`` as long as they hold ``MAX_HIGHLIGHT_TOKENS`` together."""
    left = MAX_HIGHLIGHT_TOKENS
    for chunk in chunks:
        left -= chunk.length
        if left < 0:
            return
        yield chunk


def with_spans(
    results: Sequence[Result], found: Sequence[Sentence], scores: Mapping[int, float], wanted: Highlighting
) -> tuple[Result, ...]:
    """The results with their spans: the ``max_spans`` best sentences of ``threshold`` or more, in reading order.

    ``scores`` are by position in ``found``. A result of which not every sentence was scored has no spans, which is
    not the same as an empty list: none of its sentences reached the threshold.
    """
    spans: dict[int, list[Span] | None] = {}
    for position, sentence in enumerate(found):
        mine = spans.setdefault(sentence.place, [])
        if position not in scores:
            spans[sentence.place] = None
        elif mine is not None and scores[position] >= wanted.threshold:
            mine.append(Span(sentence.start, sentence.end, scores[position]))
    return tuple(
        result if (mine := spans.get(place)) is None else replace(result, spans=_best(mine, wanted.max_spans))
        for place, result in enumerate(results)
    )


def _best(spans: list[Span], most: int) -> tuple[Span, ...]:
    best = sorted(spans, key=lambda span: (-span.score, span.start))[:most]
    return tuple(sorted(best, key=lambda span: span.start))
