"""Where the student starts: the teacher's sentence embedding of every vocabulary entry, reduced to 256 dimensions.

A word the training text never shows still has a meaning then (the idea of https://github.com/MinishLab/model2vec).
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from layer.train.imitate import Texts
from layer.train.model import EMBEDDING, Nano
from layer.train.sampler import pad
from layer.train.tokens import Ids

RIDGE = 1e-3
SHOWN = 5000


def principal_components(vectors: NDArray[np.float16], weights: NDArray[np.float32]) -> Tensor:
    """Return unit vectors, float32 [n, 256]: the weighted principal components of ``vectors`` [n, 384]."""
    points = torch.from_numpy(vectors.astype(np.float32))
    weight = torch.from_numpy(weights)[:, None]
    centred = points - (points * weight).sum(0) / weight.sum()
    _, basis = torch.linalg.eigh((centred * weight).T @ centred)
    return torch.nn.functional.normalize(centred @ basis[:, -EMBEDDING:], dim=-1)


@torch.inference_mode()
def _equations(net: Nano, texts: list[Ids], vectors: NDArray[np.float16], segment: int) -> tuple[Tensor, Tensor]:
    """Return the normal equations of the map from one segment's pools to the teacher's embeddings."""
    gram, cross = torch.zeros(()), torch.zeros(())
    for start in range(0, len(texts), 64):
        ids, mask = pad(texts[start : start + 64], leading=segment == 0)
        unit, static, content = net.states(ids, mask, segment)
        both, _ = net.pools_of(unit, static, ids, content)
        target = torch.from_numpy(vectors[start : start + 64].astype(np.float32))
        gram, cross = gram + both.T @ both, cross + both.T @ target
    return gram, cross


def start_joint(net: Nano, queries: Texts, passages: Texts, seed: int) -> None:
    """Set the joint projection to the least-squares map to the teacher's embeddings, of queries and passages alike."""
    rng = np.random.default_rng(seed)
    gram, cross = torch.zeros(()), torch.zeros(())
    for side in (queries, passages):
        picked = rng.permutation(len(side.texts))[:SHOWN]
        picked = picked[np.argsort([len(side.texts[i]) for i in picked])]
        one, two = _equations(net, [side.texts[i] for i in picked], side.vectors[picked], side.segment)
        gram, cross = gram + one / len(picked), cross + two / len(picked)
    ridge = RIDGE * gram.diagonal().mean() * torch.eye(len(gram))
    with torch.no_grad():
        net.joint.weight.copy_(torch.linalg.solve(gram + ridge, cross).T)
