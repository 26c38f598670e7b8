"""Texts that nobody wrote: the teacher's view of far more words, and more company for each, than training text shows.

Imitation learns them beside the real texts. They bring little: on the dev sets, the least like the training text, the
student's cosine distance to the teacher went from .246 to .239 for cranfield's queries, and stayed for the others.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from layer.train import prepare
from layer.train.prepare import PASSAGE_TOKENS, World
from layer.train.tokens import Ids, Tokens
from layer.train.vocabulary import NEIGHBOURS, WholeWords

SWAPPED, JOINED, LISTS = 2.0, 0.4, 1.6  # texts a passage
SENTENCE_TOKENS = 60
RATES = (0.15, 0.3, 0.6)
COMMON = 0.08  # words in more passages than this share are left as they are


def swap(
    text: Ids, words: WholeWords, swappable: NDArray[np.bool_], continues: NDArray[np.bool_], rng: np.random.Generator
) -> Ids:
    """Put neighbours, or any other words, in the place of some of a text's whole words.

    ``swappable`` and ``continues`` bool [vocabulary] tell which tokens are such words, and which continue a word.
    """
    whole = swappable[text] & ~np.append(continues[text[1:]], False)
    hit = np.flatnonzero(whole & (rng.random(len(text)) < rng.choice(RATES)))
    places = np.searchsorted(words.ids, text[hit])
    near = words.near[places, rng.integers(0, NEIGHBOURS, len(hit))]
    other = rng.integers(0, len(words.ids), len(hit))
    swapped = text.copy()
    swapped[hit] = words.ids[np.where(rng.random(len(hit)) < 0.5, other, near)]
    return swapped


def word_list(words: WholeWords, rng: np.random.Generator) -> Ids:
    """Draw two to eight words; mostly, some of them are neighbours of the first."""
    picked = rng.integers(0, len(words.ids), rng.integers(2, 9))
    if rng.random() < 0.6:
        near = words.near[picked[0], rng.integers(0, NEIGHBOURS, len(picked) - 1)]
        picked[1:] = np.where(rng.random(len(near)) < 0.6, near, picked[1:])
    return words.ids[picked]


def write(world: World, tokens: Tokens, words: WholeWords, seed: int) -> list[Ids]:
    """Return sentences with words swapped, unrelated sentences joined, and lists of words, in the teacher's ids."""
    rng = np.random.default_rng(seed)
    whole = world.passages[: world.whole]
    swapped, joined, lists = (round(share * len(whole)) for share in (SWAPPED, JOINED, LISTS))
    swappable = prepare.token_frequency(whole, len(tokens.pieces)) <= COMMON * len(whole)
    swappable &= np.isin(np.arange(len(swappable)), words.ids)
    sentences = [
        parts[rng.integers(len(parts))][:SENTENCE_TOKENS]
        for i in rng.permutation(len(whole))
        if (parts := prepare.sentences(whole[i]))
    ]
    starts = zip(rng.integers(0, len(sentences) - 4, joined), rng.integers(2, 5, joined), strict=True)
    return [
        *(
            swap(sentences[rng.integers(len(sentences))], words, swappable, tokens.continues, rng)
            for _ in range(swapped)
        ),
        *(np.concatenate(sentences[start : start + count])[:PASSAGE_TOKENS] for start, count in starts),
        *(word_list(words, rng) for _ in range(lists)),
    ]
