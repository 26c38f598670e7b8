"""From logits to scores: chunks become passages, logits become probabilities, first-stage evidence joins in.

NaN stands for "not scored" throughout: it passes through every formula and sorts last.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    from handler.contract import Chunking, Fusion, Passage, RankRequest
    from handler.encoding import Chunk
    from handler.model import Manifest

    Floats = NDArray[np.float64]

# Below every sigmoid that a model gives in practice and below every threshold, yet in order: clients sort again.
STAND_IN_BELOW = 1e-6


class Evidence(NamedTuple):
    """What the model said of a passage: its logit, and its best chunk with the logit of that."""

    logit: float
    chunk: Chunk
    chunk_logit: float


def evidence(chunks: Iterable[Chunk], logits: Iterable[float], chunking: Chunking) -> dict[int, Evidence]:
    """Evidence by passage. One of which only some chunks were scored has none: half a passage is not its score."""
    found: dict[int, Evidence] = {}
    parts: dict[int, list[tuple[float, Chunk]]] = {}
    for chunk, logit in zip(chunks, logits, strict=True):
        if chunk.parts == 1:
            found[chunk.passage] = Evidence(logit, chunk, logit)
        else:
            parts.setdefault(chunk.passage, []).append((logit, chunk))
    for passage, scored in parts.items():
        if len(scored) == scored[0][1].parts:
            scored.sort(key=lambda part: (-part[0], part[1].part))
            best_logit, best = scored[0]
            found[passage] = Evidence(aggregate([logit for logit, _ in scored], chunking), best, best_logit)
    return found


def aggregate(logits: Sequence[float], chunking: Chunking) -> float:
    """The logit of a passage from those of its chunks, best first; of ``first`` there is no other chunk."""
    kept = {"max": 1, "first": 1, "top_k_mean": chunking.top_k, "mean": len(logits)}[chunking.mode]
    return sum(logits[:kept]) / len(logits[:kept])


def first_stage(passages: Sequence[Passage]) -> Floats | None:
    """First-stage evidence ``[passages]``, higher is better: scores where any is given, or else negated ranks.

    Passages with neither hold NaN; None where none has any.
    """
    for values in ([p.score for p in passages], [None if p.rank is None else -p.rank for p in passages]):
        if any(value is not None for value in values):
            return np.array([np.nan if value is None else value for value in values], np.float64)
    return None


def sigmoid(values: Floats) -> Floats:
    """``1 / (1 + exp(-x))``, without overflow at either end."""
    small = np.exp(-np.abs(values))
    scores: Floats = np.where(values < 0, small, 1.0) / (1 + small)
    return scores


def calibrated(logits: Floats, manifest: Manifest) -> Floats:
    """Probabilities of relevance: temperature and bias were fitted on data kept aside from training."""
    return sigmoid(logits / manifest.temperature + manifest.bias)


def fuse(logits: Floats, prior: Floats, fusion: Fusion) -> Floats:
    """Fused values ``[passages]``, NaN where the model gave no logit; what the first stage left out counts as its last.

    Weighted: ``w z(prior) + (1 - w) z(logits)``. RRF: ``w / (k + rank) + (1 - w) / (k + rank)``, where equal values
    share a rank and a passage that the first stage left out adds nothing.
    """
    weight = fusion.weight
    if fusion.method == "rrf":
        first, model = (1 / (fusion.k + _ranks(values)) for values in (prior, logits))
        fused: Floats = weight * np.nan_to_num(first) + (1 - weight) * model
        return fused
    scored = ~np.isnan(logits)
    known = prior[scored & ~np.isnan(prior)]
    lowest = float(np.min(known)) if len(known) else 0.0
    complete = np.where(scored, np.nan_to_num(prior, nan=lowest), np.nan)
    return weight * _standard(complete) + (1 - weight) * _standard(logits)


def descending(values: Floats, prior: Floats | None) -> NDArray[np.intp]:
    """Positions by descending value, ties in input order; NaN last, by ``prior`` where there is one."""
    keys = (-values,) if prior is None else (np.where(np.isnan(values), -prior, 0.0), -values)
    return np.lexsort(keys)


def with_stand_ins(scores: Floats, order: NDArray[np.intp], *, bounded: bool) -> Floats:
    """``scores`` with a finite one for each unscored passage: falling along ``order`` and below every real score.

    Where scores are ``bounded`` to (0, 1) the stand-ins stay in it, near 0.
    """
    unscored = order[np.isnan(scores[order])]
    if not len(unscored):
        return scores
    steps = np.arange(len(unscored), 0, -1) / (len(unscored) + 1)
    lowest = np.nanmin(scores) if len(unscored) < len(scores) else 0.0 if not bounded else 1.0
    scores = scores.copy()
    scores[unscored] = min(lowest, STAND_IN_BELOW) * steps if bounded else lowest - 2 + steps
    return scores


def keep(order: NDArray[np.intp], scores: Floats, request: RankRequest) -> list[int]:
    """The positions of ``order`` that the request wants back: of its threshold or more, then at most ``top_n``.

    ``min_results`` come back whatever the threshold; a passage that was not scored does not reach it.
    """
    if request.score_threshold is not None:
        passing = scores[order] >= request.score_threshold
        below = np.flatnonzero(~passing)
        passing[below[: max(request.min_results - int(passing.sum()), 0)]] = True
        order = order[passing]
    kept: list[int] = order[: request.top_n].tolist()
    return kept


def _ranks(values: Floats) -> Floats:
    """Ranks from 1 for the highest; equal values share the best of theirs, and NaN stays."""
    known = np.sort(values[~np.isnan(values)])
    above = len(known) - np.searchsorted(known, values, side="right")
    return np.where(np.isnan(values), np.nan, above + 1.0)


def _standard(values: Floats) -> Floats:
    """z-scores over what is not NaN; zeros where all are alike."""
    known = values[~np.isnan(values)]
    if not len(known):
        return values
    spread = known.std()
    return (values - known.mean()) / (spread if spread > 0 else 1.0)
