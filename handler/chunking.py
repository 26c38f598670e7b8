"""Where a passage is cut that does not fit one chunk: overlapping windows that begin and end between words.

Loaded with the first long passage; a request of short ones never comes here.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from tokenizers import Encoding, Tokenizer

# A space-delimited word of more characters is divided where the tokenizer itself sees words, as in Chinese or in
# addresses; a shorter one is never cut.
LONG_WORD_CHARACTERS = 32


class Words(NamedTuple):
    """The words of a text in order: the index of each one's first token, and its code points ``[begin, end)``.

    ``firsts`` has one more entry than there are words: the number of tokens in all.
    """

    firsts: Sequence[int]
    begins: Sequence[int]
    ends: Sequence[int]

    def span(self, first: int, last: int) -> tuple[int, int]:
        """Code points ``[begin, end)`` of the words that the tokens ``[first, last)`` belong to."""
        begin = bisect_right(self.firsts, first) - 1
        end = bisect_left(self.firsts, last) - 1
        return self.begins[begin], self.ends[end]

    def boundary(self, token: int) -> int:
        """The last boundary between words that is not after ``token``."""
        return self.firsts[bisect_right(self.firsts, token) - 1]


def words(text: str, count: Callable[[str], int], tokenizer: Tokenizer) -> Words:
    """The words of ``text``; ``count`` gives the tokens of a space-delimited one.

    The library's own offsets would need the whole text tokenised again, at several times the price of the word cache.
    """
    firsts, begins, ends = [0], [], []
    position = tokens = 0
    for word in text.replace("\n", " ").split(" "):
        width = count(word)
        if width:
            pieces = _pieces(word, tokenizer) if len(word) > LONG_WORD_CHARACTERS else iter([(width, 0, len(word))])
            for length, begin, end in pieces:
                tokens += length
                firsts.append(tokens)
                begins.append(position + begin)
                ends.append(position + end)
        position += len(word) + 1
    return Words(firsts, begins, ends)


def windows(found: Words, room: int, overlap: int, most: int, limit: int) -> Iterator[tuple[int, int]]:
    """Yield token ranges ``[first, last)`` of at most ``room`` tokens, which share about ``overlap`` with the next.

    They cover the first ``limit`` tokens, or what ``most`` of them hold, in even shares: a short rest at the end would
    be scored out of its context. Only a word longer than ``room`` is cut inside.
    """
    total = found.firsts[-1]
    if limit < total:
        total = found.boundary(limit) or limit
    overlap = min(overlap, room // 2)
    first, last = -1, 0
    for left in range(most, 0, -1):
        back = found.boundary(max(last - overlap, 0))
        end = _end(found, back, _share(total - back, room, overlap, left), room, total)
        # Where a word does not fit behind the overlap, the overlap gives way.
        fits = back > first and end > last
        first, last = (back, end) if fits else (last, _end(found, last, room, room, total))
        yield first, last
        if last == total:
            return


def _share(tokens: int, room: int, overlap: int, left: int) -> int:
    """The length of the next of equal windows over ``tokens``, or ``room`` where the ``left`` ones do not suffice."""
    needed = max(-(-(tokens - overlap) // (room - overlap)), 1)
    return room if needed > left else -(-(tokens + (needed - 1) * overlap) // needed)


def _end(found: Words, first: int, share: int, room: int, total: int) -> int:
    """The first boundary ``share`` tokens on, or else the last one, that is within ``room`` tokens and ``total``."""
    latest = min(first + room, total)
    following = found.firsts[bisect_left(found.firsts, min(first + share, total))]
    if following <= latest:
        return following
    before = found.boundary(latest)
    return before if before > first else latest


def words_of(encoding: Encoding) -> Words:
    """The words that a tokenizer sees in a whole text."""
    firsts, begins, ends = [0], [], []
    for length, begin, end in _runs(encoding):
        firsts.append(firsts[-1] + length)
        begins.append(begin)
        ends.append(end)
    return Words(firsts, begins, ends)


def _pieces(word: str, tokenizer: Tokenizer) -> Iterator[tuple[int, int, int]]:
    """Yield tokens, begin and end of each word that the tokenizer sees in a long space-delimited one."""
    return _runs(tokenizer.encode(word, add_special_tokens=False))


def _runs(encoding: Encoding) -> Iterator[tuple[int, int, int]]:
    """Yield tokens, begin and end of each word of an encoding."""
    numbers, offsets = encoding.word_ids, encoding.offsets
    first = 0
    for last in range(1, len(numbers) + 1):
        if last == len(numbers) or numbers[last] is None or numbers[last] != numbers[first]:
            yield last - first, offsets[first][0], offsets[last - 1][1]
            first = last
