"""Training batches: neighbouring queries, hard passages mined on the fly, the teacher's scores of all pairs.

The teacher of a pair is ``cosine(MiniLM query, MiniLM passage) + LEXICAL * bm25``, where bm25 is divided by the sum of
the query's idf. Mining is exact: a batch's queries are scored against every training passage, which takes a tenth of a
step.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp
import torch
from numpy.typing import NDArray

from layer.train.model import EARLY
from layer.train.prepare import World
from layer.train.tokens import CLS, SEP, Ids

LEXICAL = 0.65
SEEDS, NEIGHBOURS, SHOWN = 4, 8, 48
HARD, RANDOM = (3, 3, 1), 24
NEAR, FAR = 8, 80
ASIDE = 40
SHARES = {
    "squad": 0.20,
    "squadshifts-newwiki": 0.05,
    "squadshifts-reddit": 0.05,
    "squadshifts-amazon": 0.05,
    "medquad": 0.09,
    "nq-oracle": 0.1,
    "pubmedqa": 0.06,
    "lambda-docs": 0.03,
    "selqa": 0.08,
    "clapnq": 0.01,
    "hotpotqa-sample": 0.005,
    "musique-sample": 0.005,
    "own": 0.22,
    "sentence": 0.13,
    "written": 0.20,
}
NEW_SOURCE = 0.10


@dataclass(frozen=True, slots=True)
class Batch:
    """Queries [n] and passages [m] as ids, with what the teacher says of all n x m pairs.

    ``teacher`` and ``cosine`` are float32 [n, m], the teacher's embeddings float32 [n or m, 384], ``positive`` and
    ``ignored`` bool [n, m] (labels; near-copies of a labelled passage).
    """

    queries: list[Ids]
    passages: list[Ids]
    teacher: NDArray[np.float32]
    cosine: NDArray[np.float32]
    query_vectors: NDArray[np.float32]
    passage_vectors: NDArray[np.float32]
    positive: NDArray[np.bool_]
    ignored: NDArray[np.bool_]


def kept_aside(world: World) -> NDArray[np.bool_]:
    """Tell the labelled queries that training never shows, one in forty; the calibration is fitted on them."""
    labelled = np.array([bool(positives) for positives in world.positives])
    return labelled & (np.arange(len(labelled)) % ASIDE == 0)


def by_source(
    source: list[str], shares: Mapping[str, float], shown: NDArray[np.bool_] | bool = True
) -> tuple[list[NDArray[np.int64]], NDArray[np.float64]]:
    """Return the places of each source, those ``shown`` alone, and the share of draws that each gets, summing to 1."""
    names, owner = np.unique(np.array(source), return_inverse=True)
    members = [np.flatnonzero((owner == i) & shown) for i in range(len(names))]
    wanted = np.array([shares.get(name, NEW_SOURCE) for name in names])
    return members, wanted / wanted.sum()


class Sampler:
    """Draws batches from a world with its cached teacher embeddings and BM25 matrices."""

    def __init__(
        self,
        world: World,
        query_vectors: NDArray[np.float16],
        passage_vectors: NDArray[np.float16],
        query_terms: sp.csr_matrix,
        passage_terms: sp.csr_matrix,
        seed: int,
    ) -> None:
        self.world = world
        self.q = torch.from_numpy(query_vectors).bfloat16()
        self.p = torch.from_numpy(passage_vectors).bfloat16()
        self.query_terms = query_terms
        self.passage_terms = passage_terms
        self.by_term = passage_terms.T.tocsr()
        self.rng = np.random.default_rng(seed)
        self.aside = kept_aside(world)
        self.members, self.shares = by_source(world.source, SHARES, ~self.aside)

    def _queries(self) -> NDArray[np.int64]:
        picked: list[int] = []
        seeds = [
            int(self.rng.choice(self.members[source]))
            for source in self.rng.choice(len(self.members), SEEDS, p=self.shares)
        ]
        for seed, found in zip(seeds, (self.q[seeds] @ self.q.T).topk(SHOWN).indices.numpy(), strict=True):
            near = found[(found != seed) & ~self.aside[found]]
            picked += [seed, *self.rng.choice(near, min(len(near), NEIGHBOURS - 1), replace=False)]
        return np.unique(picked)

    def draw(self) -> Batch:
        """Return the next batch."""
        rng, world = self.rng, self.world
        queries = self._queries()
        cosine = (self.q[queries] @ self.p.T).float()
        lexical = (self.query_terms[queries] @ self.by_term).tocoo()
        total = cosine.clone()
        total[torch.from_numpy(lexical.row.astype(np.int64)), torch.from_numpy(lexical.col.astype(np.int64))] += (
            LEXICAL * torch.from_numpy(lexical.data)
        )
        ranked = total.topk(FAR).indices.numpy()
        bm25 = lexical.tocsr()
        chosen: list[NDArray[np.int64]] = [rng.integers(0, len(world.passages), RANDOM)]
        for row, query in enumerate(queries):
            chosen += [
                rng.choice(ranked[row, :NEAR], HARD[0], replace=False),
                rng.choice(ranked[row, NEAR:], HARD[1], replace=False),
            ]
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
            self.q[queries].float().numpy(),
            vectors.numpy(),
            positive,
            ignored,
        )

    def pairs(self, count: int) -> list[tuple[torch.Tensor, ...]]:
        """Return ``count`` batches of pairs for calibrating activations: a query with a dozen hard passages each."""
        return [
            tuple(map(torch.from_numpy, rows(batch.queries[0], batch.passages[:12])))
            for batch in (self.draw() for _ in range(count))
        ]

    def aside_lists(self, count: int, candidates: int) -> list[tuple[Ids, list[Ids], NDArray[np.bool_]]]:
        """Return queries kept aside, each with its best BM25 passages and whether they are labelled relevant."""
        found = []
        for query in self.rng.permutation(np.flatnonzero(self.aside))[:count]:
            scores = (self.query_terms[[query]] @ self.by_term).toarray()[0][: self.world.whole]
            best = np.argsort(-scores, kind="stable")[:candidates]
            labels = np.isin(best, self.world.positives[query])
            found.append((self.world.queries[query], [self.world.passages[i] for i in best], labels))
        return found


def pad(texts: list[Ids], *, leading: bool) -> tuple[torch.Tensor, torch.Tensor]:
    """Return int64 ids and a bool mask [n, tokens] of ``text [SEP]``, with ``[CLS]`` before it where ``leading``."""
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


def exact_counts(queries: list[Ids], passages: list[Ids]) -> tuple[torch.Tensor, torch.Tensor]:
    """Count exact matches of the k tokens of all queries, one query after the other, in each of m passages.

    Returns float [k, m] counts, and float [3, k, m]: whether the token occurs there followed by its right neighbour in
    the query, and preceded by its left one, and how early it occurs, 1 for the first token.
    """
    owner = np.repeat(np.arange(len(passages)), [len(p) for p in passages])
    flat = np.concatenate(passages).astype(np.int64)
    tokens = np.concatenate(queries).astype(np.int64)
    ends = np.cumsum([len(q) for q in queries]) - 1

    def count(
        keys: NDArray[np.int64],
        found: NDArray[np.int64],
        owners: NDArray[np.int64],
        weights: NDArray[np.float32] | None = None,
    ) -> NDArray[np.float32]:
        if not len(keys):
            return np.zeros((0, len(passages)), np.float32)
        known, place = np.unique(keys, return_inverse=True)
        at = np.searchsorted(known, found).clip(max=len(known) - 1)
        hit = known[at] == found
        table = np.bincount(
            at[hit] * len(passages) + owners[hit],
            minlength=len(known) * len(passages),
            weights=None if weights is None else weights[hit],
        )
        return table.reshape(len(known), -1)[place].astype(np.float32)

    inside = owner[1:] == owner[:-1]
    right = np.zeros((len(tokens), len(passages)), np.float32)
    right[:-1] = count(
        (tokens[:-1] << 32) + tokens[1:], ((flat[:-1] << 32) + flat[1:])[inside], owner[1:][inside]
    ).clip(max=1)
    right[ends] = 0
    left = np.zeros_like(right)
    left[1:] = right[:-1]
    place = np.concatenate([np.arange(len(p)) for p in passages])
    early = count(tokens, flat, owner, np.exp(-place / EARLY)).clip(max=1)
    return torch.from_numpy(count(tokens, flat, owner)), torch.from_numpy(np.stack([right, left, early]))


def rows(
    query: Ids, passages: list[Ids], window: int = 512
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Return input_ids, attention_mask and token_type_ids [passages, tokens] of ``[CLS] query [SEP] passage [SEP]``."""
    query = query[: window // 2]
    start = len(query) + 2
    cut = [passage[: window - start - 1] for passage in passages]
    ids = np.zeros((len(cut), start + 1 + max(map(len, cut))), np.int64)
    mask, kind = np.zeros_like(ids), np.zeros_like(ids)
    for row, passage in enumerate(cut):
        end = start + len(passage)
        ids[row, 0], ids[row, start - 1], ids[row, end] = CLS, SEP, SEP
        ids[row, 1 : start - 1], ids[row, start:end] = query, passage
        mask[row, : end + 1] = 1
        kind[row, start : end + 1] = 1
    return ids, mask, kind
