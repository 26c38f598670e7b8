"""A teacher of what answers: a cross-encoder made of MiniLM, for single sentences.

A bi-encoder knows what a text is about, hardly whether it answers. Most questions of the training sets name a passage
and not the sentence in it that answers; so a list of sentences is learnt from with the passage's sentences as one: the
loss is ``-log(sum exp(logits of the labelled passage's sentences) / sum exp(all logits))``, multiple-instance learning
(Dietterich et al. 1997).
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from tqdm import tqdm

from layer.train.answers import Lists
from layer.train.minilm import CLS, SEP, MiniLM, best_device, mean
from layer.train.schedule import rate_at
from layer.train.tokens import Ids
from layer.train.wheel import WIDTH

RATE, WARMUP, DECAY = 8e-5, 100, 0.85
LISTS, BUCKETS = 8, 4
QUERY_TOKENS, SENTENCE_TOKENS = 40, 90
SCORED_AT_ONCE = 128
KEPT = 200  # steps between two checkpoints


class CrossEncoder(nn.Module):
    """MiniLM with a head on its [CLS] state and the mean of its states; it starts as the bi-encoder in ``folder``."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.encoder = MiniLM(folder)
        self.head = nn.Sequential(nn.Linear(2 * WIDTH, WIDTH), nn.Tanh(), nn.Linear(WIDTH, 1))

    def forward(self, ids: Tensor, mask: Tensor, kinds: Tensor) -> Tensor:
        """Return logits [batch]."""
        states = self.encoder(ids, mask, kinds)
        return self.head(torch.cat([states[:, 0], mean(states, mask)], 1)).squeeze(-1)


def rows(pairs: list[tuple[Ids, Ids]], device: str = "cpu") -> tuple[Tensor, Tensor, Tensor]:
    """Return int64 ids, a bool mask and int64 token types of ``[CLS] query [SEP] sentence [SEP]`` of the teacher's."""
    pairs = [(query[:QUERY_TOKENS], sentence[:SENTENCE_TOKENS]) for query, sentence in pairs]
    width = max(len(query) + len(sentence) for query, sentence in pairs) + 3
    ids = np.zeros((len(pairs), width), np.int64)
    for row, (query, sentence) in enumerate(pairs):
        whole = np.concatenate([[CLS], query, [SEP], sentence, [SEP]])
        ids[row, : len(whole)] = whole
    place = np.arange(width)
    starts = np.array([[len(query) + 2] for query, _ in pairs])
    ends = starts + np.array([[len(sentence) + 1] for _, sentence in pairs])
    second = (place >= starts) & (place < ends)
    mask, kinds = torch.from_numpy(place < ends), torch.from_numpy(second.astype(np.int64))
    return torch.from_numpy(ids).to(device), mask.to(device), kinds.to(device)


def learn(net: CrossEncoder, lists: Lists, steps: int, seed: int, checkpoint: Path) -> None:
    """Train ``net`` in place; resume from ``checkpoint`` where it is there."""
    net.to(device := best_device())
    optimiser = torch.optim.AdamW(net.parameters(), lr=RATE, weight_decay=0.01, fused=True)
    start, seen = 0, 0.0
    if checkpoint.is_file():
        state = torch.load(checkpoint, weights_only=True, map_location=device)
        net.load_state_dict(state["net"])
        optimiser.load_state_dict(state["optimiser"])
        start, seen = state["step"], state["loss"]
    order = np.random.default_rng(seed).permutation(len(lists.queries))
    for step in tqdm(range(start, steps), desc="learning answers", initial=start, total=steps, mininterval=10):
        for group in optimiser.param_groups:
            group["lr"] = RATE * rate_at(step, steps, WARMUP, DECAY)
        picked = order[np.arange(step * LISTS, (step + 1) * LISTS) % len(order)]
        pairs = [(lists.queries[i], lists.sentences[j]) for i in picked for j in lists.members[i]]
        owner = np.repeat(np.arange(LISTS), [len(lists.members[i]) for i in picked])
        places = np.argsort([len(query) + len(sentence) for query, sentence in pairs])
        parts = np.array_split(places, BUCKETS)
        with torch.autocast(device, torch.bfloat16):
            logits = torch.cat([net(*rows([pairs[k] for k in part], device)) for part in parts]).float().cpu()
        mine = torch.from_numpy(owner[places] == np.arange(LISTS)[:, None])
        labelled = mine & torch.from_numpy(np.concatenate([lists.labelled[i] for i in picked])[places])
        logits = logits.expand(LISTS, -1)
        loss = (logits.masked_fill(~mine, -1e4).logsumexp(1) - logits.masked_fill(~labelled, -1e4).logsumexp(1)).mean()
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        optimiser.step()
        seen = 0.98 * seen + 0.02 * loss.item() if step else loss.item()
        if (step + 1) % KEPT == 0 or step + 1 == steps:
            tqdm.write(f"{step + 1} loss {seen:.3f}")
            state = {"net": net.state_dict(), "optimiser": optimiser.state_dict(), "step": step + 1, "loss": seen}
            torch.save(state, checkpoint)


@torch.inference_mode()
def score(net: CrossEncoder, lists: Lists) -> list[NDArray[np.float32]]:
    """Return the logits of each list's sentences."""
    net.to(device := best_device())
    pairs = [(i, j) for i, members in enumerate(lists.members) for j in members]
    lengths = [len(lists.queries[i]) + len(lists.sentences[j]) for i, j in pairs]
    order = np.argsort(lengths, kind="stable")
    logits = np.zeros(len(pairs), np.float32)
    for begin in tqdm(range(0, len(order), SCORED_AT_ONCE), desc="scoring answers", mininterval=10):
        places = order[begin : begin + SCORED_AT_ONCE]
        texts = [(lists.queries[pairs[k][0]], lists.sentences[pairs[k][1]]) for k in places]
        with torch.autocast(device, torch.bfloat16):
            logits[places] = net(*rows(texts, device)).float().cpu().numpy()
    return np.split(logits, np.cumsum([len(members) for members in lists.members])[:-1])
