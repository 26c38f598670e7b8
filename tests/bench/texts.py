"""Queries and passages of a wished length in tokens, made of the words of a vocabulary."""

from __future__ import annotations

from math import log
from pathlib import Path
from random import Random

QUERY = "what makes rain form over the hills in autumn"
SPREAD = 0.35  # of the logarithm of the length: most passages have half to twice the median
LONGEST = 480


def words_of(vocabulary: Path) -> list[str]:
    """Return the whole words of a ``vocab.txt``, in its order: the frequent ones come first."""
    pieces = vocabulary.read_text(encoding="utf-8").split("\n")
    return [piece for piece in pieces if piece.isascii() and piece.isalpha() and len(piece) > 1]


def passages(words: list[str], count: int, tokens: int, seed: int = 0, spread: float = SPREAD) -> list[str]:
    """Return ``count`` texts whose lengths in tokens are log-normal around ``tokens``.

    Words are drawn by Zipf's law, so that a thousand passages hold as many different words as real ones do. Some are of
    two pieces and one in a hundred is not ASCII, as in real text.
    """
    random = Random(seed)

    def draw() -> str:
        return words[int(len(words) ** random.random())]

    made = []
    for _ in range(count):
        left = max(4, min(round(random.lognormvariate(log(tokens), spread)), LONGEST)) if spread else tokens
        text = []
        while left > 0:
            word = draw()
            kind = random.random()
            if kind < 0.01:
                word = f"“{word}”"
                left -= 2
            elif kind < 0.1:
                word += draw()
                left -= 1
            elif kind < 0.2:
                word += ","
                left -= 1
            left -= 1
            text.append(word.capitalize() if kind > 0.93 else word)
        made.append(" ".join(text))
    return made
