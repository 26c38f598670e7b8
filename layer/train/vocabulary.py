"""Short texts of words drawn from the whole vocabulary, so that words which the passages never show are learnt as well.

Texts come in pairs whose words are neighbours in the teacher's space. The student's pooled cosines of all texts of a
batch are held against the teacher's: without them the embeddings of common words move away and leave those of rare ones
behind.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from layer.train.model import Nano
from layer.train.sampler import pad
from layer.train.tokens import Ids, Tokens

WORD = re.compile(r"[a-z]{3,}")
PAIRS, BATCH, NEIGHBOURS = 20_000, 48, 16
SHARPNESS = 15.0


def write(tokens: Tokens, vectors: NDArray[np.float16], seed: int) -> list[Ids]:
    """Return ``2 * PAIRS`` texts: text 2i + 1 puts neighbours in the place of some words of text 2i.

    ``vectors`` float16 [vocabulary, 384] are the teacher's of each token alone.
    """
    rng = np.random.default_rng(seed)
    words = np.array([i for i, piece in enumerate(tokens.pieces) if WORD.fullmatch(piece)], np.int32)
    points = torch.from_numpy(vectors[words]).bfloat16()
    near = (points @ points.T).topk(NEIGHBOURS + 1).indices.numpy()[:, 1:]
    texts: list[Ids] = []
    for _ in range(PAIRS):
        picked = rng.integers(0, len(words), rng.choice((1, 1, 2, 2, 3, 4, 6)))
        other = np.where(rng.random(len(picked)) < 0.8, near[picked, rng.integers(0, NEIGHBOURS, len(picked))], picked)
        texts += [words[picked], words[rng.permutation(other)]]
    return texts


@dataclass
class Embedded:
    """Texts with the teacher's embeddings, float16 [texts, 384]."""

    texts: list[Ids]
    vectors: NDArray[np.float16]


def pair_loss(net: Nano, pairs: Embedded, rng: np.random.Generator) -> Tensor:
    """Return KL divergence and squared error of a batch's cosines: text 2i as a query, 2i + 1 as a passage."""
    picked = rng.choice(len(pairs.texts) // 2, BATCH, replace=False) * 2
    points = [torch.from_numpy(pairs.vectors[picked + i].astype(np.float32)) for i in (0, 1)]
    target = points[0] @ points[1].T
    query = net.encode(*pad([pairs.texts[i] for i in picked], leading=True), 0)
    passage = net.encode(*pad([pairs.texts[i + 1] for i in picked], leading=False), 1)
    total = torch.zeros(())
    for one, two in ((query.pooled, passage.pooled), (query.pooled_static, passage.pooled_static)):
        cosine = one.float() @ two.float().T
        total = total + F.mse_loss(cosine, target)
        kl = F.kl_div((SHARPNESS * cosine).log_softmax(1), (SHARPNESS * target).softmax(1), reduction="batchmean")
        total = total + kl / SHARPNESS
    return total
