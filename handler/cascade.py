"""More than one model: which of those that this deployment serves answers, and two of them one after the other.

The first model is cheap and orders all passages, the second is better and reorders the first ``cut`` of them. Besides
``RERANK_MODEL_DIR``, a deployment serves the model directories in ``RERANK_MODELS_DIR`` and, under the names that
``RERANK_REMOTE_MODELS`` gives them, other functions of ours. Loaded by the first request that needs it.
"""

from __future__ import annotations

from functools import cache
from time import perf_counter
from typing import TYPE_CHECKING

from handler.aliases import check_model
from handler.contract import Estimate, ModelId, Ranking, Result, Timings, Usage
from handler.errors import DeadlineExceeded, ModelNotFound, Overloaded
from handler.model import Manifest
from handler.runtime import SETTINGS, open_reranker, ranker

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from handler.backends import Reranker
    from handler.contract import RankRequest
    from handler.runtime import Clock


def choose(request: RankRequest) -> Reranker:
    """The model or models that ``request`` names.

    Raises ``ModelNotFound`` for a name in ``models`` that is not served here, and for another ``model`` where names are
    strict.
    """
    if not request.models:
        if request.model in names():
            return served(request.model)
        if SETTINGS.strict_models and request.model is not None:
            check_model(request.model, ranker().model_id.name)
        return ranker()
    for place, name in enumerate(request.models):
        if name not in names():
            raise ModelNotFound(
                f"models[{place}] is not served here; GET /v1/models lists the names that are", "models"
            )
    first, *then = (served(name) for name in request.models)
    return Cascade(first, then[0], request.cut) if then else first


def names() -> tuple[str, ...]:
    """The names of all models served here, the default one first."""
    return (ranker().model_id.name, *directories(), *SETTINGS.remote_models)


@cache
def served(name: str) -> Reranker:
    """The model called ``name``, loaded once. Raises ``ModelError``."""
    if name == ranker().model_id.name:
        return ranker()
    if name in SETTINGS.remote_models:
        from handler.backends.remote import Remote

        return Remote(name, SETTINGS.remote_models[name])
    return open_reranker(directories()[name])


@cache
def directories() -> dict[str, Path]:
    """The further model directories of this deployment, by the names in their manifests."""
    if not SETTINGS.models_dir.is_dir():
        return {}
    return {Manifest.read(path).name: path for path in sorted(SETTINGS.models_dir.iterdir()) if path.is_dir()}


class Cascade:
    """Two rerankers, one after the other; it is a reranker itself."""

    def __init__(self, first: Reranker, second: Reranker, cut: int) -> None:
        self._first, self._second, self._cut = first, second, cut

    @property
    def model_id(self) -> ModelId:
        """Both models, in their order."""
        one, two = self._first.model_id, self._second.model_id
        return ModelId(f"{one.name}+{two.name}", f"{one.revision}+{two.revision}")

    def rank(self, request: RankRequest, clock: Clock) -> Ranking:
        """Order all passages with the first model and the best ``cut`` of them anew with the second.

        A passage that the second model did not reorder comes after those that it did, in the first one's order and with
        a score below theirs. So the first model's order stands where the time runs out or the second is overloaded,
        unless the request wants all or nothing. Raises what either of them does.
        """
        whole = request._replace(top_n=None, score_threshold=None, min_results=0, model=None, models=())
        if request.dry_run:
            return self._foretell(whole, clock)
        first = self._first.rank(whole._replace(highlighting=None), clock)
        head = [result.index for result in first.results if result.scored][: self._cut]
        try:
            if clock.expired():
                raise DeadlineExceeded("the time allowed ran out before the second model was asked")
            passages = tuple(request.passages[index] for index in head)
            second = self._second.rank(whole._replace(passages=passages), clock) if head else None
        except (DeadlineExceeded, Overloaded):
            if request.on_deadline == "error":
                raise
            second = None
        again = [] if second is None else [
            result._replace(index=head[result.index], passage=request.passages[head[result.index]])
            for result in second.results if result.scored
        ]  # fmt: skip
        results = [*again, *_below(again, first.results, bounded=not request.raw_scores and request.fusion is None)]
        return Ranking(
            results=_kept(results, request),
            model=self.model_id,
            usage=_sum(first.usage, second.usage if second else None),
            timings=_together(first.timings, second.timings if second else None, clock),
            unscored=max(first.unscored, len(head) - len(again)),
        )

    def _foretell(self, request: RankRequest, clock: Clock) -> Ranking:
        first = self._first.rank(request, clock)
        second = self._second.rank(request._replace(passages=request.passages[: self._cut]), clock)
        told = [ranking.estimate for ranking in (first, second) if ranking.estimate is not None]
        estimate = Estimate(sum(e.milliseconds for e in told), sum(e.usd for e in told), max(e.memory_mb for e in told))
        timings = _together(first.timings, second.timings, clock)
        return Ranking((), self.model_id, _sum(first.usage, second.usage), timings, estimate=estimate)


def _below(again: Sequence[Result], all_results: Sequence[Result], *, bounded: bool) -> list[Result]:
    """The results that are not among ``again``, in order, their scores brought below the lowest of those.

    Scores in [0, 1] are multiplied by it, others moved down: either keeps their order.
    """
    seen = {result.index for result in again}
    rest = [result for result in all_results if result.index not in seen]
    if not again or not rest:
        return rest
    floor = again[-1].score
    fall = max(rest[0].score - floor, 0.0)
    return [r._replace(score=r.score * floor if bounded else r.score - fall) for r in rest]


def _kept(results: list[Result], request: RankRequest) -> tuple[Result, ...]:
    """Threshold and ``top_n``, held against the scores that the caller sees."""
    threshold = request.score_threshold
    if threshold is not None:
        passed = sum(result.score >= threshold for result in results)
        results = results[: max(passed, request.min_results)]
    return tuple(results[: request.top_n])


def _sum(first: Usage, second: Usage | None) -> Usage:
    if second is None:
        return first
    prices = [usage.usd for usage in (first, second) if usage.usd is not None]
    return Usage(
        passages=first.passages,
        tokens=first.tokens + second.tokens,
        chunks=first.chunks + second.chunks,
        truncated=max(first.truncated, second.truncated),
        query_truncated=first.query_truncated or second.query_truncated,
        usd=sum(prices) if prices else None,
        repaired=first.repaired + second.repaired,
    )


def _together(first: Timings, second: Timings | None, clock: Clock) -> Timings:
    both = [timings for timings in (first, second) if timings is not None]
    return Timings(
        encode=first.encode,
        score=sum(timings.score for timings in both),
        highlight=sum(timings.highlight for timings in both),
        total=(perf_counter() - clock.began) * 1000,
    )
