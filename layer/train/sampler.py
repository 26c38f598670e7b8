"""Training batches: neighbouring queries, hard passages mined for them on the fly, and the teacher's scores of all pairs.

The teacher of a pair is ``cosine(MiniLM query, MiniLM passage) + LEXICAL * bm25``, where bm25 is divided by the sum of the
query's idf. Mining is exact: a batch's queries are scored against every training passage, which takes a tenth of a step.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp
import torch
from numpy.typing import NDArray

from layer.train.prepare import World
from layer.train.tokens import CLS, SEP, VOCABULARY_SIZE, Ids

LEXICAL = 0.35
SEEDS, NEIGHBOURS, SHOWN = 4, 8, 48
HARD, RANDOM = (3, 3, 1), 24
NEAR, FAR = 8, 80
SHARES = {
    "squad": 0.24, "squadshifts-newwiki": 0.05, "squadshifts-reddit": 0.05, "squadshifts-amazon": 0.05, "medquad": 0.08, "nq-oracle": 0.10,
    "pubmedqa": 0.05, "lambda-docs": 0.03, "selqa": 0.02, "clapnq": 0.01, "hotpotqa-sample": 0.005, "musique-sample": 0.005,
    "sentence": 0.12, "written": 0.18,
}  # fmt: skip
NEW_SOURCE = 0.10


@dataclass(frozen=True, slots=True)
class Batch:
    """Queries [n] and passages [m] as ids, with what the teacher says of all n x m pairs.

    ``teacher`` and ``cosine`` are float32 [n, m]; ``positive`` and ``ignored`` bool [n, m] (labels; near-copies of a labelled passage).
    """

    queries: list[Ids]
    passages: list[Ids]
    teacher: NDArray[np.float32]
    cosine: NDArray[np.float32]
    positive: NDArray[np.bool_]
    ignored: NDArray[np.bool_]


class Sampler:
    """Draws batches from a world with its cached teacher embeddings and BM25 matrices."""

    def __init__(self, world: World, query_vectors: NDArray[np.float16], passage_vectors: NDArray[np.float16], query_terms: sp.csr_matrix, passage_terms: sp.csr_matrix, seed: int) -> None:
        self.world = world
        self.q = torch.from_numpy(query_vectors).bfloat16()
        self.p = torch.from_numpy(passage_vectors).bfloat16()
        self.query_terms = query_terms
        self.passage_terms = passage_terms
        self.by_term = passage_terms.T.tocsr()
        self.rng = np.random.default_rng(seed)
        sources, members = np.unique(np.array(world.source), return_inverse=True)
        self.members = [np.flatnonzero(members == i) for i in range(len(sources))]
        shares = np.array([SHARES.get(name, NEW_SOURCE) for name in sources])
        self.shares = shares / shares.sum()

    def _queries(self) -> NDArray[np.int64]:
        picked: list[int] = []
        for source in self.rng.choice(len(self.members), SEEDS, p=self.shares):
            seed = int(self.rng.choice(self.members[source]))
            near = (self.q @ self.q[seed]).topk(SHOWN).indices.numpy()
            picked += [seed, *self.rng.choice(near[near != seed], NEIGHBOURS - 1, replace=False)]
        return np.unique(picked)

    def draw(self) -> Batch:
        """Return the next batch."""
        rng, world = self.rng, self.world
        queries = self._queries()
        cosine = (self.q[queries] @ self.p.T).float()
        lexical = (self.query_terms[queries] @ self.by_term).tocoo()
        total = cosine.clone()
        total[torch.from_numpy(lexical.row.astype(np.int64)), torch.from_numpy(lexical.col.astype(np.int64))] += LEXICAL * torch.from_numpy(lexical.data)
        ranked = total.topk(FAR).indices.numpy()
        bm25 = lexical.tocsr()
        chosen: list[NDArray[np.int64]] = [rng.integers(0, len(world.passages), RANDOM)]
        for row, query in enumerate(queries):
            chosen += [rng.choice(ranked[row, :NEAR], HARD[0], replace=False), rng.choice(ranked[row, NEAR:], HARD[1], replace=False)]
            own = bm25[row]
            if own.nnz > 50:
                top = own.indices[np.argpartition(-own.data, 50)[:50]].astype(np.int64)
                chosen.append(rng.choice(top, HARD[2]))
            if world.positives[query]:
                chosen.append(np.array([rng.choice(world.positives[query])]))
        passages = np.unique(np.concatenate(chosen))
        where = {int(p): i for i, p in enumerate(passages)}
        positive = np.zeros((len(queries), len(passages)), np.bool_)
        for row, query in enumerate(queries):
            positive[row, [where[p] for p in world.positives[query] if p in where]] = True
        vectors = self.p[passages].float()
        alike = (vectors @ vectors.T).numpy() > 0.8
        ignored = (positive.astype(np.float32) @ alike.astype(np.float32) > 0) & ~positive
        picked = torch.from_numpy(passages)
        return Batch(
            [world.queries[i] for i in queries],
            [world.passages[i] for i in passages],
            total[:, picked].numpy(),
            cosine[:, picked].numpy(),
            positive,
            ignored,
        )


def pad(texts: list[Ids], *, leading: bool) -> tuple[torch.Tensor, torch.Tensor]:
    """Return int64 ids and a bool mask [n, tokens] of ``[CLS] text [SEP]``, or of ``text [SEP]`` where not ``leading``."""
    width = max(map(len, texts)) + 1 + leading
    ids = np.zeros((len(texts), width), np.int64)
    mask = np.zeros((len(texts), width), np.bool_)
    for row, text in enumerate(texts):
        end = len(text) + leading
        if leading:
            ids[row, 0] = CLS
        ids[row, leading:end] = text
        ids[row, end] = SEP
        mask[row, : end + 1] = True
    return torch.from_numpy(ids), torch.from_numpy(mask)


def exact_counts(query_ids: NDArray[np.int64], passages: list[Ids]) -> tuple[torch.Tensor, torch.Tensor]:
    """Count exact matches of padded queries [n, tokens] in each of m passages.

    Returns counts float [n, m, tokens] of each query token, and float [2, n, m, tokens]: whether it occurs followed by its
    right neighbour in the query, and preceded by its left one.
    """
    n, tokens = query_ids.shape
    owner = np.repeat(np.arange(len(passages)), [len(p) for p in passages])
    flat = np.concatenate(passages).astype(np.int64)
    special = np.isin(query_ids, (0, CLS, SEP))

    def count(keys: NDArray[np.int64], found: NDArray[np.int64], owners: NDArray[np.int64]) -> NDArray[np.float32]:
        known, place = np.unique(keys, return_inverse=True)
        at = np.searchsorted(known, found).clip(max=len(known) - 1)
        hit = known[at] == found
        table = np.bincount(at[hit] * len(passages) + owners[hit], minlength=len(known) * len(passages)).reshape(len(known), -1)
        return table[place.ravel()].reshape(n, -1, len(passages)).transpose(0, 2, 1).astype(np.float32)

    single = count(query_ids, flat, owner) * ~special[:, None]
    inside = owner[1:] == owner[:-1]
    pair_keys = query_ids[:, :-1] * VOCABULARY_SIZE + query_ids[:, 1:]
    pair_special = special[:, :-1] | special[:, 1:]
    right = np.zeros_like(single)
    right[..., :-1] = count(pair_keys, (flat[:-1] * VOCABULARY_SIZE + flat[1:])[inside], owner[1:][inside]).clip(max=1) * ~pair_special[:, None]
    left = np.zeros_like(single)
    left[..., 1:] = right[..., :-1]
    return torch.from_numpy(single), torch.from_numpy(np.stack([right, left]))
