"""The whole of reranking: a query and its passages become chunks, micro-batches, logits, and a ranking."""

from __future__ import annotations

from time import perf_counter
from typing import TYPE_CHECKING

import numpy as np

from handler.batching import micro_batches
from handler.contract import ModelId, Ranking, RankRequest, Result, Timings, Usage
from handler.encoding import ID_BYTES, Encoder
from handler.errors import DeadlineExceeded, ModelError
from handler.model import Model, load

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from handler.runtime import Clock


class Ranker:
    """Ranks passages with one model. It keeps no state between requests but the tokenizer's word cache."""

    def __init__(self, model: Model) -> None:
        self._model = model
        self._encoder = Encoder(model)
        self.model_id = ModelId(model.manifest.name, model.manifest.revision)

    @classmethod
    def load(cls, directory: Path) -> Ranker:
        """A ranker over the model in ``directory``. Raises ``ModelError``."""
        return cls(load(directory))

    def rank(self, request: RankRequest, clock: Clock) -> Ranking:
        """Score every passage of ``request`` and order them, best first; ties keep input order.

        Raises ``DeadlineExceeded`` where the clock runs out and the request asks for all scores or none, and
        ``ModelError`` where the model gives a score that is not finite.
        """
        query = self._encoder.encode_query(request.query)
        encoded = self._encoder.encode_passages(query, [passage.text for passage in request.passages])
        encoded_at = perf_counter()

        logits = np.full(len(request.passages), np.nan, np.float32)
        tokens = 0
        for batch in micro_batches(query, encoded.chunks, in_order=clock.deadline is not None):
            if clock.expired():
                break
            logits[[chunk.passage for chunk in batch.chunks]] = self._finite(self._model.logits(batch))
            tokens += sum(len(chunk.ids) for chunk in batch.chunks) // ID_BYTES
        scored_at = perf_counter()

        logits = logits[encoded.first]
        unscored = int(np.isnan(logits).sum())
        if unscored and request.on_deadline == "error":
            raise DeadlineExceeded(f"the time allowed ran out with {unscored} passages unscored")
        results = self._results(request, logits)
        return Ranking(
            results=results,
            model=self.model_id,
            usage=Usage(
                passages=len(request.passages),
                tokens=tokens,
                chunks=len(encoded.chunks),
                truncated=sum(chunk.truncated for chunk in encoded.chunks),
                query_truncated=query.truncated,
            ),
            timings=Timings(
                encode=(encoded_at - clock.began) * 1000,
                score=(scored_at - encoded_at) * 1000,
                total=(perf_counter() - clock.began) * 1000,
            ),
            unscored=unscored,
        )

    def _results(self, request: RankRequest, logits: NDArray[np.float32]) -> tuple[Result, ...]:
        scores = logits.astype(np.float64) if request.raw_scores else self._sigmoid(logits)
        # A stable sort of the negated scores puts the best first, keeps ties in order and NaN (unscored) last.
        order = np.argsort(-scores, kind="stable").tolist()
        results = (
            Result(
                index=index,
                passage=request.passages[index],
                score=0.0 if np.isnan(scores[index]) else float(scores[index]),
                logit=float(logits[index]),
                scored=not np.isnan(scores[index]),
            )
            for index in order
        )
        kept = [r for r in results if request.score_threshold is None or r.score >= request.score_threshold]
        return tuple(kept[: request.top_n])

    def _sigmoid(self, logits: NDArray[np.float32]) -> NDArray[np.float64]:
        manifest = self._model.manifest
        return 1 / (1 + np.exp(-(logits.astype(np.float64) / manifest.temperature + manifest.bias)))

    @staticmethod
    def _finite(logits: NDArray[np.float32]) -> NDArray[np.float32]:
        if not np.isfinite(logits).all():
            raise ModelError("the model gave a score that is not finite")
        return logits
