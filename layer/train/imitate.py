"""Step 2: teach the student's layer and pools the teacher's sentence embeddings, text by text.

A batch costs a third of what a step of :mod:`layer.train.distill` costs for as many tokens, and every text gives 384
numbers to learn from. The static embeddings have the same target, through a linear map thrown away afterwards.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import nn
from tqdm import tqdm

from layer.train.model import EMBEDDING, Nano
from layer.train.sampler import pad
from layer.train.schedule import rate_at
from layer.train.tokens import Ids

BATCH_TOKENS = 8192
STATIC = 0.5
REPORT = 500
RATE, WARMUP, DECAY = 1.5e-3, 100, 0.6


@dataclass(frozen=True, slots=True)
class Texts:
    """Texts of one segment with the teacher's embeddings, float16 [texts, 384], and the share of batches they get."""

    texts: list[Ids]
    vectors: NDArray[np.float16]
    segment: int
    share: float


class Batches:
    """Draws batches of texts of like length, each text as likely as any other of its group."""

    def __init__(self, groups: list[Texts], seed: int) -> None:
        self.groups = groups
        self.rng = np.random.default_rng(seed)
        self.lengths = [np.array([len(text) for text in group.texts]) for group in groups]
        self.order = [np.argsort(lengths, kind="stable") for lengths in self.lengths]
        shares = np.array([group.share for group in groups])
        self.shares = shares / shares.sum()

    def draw(self) -> tuple[Texts, NDArray[np.int64]]:
        """Return a group and the places of the batch's texts in it."""
        which = int(self.rng.choice(len(self.groups), p=self.shares))
        order, lengths = self.order[which], self.lengths[which]

        end = int(self.rng.integers(1, len(order) + 1))
        window = order[max(0, end - 4096) : end]
        count = max(8, BATCH_TOKENS // (int(lengths[window[-1]]) + 2))
        return self.groups[which], self.rng.permutation(window)[:count]


def imitate(net: Nano, groups: list[Texts], steps: int, seed: int, checkpoint: Path) -> None:
    """Train ``net`` in place; resume from ``checkpoint`` where it is there."""
    aside = nn.Linear(EMBEDDING, groups[0].vectors.shape[1], bias=False)
    parameters = [*net.parameters(), *aside.parameters()]
    optimiser = torch.optim.AdamW(parameters, lr=RATE, weight_decay=0.0, betas=(0.9, 0.99), fused=True)
    start = 0
    if checkpoint.is_file():
        state = torch.load(checkpoint, weights_only=True)
        net.load_state_dict(state["net"])
        aside.load_state_dict(state["aside"])
        optimiser.load_state_dict(state["optimiser"])
        start = state["step"]
    batches = Batches(groups, seed + start)
    seen = {group.segment: [0.3, 0.3] for group in groups}
    for step in tqdm(range(start, steps), desc="imitating", initial=start, total=steps, mininterval=10):
        for group in optimiser.param_groups:
            group["lr"] = RATE * rate_at(step, steps, WARMUP, DECAY)
        chosen, places = batches.draw()
        target = torch.from_numpy(chosen.vectors[places].astype(np.float32))
        with torch.autocast("cpu", torch.bfloat16):
            side = net.encode(*pad([chosen.texts[i] for i in places], leading=chosen.segment == 0), chosen.segment)
            flat = F.normalize(aside(side.pooled_static).float(), dim=-1)
        parts = [1 - (side.pooled.float() * target).sum(1).mean(), 1 - (flat * target).sum(1).mean()]
        optimiser.zero_grad()
        (parts[0] + STATIC * parts[1]).backward()
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimiser.step()
        mean = seen[chosen.segment]
        seen[chosen.segment] = [0.99 * old + 0.01 * new.item() for old, new in zip(mean, parts, strict=True)]
        if (step + 1) % REPORT == 0 or step + 1 == steps:
            tqdm.write(f"{step + 1}: distance joint, static by segment {seen}")
            state = {"net": net.state_dict(), "aside": aside.state_dict(), "optimiser": optimiser.state_dict()}
            torch.save({**state, "step": step + 1}, checkpoint)
