"""The sentences that carry a passage's score, found by the model itself: each is scored as a passage of its own.

Loaded with the first request that asks for them.
"""

from __future__ import annotations

import re
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

# Where a sentence may end: at a stop before a space, at an ideographic stop, before a blank line or a list item.
_STOP = re.compile(r"""[.!?…]["'”’)\]]*(?=\s)|[。！？]["'”’」』）]*|(?=\n\s*?(?:\n|[-*•#]))""")
_ABBREVIATED = re.compile(r"(?:\b(?:[A-Z]|Dr|Mr|Mrs|Ms|Prof|St|No|Fig|vs|al|cf|ca|approx|e\.g|i\.e))\.\Z")
_LONGEST_ABBREVIATION = 8
_SMALL_LETTER = re.compile(r"\s*[a-z]")


class Sentence(NamedTuple):
    """A sentence of a result: the result's place in the ranking, and code points ``[start, end)`` of its text."""

    place: int
    start: int
    end: int


def sentences(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    """Yield code points ``[start, end)`` of the sentences of ``text[start:end]``, in order; short ones are joined."""
    begin = start
    for match in _STOP.finditer(text, start, end):
        stop = match.end()
        if _ABBREVIATED.search(text[max(stop - _LONGEST_ABBREVIATION, begin) : stop]) or _SMALL_LETTER.match(
            text, stop
        ):
            continue
        begin = _after_space(text, begin, stop)
        if stop - begin >= MIN_SENTENCE_CHARACTERS:
            yield begin, stop
            begin = stop
    begin = _after_space(text, begin, end)
    if begin < end:
        yield begin, begin + len(text[begin:end].rstrip())


def _after_space(text: str, begin: int, end: int) -> int:
    return end - len(text[begin:end].lstrip())


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
    spans: dict[int, list[Span] | None] = {place: [] for place, result in enumerate(results) if result.scored}
    for position, sentence in enumerate(found):
        mine = spans[sentence.place]
        if position not in scores:
            spans[sentence.place] = None
        elif mine is not None and scores[position] >= wanted.threshold:
            mine.append(Span(sentence.start, sentence.end, scores[position]))
    return tuple(
        result if (mine := spans.get(place)) is None else result._replace(spans=_best(mine, wanted.max_spans))
        for place, result in enumerate(results)
    )


def _best(spans: list[Span], most: int) -> tuple[Span, ...]:
    best = sorted(spans, key=lambda span: (-span.score, span.start))[:most]
    return tuple(sorted(best, key=lambda span: span.start))
