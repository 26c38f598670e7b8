"""Evidence becomes results: scored, fused with the first stage, ordered and cut to what was asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from handler import scoring
from handler.contract import BestChunk, Result

if TYPE_CHECKING:
    from collections.abc import Sequence

    from handler.contract import RankRequest
    from handler.model import Manifest
    from handler.scoring import Evidence, Floats


def ranked_results(
    request: RankRequest, found: Sequence[Evidence | None], prior: Floats | None, manifest: Manifest
) -> tuple[Result, ...]:
    """The results of ``request`` in order; ``found`` and ``prior`` are by passage, None where one was not scored."""
    logits = np.array([np.nan if evidence is None else evidence.logit for evidence in found])
    own = shown = logits if request.raw_scores else scoring.calibrated(logits, manifest)
    values = logits
    if request.fusion is not None and prior is not None:
        values = scoring.fuse(logits, prior, request.fusion)
        squash = request.fusion.method == "weighted" and not request.raw_scores
        shown = scoring.sigmoid(values) if squash else values
    order = scoring.descending(values, prior)
    shown = scoring.with_stand_ins(shown, order, bounded=not request.raw_scores).tolist()
    own_scores = own.tolist()
    results = []
    for index in scoring.keep(order, own, request):
        passage, evidence = request.passages[index], found[index]
        if evidence is None:
            results.append(Result(index, passage, shown[index], None, scored=False))
            continue
        chunk = evidence.chunk
        results.append(
            Result(
                index=index,
                passage=passage,
                score=shown[index],
                logit=evidence.logit,
                model_score=own_scores[index],
                tokens_in=chunk.tokens,
                tokens_used=chunk.used,
                chunks=chunk.parts,
                best_chunk=None if chunk.span is None else _best_chunk(evidence, request, manifest),
            )
        )
    return tuple(results)


def _best_chunk(evidence: Evidence, request: RankRequest, manifest: Manifest) -> BestChunk:
    start, end = evidence.chunk.span or (0, 0)
    logit = np.array(evidence.chunk_logit)
    score = float(logit if request.raw_scores else scoring.calibrated(logit, manifest))
    return BestChunk(start, end, score, evidence.chunk.part)
