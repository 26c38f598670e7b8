"""Texts that nobody wrote: the teacher's view of far more words, and more company for each, than training text shows.

Imitation learns them beside the real texts. They bring little: on the dev sets, the least like the training text, the
student's cosine distance to the teacher went from .246 to .239 for cranfield's queries, and stayed for the others.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from layer.train import prepare
from layer.train.prepare import PASSAGE_TOKENS, World
from layer.train.tokens import Ids, Tokens
from layer.train.vocabulary import WORD

SWAPPED, JOINED, LISTS = 2.0, 0.4, 1.6  # texts a passage
SENTENCE_TOKENS = 60
RATES = (0.15, 0.3, 0.6)
NEIGHBOURS = 16
COMMON = 0.08  # words in more passages than this share are left as they are


class Words:
    """The whole words of the teacher's vocabulary and their neighbours in its space."""

    def __init__(self, tokens: Tokens, vectors: NDArray[np.float16]) -> None:
        self.ids = np.array([i for i, piece in enumerate(tokens.pieces) if WORD.fullmatch(piece)], np.int32)
        self.place = np.full(len(tokens.pieces), -1)
        self.place[self.ids] = np.arange(len(self.ids))
        self.continues = np.array([piece.startswith("##") for piece in tokens.pieces])
        points = torch.from_numpy(vectors[self.ids]).bfloat16()
        self.near = (points @ points.T).topk(NEIGHBOURS + 1).indices.numpy()[:, 1:]

    def swap(self, text: Ids, common: NDArray[np.bool_], rng: np.random.Generator) -> Ids:
        """Put neighbours, or any other words, in the place of some of a text's whole words."""
        whole = (self.place[text] >= 0) & ~common[text] & ~np.append(self.continues[text[1:]], False)
        hit = np.flatnonzero(whole & (rng.random(len(text)) < rng.choice(RATES)))
        near = self.near[self.place[text[hit]], rng.integers(0, NEIGHBOURS, len(hit))]
        other = rng.integers(0, len(self.ids), len(hit))
        swapped = text.copy()
        swapped[hit] = self.ids[np.where(rng.random(len(hit)) < 0.5, other, near)]
        return swapped

    def list(self, rng: np.random.Generator) -> Ids:
        """Draw two to eight words; mostly, some of them are neighbours of the first."""
        picked = rng.integers(0, len(self.ids), rng.integers(2, 9))
        if rng.random() < 0.6:
            near = self.near[picked[0], rng.integers(0, NEIGHBOURS, len(picked) - 1)]
            picked[1:] = np.where(rng.random(len(near)) < 0.6, near, picked[1:])
        return self.ids[picked]


def write(world: World, tokens: Tokens, vectors: NDArray[np.float16], seed: int) -> list[Ids]:
    """Return sentences with words swapped, unrelated sentences joined, and lists of words, in the teacher's ids.

    ``vectors`` float16 [vocabulary, 384] are the teacher's of each token alone.
    """
    rng = np.random.default_rng(seed)
    words = Words(tokens, vectors)
    whole = world.passages[: world.whole]
    swapped, joined, lists = (round(share * len(whole)) for share in (SWAPPED, JOINED, LISTS))
    common = prepare.token_frequency(whole, len(tokens.pieces)) > COMMON * len(whole)
    sentences = [
        parts[rng.integers(len(parts))][:SENTENCE_TOKENS]
        for i in rng.permutation(len(whole))
        if (parts := prepare.sentences(whole[i]))
    ]
    starts = zip(rng.integers(0, len(sentences) - 4, joined), rng.integers(2, 5, joined), strict=True)
    return [
        *(words.swap(sentences[rng.integers(len(sentences))], common, rng) for _ in range(swapped)),
        *(np.concatenate(sentences[start : start + count])[:PASSAGE_TOKENS] for start, count in starts),
        *(words.list(rng) for _ in range(lists)),
    ]
