"""Logs and metrics: counts, times and names, never text.

Powertools' Logger writes one JSON line a request; Metrics writes CloudWatch's embedded metric format to stdout, which
costs no API call. X-Ray is the template's matter alone: its SDK takes longer to import than everything here.
"""

from __future__ import annotations

import os
import traceback
from itertools import chain, repeat
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.metrics import MetricUnit

if TYPE_CHECKING:
    from collections.abc import Mapping

    from handler.contract import Ranking
    from handler.errors import RerankError

_SERVICE = os.environ.get("POWERTOOLS_SERVICE_NAME") or "lambda-rerank"

logger = Logger(service=_SERVICE)
metrics = Metrics(namespace=os.environ.get("POWERTOOLS_METRICS_NAMESPACE") or "LambdaRerank", service=_SERVICE)

_cold_starts = chain([1], repeat(0))  # one for the first request of an execution environment


def record_ranking(ranking: Ranking, dialect: str) -> None:
    """One log line and one set of metrics for an answered request."""
    usage, timings = ranking.usage, ranking.timings
    metrics.add_metric("Passages", MetricUnit.Count, usage.passages)
    metrics.add_metric("Tokens", MetricUnit.Count, usage.tokens)
    metrics.add_metric("ScoringTime", MetricUnit.Milliseconds, timings.score)
    metrics.add_metric("TotalTime", MetricUnit.Milliseconds, timings.total)
    metrics.add_metric("Truncated", MetricUnit.Count, usage.truncated)
    metrics.add_metric("Partial", MetricUnit.Count, int(ranking.partial))
    _flush(dialect=dialect)
    logger.info(
        "ranked",
        dialect=dialect,
        model=ranking.model.name,
        passages=usage.passages,
        tokens=usage.tokens,
        chunks=usage.chunks,
        truncated=usage.truncated,
        unscored=ranking.unscored,
        encode_ms=round(timings.encode, 3),
        score_ms=round(timings.score, 3),
        total_ms=round(timings.total, 3),
    )


def record_rejection(error: RerankError, dialect: str) -> None:
    """One log line and one metric for a request that was refused, by the reason's name."""
    metrics.add_metric("Rejected", MetricUnit.Count, 1)
    _flush(dialect=dialect, reason=type(error).__name__)
    logger.warning("rejected", dialect=dialect, reason=type(error).__name__, detail=error.message)


def record_part(source: str, receipt: Mapping[str, Any]) -> None:
    """One log line and one set of metrics for a part of a batch run: a line per query would cost more than ranking."""
    metrics.add_metric("Passages", MetricUnit.Count, receipt["passages"])
    metrics.add_metric("Tokens", MetricUnit.Count, receipt["tokens"])
    metrics.add_metric("Truncated", MetricUnit.Count, receipt["truncated"])
    metrics.add_metric("Rejected", MetricUnit.Count, receipt["errors"])
    _flush(dialect="batch")
    counts = {name: value for name, value in receipt.items() if isinstance(value, int)}
    logger.info("ranked part", extra={"source": source, **counts})


def record_failure(error: BaseException) -> None:
    """One log line for something unforeseen: its type and where it arose. Its message may quote the caller's text."""
    frames = traceback.extract_tb(error.__traceback__)
    metrics.add_metric("Failed", MetricUnit.Count, 1)
    _flush(reason=type(error).__name__)
    logger.error(
        "failed",
        reason=type(error).__name__,
        where=[f"{Path(frame.filename).name}:{frame.lineno} {frame.name}" for frame in frames[-5:]],
    )


def _flush(**properties: str) -> None:
    """Metrics have one dimension, the service; what varies more is a property that log queries can group by."""
    metrics.add_metric("ColdStart", MetricUnit.Count, next(_cold_starts))
    for name, value in properties.items():
        metrics.add_metadata(name, value)
    metrics.flush_metrics()
