"""Step 3: lists of sentences of which some answer a query, and what a teacher says of each.

A list holds sentences of the labelled passage, of its neighbours in the set, which share its subject, and the best by
BM25 from anywhere. The teacher of a sentence is a cross-encoder's logit (:mod:`layer.train.cross_encoder`), ``AGREED``
times what :mod:`layer.train.sampler` takes as a teacher of passages, and a bonus where the passage is labelled.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from layer.train import lexical
from layer.train.prepare import World, sentences
from layer.train.sampler import LEXICAL, by_source, kept_aside
from layer.train.tokens import Ids

SHARES = {
    "squad": 0.4, "own": 0.2, "nq-oracle": 0.2, "selqa": 0.1, "squadshifts-newwiki": 0.08, "clapnq": 0.02,
}  # fmt: skip
COUNT = 12_000
LABELLED, NEAR, HARD = 5, 5, 5  # sentences a list at most: of labelled passages, of neighbours, and of BM25's best
BEST = 20
APART = 7  # passages before and after a labelled one whose sentences are near it
AGREED, BONUS = 10.0, 2.0
ELSEWHERE = -1e4
DRAWN = 8


@dataclass(frozen=True, slots=True)
class Lists:
    """Queries of some sets, each with a list of ``sentences``; ``asked`` are their places in the world, int64 [lists].

    Of each list: the places of its ``members``, int64 [n]; whether they are ``labelled``, of a labelled passage, bool
    [n]; their ``lexical`` share of the query, BM25's, float32 [n].
    """

    asked: NDArray[np.int64]
    source: list[str]
    queries: list[Ids]
    sentences: list[Ids]
    members: list[NDArray[np.int64]]
    labelled: list[NDArray[np.bool_]]
    lexical: list[NDArray[np.float32]]


def collect(world: World, stem: Callable[[Ids], list[str]], seed: int) -> Lists:
    """Return lists of a world that is still in ids of the teacher's vocabulary; ``stem`` gives a text's stems."""
    rng = np.random.default_rng(seed)
    pool: list[Ids] = []
    of_passage: list[NDArray[np.int64]] = []
    for ids, origin in zip(world.passages[: world.whole], world.origin, strict=False):
        parts = (sentences(ids) or [ids]) if origin in SHARES else []
        of_passage.append(np.arange(len(pool), len(pool) + len(parts)))
        pool += parts
    source, aside = np.array(world.source), kept_aside(world)
    asked = np.concatenate(
        [
            rng.permutation(np.flatnonzero((source == name) & ~aside))[: round(COUNT * share)]
            for name, share in SHARES.items()
        ]
    )
    words = [stem(ids) for ids in pool]
    lexicon = lexical.learn(words)
    terms = lexical.passage_matrix(words, lexicon).T.tocsr()
    weights = lexical.query_matrix([stem(world.queries[i]) for i in asked], lexicon)
    every: list[NDArray[np.int64]] = []
    labelled: list[NDArray[np.bool_]] = []
    shares: list[NDArray[np.float32]] = []
    for row, query in enumerate(tqdm(asked, desc="listing sentences", mininterval=10)):
        passages = world.positives[query]
        around = {p for passage in passages for p in range(passage - APART, passage + APART + 1)} - set(passages)
        near = [of_passage[p] for p in sorted(around) if 0 <= p < world.whole and world.origin[p] == source[query]]
        scores = (weights[row] @ terms).toarray()[0]
        right = np.concatenate([of_passage[p] for p in passages])
        groups = ((right, LABELLED), (np.concatenate([right[:0], *near]), NEAR), (np.argsort(-scores)[:BEST], HARD))
        members = np.unique(np.concatenate([rng.permutation(places)[:most] for places, most in groups]))
        every.append(members)
        labelled.append(np.isin(members, right))
        shares.append(scores[members].astype(np.float32))
    used = np.unique(np.concatenate(every))
    return Lists(
        asked,
        [str(source[i]) for i in asked],
        [world.queries[i] for i in asked],
        [pool[i] for i in used],
        [np.searchsorted(used, members) for members in every],
        labelled,
        shares,
    )


class Answers:
    """Lists in ids of the student's vocabulary, with the teacher's logits of each list's members, float32 [n]."""

    def __init__(self, lists: Lists, logits: list[NDArray[np.float32]]) -> None:
        self.lists, self.logits = lists, logits
        self.places = by_source(lists.source, SHARES)

    def draw(self, rng: np.random.Generator) -> tuple[list[Ids], list[Ids], NDArray[np.float32]]:
        """Return queries [n], the sentences [m] of their lists, and logits [n, m], ``ELSEWHERE`` in others' lists."""
        lists, (places, shares) = self.lists, self.places
        picked = [rng.choice(places[i]) for i in rng.choice(len(places), DRAWN, p=shares)]
        target = np.full((DRAWN, sum(len(lists.members[i]) for i in picked)), ELSEWHERE, np.float32)
        end = 0
        for row, i in enumerate(picked):
            target[row, end : end + len(lists.members[i])] = self.logits[i]
            end += len(lists.members[i])
        return (
            [lists.queries[i] for i in picked],
            [lists.sentences[j] for i in picked for j in lists.members[i]],
            target,
        )


def agree(
    lists: Lists,
    logits: list[NDArray[np.float32]],
    query_vectors: NDArray[np.float16],
    sentence_vectors: NDArray[np.float16],
) -> list[NDArray[np.float32]]:
    """Return the teacher's logits of each list: the cross-encoder's ``logits``, cosine, BM25 and label together."""
    queries, every = query_vectors.astype(np.float32), sentence_vectors.astype(np.float32)
    return [
        given + AGREED * (every[members] @ query + LEXICAL * words) + BONUS * labelled
        for given, query, members, words, labelled in zip(
            logits, queries, lists.members, lists.lexical, lists.labelled, strict=True
        )
    ]
