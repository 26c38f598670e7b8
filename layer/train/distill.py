"""Step 4: teach the student the teacher's scores.

Of every batch the student scores all query-passage pairs at once (:meth:`layer.train.model.Nano.cross`). The loss is KL
divergence over each query's passages, a margin loss on score differences, cross entropy of the labels, and the squared
error of its two pooled cosines against the teacher's. Each step also sees a few texts of :mod:`layer.train.vocabulary`.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from tqdm import tqdm

from layer.train.answers import ELSEWHERE, Answers
from layer.train.model import Nano
from layer.train.sampler import Batch, Sampler, exact_counts, pad
from layer.train.schedule import rate_at
from layer.train.tokens import Ids
from layer.train.vocabulary import Embedded, pair_loss

SHARPNESS = 15.0
BUCKETS = 4
REPORT, KEPT = 50, 500  # steps between two lines of progress, and between two checkpoints
HEAD = ("linear", "score", "per_term", "saturation", "pools_static", "importance", "need", "offer")
HEAD_RATE = 6


@dataclass(frozen=True, slots=True)
class Recipe:
    """What a run may vary."""

    steps: int
    rate: float = 8e-4
    embedding_rate: float = 5e-4
    warmup: int = 100
    decay: float = 0.65
    kl: float = 1.0
    margin: float = 0.05
    label: float = 0.6
    cosine: float = 8.0
    vocabulary: float = 3.0
    vector: float = 3.0
    answer: float = 0.0
    average: float = 0.98


@dataclass(frozen=True, slots=True)
class Scored:
    """What the student makes of n queries and m passages, the passages in ``order``.

    ``logits`` are float [n, m], ``cosines`` [n, m, 2], the joint vectors [n or m, 384].
    """

    order: list[int]
    logits: Tensor
    cosines: Tensor
    query_vectors: Tensor
    passage_vectors: Tensor


def score(net: Nano, queries: list[Ids], passages: list[Ids]) -> Scored:
    """Score every query with every passage, the passages in ``BUCKETS`` parts of like length."""
    asked = net.encode(*pad(queries, leading=True), 0)
    stems = net.stems.numpy()
    query_stems = [stems[query] for query in queries]
    order = sorted(range(len(passages)), key=lambda i: len(passages[i]))
    logits, cosines, vectors = [], [], []
    for part in np.array_split(np.array(order), BUCKETS):
        texts = [passages[i] for i in part]
        side = net.encode(*pad(texts, leading=False), 1)
        one, two = net.cross(asked, side, *exact_counts(query_stems, [stems[text] for text in texts]))
        logits.append(one)
        cosines.append(two)
        vectors.append(side.pooled)
    return Scored(order, torch.cat(logits, 1).float(), torch.cat(cosines, 1).float(), asked.pooled, torch.cat(vectors))


def losses(scored: Scored, batch: Batch, recipe: Recipe) -> dict[str, Tensor]:
    """Return the weighted parts of the loss."""
    order, logits = scored.order, scored.logits
    teacher, cosine = torch.from_numpy(batch.teacher[:, order]), torch.from_numpy(batch.cosine[:, order])
    positive, ignored = torch.from_numpy(batch.positive[:, order]), torch.from_numpy(batch.ignored[:, order])
    target = SHARPNESS * teacher
    kl = F.kl_div(logits.log_softmax(1), target.softmax(1), reduction="batchmean")
    floor = teacher.topk(min(48, teacher.shape[1]), 1).values[:, -1:]
    weight = torch.where(teacher >= floor, 1.0, 0.05)
    weight = weight / weight.sum(1, keepdim=True)
    error = logits - target
    error = error - (error * weight).sum(1, keepdim=True)
    margin = (error.square() * weight).sum(1).mean()
    labelled = positive.any(1)
    scores = logits.masked_fill(ignored, -1e4)[labelled]
    label = (
        (scores.logsumexp(1) - scores.masked_fill(~positive[labelled], -1e4).logsumexp(1)).mean()
        if bool(labelled.any())
        else logits.sum() * 0
    )
    pooled = ((scored.cosines - cosine[..., None]).square() * weight[..., None]).sum(1).mean()
    agreement = [
        (mine * torch.from_numpy(teachers)).sum(1)
        for mine, teachers in (
            (scored.query_vectors, batch.query_vectors),
            (scored.passage_vectors, batch.passage_vectors[order]),
        )
    ]
    return {
        "kl": recipe.kl * kl,
        "margin": recipe.margin * margin,
        "label": recipe.label * label,
        "cosine": recipe.cosine * pooled,
        "vector": recipe.vector * (1 - torch.cat(agreement).mean()),
    }


def answer_loss(net: Nano, answers: Answers, rng: np.random.Generator) -> Tensor:
    """Return KL divergence over the lists of a few queries, each over its own sentences."""
    queries, sentences, target = answers.draw(rng)
    scored = score(net, queries, sentences)
    teacher = torch.from_numpy(target[:, scored.order])
    logits = torch.where(teacher > ELSEWHERE, scored.logits, ELSEWHERE)
    return F.kl_div(logits.log_softmax(1), teacher.softmax(1), reduction="batchmean")


def running(most: float) -> Callable[[Tensor, Tensor, Tensor], Tensor]:
    """Return an exponential average that follows closely at first and settles to a decay of ``most``."""

    def update(average: Tensor, current: Tensor, seen: Tensor) -> Tensor:
        decay = min(most, (1 + float(seen)) / (10 + float(seen)))
        return average * decay + current * (1 - decay)

    return update


def distill(
    net: Nano,
    sampler: Sampler,
    vocabulary: Embedded,
    answers: Answers,
    recipe: Recipe,
    seed: int,
    checkpoint: Path,
) -> Nano:
    """Train ``net``; resume from ``checkpoint`` where it is there. Returns the averaged network."""
    groups: dict[float, list[Tensor]] = {}
    for name, parameter in net.named_parameters():
        rate = recipe.embedding_rate if name == "embedding.weight" else recipe.rate
        groups.setdefault(rate * (HEAD_RATE if name.startswith(HEAD) else 1), []).append(parameter)
    optimiser = torch.optim.AdamW(
        [{"params": parameters, "lr": rate} for rate, parameters in groups.items()],
        weight_decay=0.0,
        betas=(0.9, 0.99),
        fused=True,
    )
    base = [group["lr"] for group in optimiser.param_groups]
    average = torch.optim.swa_utils.AveragedModel(net, avg_fn=running(recipe.average))
    start = 0
    if checkpoint.is_file():
        state = torch.load(checkpoint, weights_only=True)
        net.load_state_dict(state["net"])
        average.load_state_dict(state["average"])
        optimiser.load_state_dict(state["optimiser"])
        start = state["step"]
    sampler.rng = np.random.default_rng((seed, start))
    seen: dict[str, float] = {}
    began = time.monotonic()
    for step in tqdm(range(start, recipe.steps), desc="distilling", initial=start, total=recipe.steps, mininterval=10):
        for group, full in zip(optimiser.param_groups, base, strict=True):
            group["lr"] = full * rate_at(step, recipe.steps, recipe.warmup, recipe.decay)
        batch = sampler.draw()
        with torch.autocast("cpu", torch.bfloat16):
            scored = score(net, batch.queries, batch.passages)
            rare = pair_loss(net, vocabulary, sampler.rng)
            answered = answer_loss(net, answers, sampler.rng) if recipe.answer else torch.zeros(())
        parts = losses(scored, batch, recipe)
        parts["vocabulary"] = recipe.vocabulary * rare
        parts["answer"] = recipe.answer * answered
        optimiser.zero_grad()
        sum(parts.values(), torch.zeros(())).backward()
        torch.nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        optimiser.step()
        if step % 5 == 0:
            average.update_parameters(net)
        for name, value in parts.items():
            seen[name] = 0.98 * seen.get(name, value.item()) + 0.02 * value.item()
        last = step + 1 == recipe.steps
        if (step + 1) % REPORT == 0 or last:
            took = (time.monotonic() - began) / (step + 1 - start)
            tqdm.write(f"{step + 1} {took:.2f} s a step " + " ".join(f"{k} {v:.3f}" for k, v in seen.items()))
        if (step + 1) % KEPT == 0 or last:
            torch.save(
                {
                    "net": net.state_dict(),
                    "average": average.state_dict(),
                    "optimiser": optimiser.state_dict(),
                    "step": step + 1,
                },
                checkpoint,
            )
    return average.module
