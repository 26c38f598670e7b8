"""all-MiniLM-L6-v2, a small sentence embedding model, computed with numpy: the first stage that people have.

Six BERT layers (Devlin et al. 2018, https://arxiv.org/abs/1810.04805), mean pooling, unit length. The weights are
those that ``layer.train.wheel`` fetches.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import scipy.special
from numpy.typing import NDArray
from safetensors.numpy import load_file
from tokenizers import BertWordPieceTokenizer
from tqdm import tqdm

from layer.train.wheel import HEADS, LAYERS, VOCABULARY, WEIGHTS, WIDTH, WINDOW

BATCH_TOKENS = 4096

Array = NDArray[Any]  # of float32


class MiniLM:
    """The encoder with its weights and its tokenizer."""

    def __init__(self, folder: Path) -> None:
        self.weights: dict[str, Array] = load_file(folder / WEIGHTS)
        self.tokenizer = BertWordPieceTokenizer(str(folder / VOCABULARY), lowercase=True)
        self.tokenizer.enable_truncation(WINDOW)

    def embed(self, texts: list[str], describe: str) -> Array:
        """Return unit embeddings, float32 ``[texts, 384]``; a text is read up to 256 tokens."""
        ids = [encoding.ids for encoding in self.tokenizer.encode_batch(texts)]
        order = sorted(range(len(ids)), key=lambda i: len(ids[i]))
        out = np.zeros((len(texts), WIDTH), np.float32)
        with tqdm(total=len(texts), desc=describe, unit="text", mininterval=1) as progress:
            start = 0
            while start < len(order):
                longest = len(ids[order[min(start + 255, len(order) - 1)]])
                picked = order[start : start + max(1, min(256, BATCH_TOKENS // longest))]
                out[picked] = self._embed([ids[i] for i in picked])
                start += len(picked)
                progress.update(len(picked))
        return out

    def _embed(self, batch: list[list[int]]) -> Array:
        longest = max(map(len, batch))
        ids = np.array([text + [0] * (longest - len(text)) for text in batch])
        keep = np.array([[1.0] * len(text) + [0.0] * (longest - len(text)) for text in batch], np.float32)
        hidden = self._states(ids, (1 - keep)[:, None, None, :] * np.float32(-1e9))
        mean = (hidden * keep[:, :, None]).sum(1) / keep.sum(1, keepdims=True)
        unit: Array = mean / np.linalg.norm(mean, axis=1, keepdims=True)
        return unit

    def _states(self, ids: NDArray[np.int64], mask: Array) -> Array:
        rows, tokens = ids.shape
        table = "embeddings.{}_embeddings.weight".format
        x = (
            self.weights[table("word")][ids]
            + self.weights[table("position")][:tokens]
            + self.weights[table("token_type")][0]
        )
        x = self._norm(x.reshape(-1, WIDTH), "embeddings.LayerNorm")
        for layer in range(LAYERS):
            name = f"encoder.layer.{layer}"
            query, key, value = (
                self._linear(x, f"{name}.attention.self.{part}").reshape(rows, tokens, HEADS, -1).transpose(0, 2, 1, 3)
                for part in ("query", "key", "value")
            )
            scores = query @ key.transpose(0, 1, 3, 2) * np.float32((WIDTH // HEADS) ** -0.5) + mask
            shares = np.exp(scores - scores.max(-1, keepdims=True))
            context: Array = shares / shares.sum(-1, keepdims=True) @ value
            mixed = self._linear(context.transpose(0, 2, 1, 3).reshape(-1, WIDTH), f"{name}.attention.output.dense")
            x = self._norm(x + mixed, f"{name}.attention.output.LayerNorm")
            inner = self._linear(x, f"{name}.intermediate.dense")
            inner = inner * np.float32(0.5) * (1 + scipy.special.erf(inner * np.float32(0.5**0.5)))
            x = self._norm(x + self._linear(inner, f"{name}.output.dense"), f"{name}.output.LayerNorm")
        return x.reshape(rows, tokens, WIDTH)

    def _linear(self, x: Array, name: str) -> Array:
        out: Array = x @ self.weights[f"{name}.weight"].T + self.weights[f"{name}.bias"]
        return out

    def _norm(self, x: Array, name: str) -> Array:
        centred = x - x.mean(-1, keepdims=True)
        scale: Array = centred / np.sqrt((centred**2).mean(-1, keepdims=True) + np.float32(1e-12))
        out: Array = scale * self.weights[f"{name}.weight"] + self.weights[f"{name}.bias"]
        return out
