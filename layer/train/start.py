"""Where the student starts: the teacher's sentence embedding of every vocabulary entry, reduced to 128 dimensions.

A word the training text never shows still has a meaning then (the idea of https://github.com/MinishLab/model2vec).
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from layer.train.model import WIDTH


def principal_components(vectors: NDArray[np.float16], weights: NDArray[np.float32]) -> Tensor:
    """Return unit vectors, float32 [n, 128]: the weighted principal components of ``vectors`` [n, 384]."""
    points = torch.from_numpy(vectors.astype(np.float32))
    weight = torch.from_numpy(weights)[:, None]
    centred = points - (points * weight).sum(0) / weight.sum()
    _, basis = torch.linalg.eigh((centred * weight).T @ centred)
    return torch.nn.functional.normalize(centred @ basis[:, -WIDTH:], dim=-1)
