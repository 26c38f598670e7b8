"""Another function of ours as a model: invoked directly, spoken to in the native contract."""

from __future__ import annotations

import json
from time import perf_counter
from typing import TYPE_CHECKING, Any

from handler import errors
from handler.backends import bedrock
from handler.contract import BestChunk, Estimate, ModelId, Ranking, Result, Span, Timings, Usage

if TYPE_CHECKING:
    from handler.contract import RankRequest
    from handler.runtime import Clock

USAGE = ("passages", "tokens", "chunks", "truncated", "query_truncated", "usd", "repaired")


class Remote:
    """A deployed function; ``function`` is its name or ARN, with an alias where there is one."""

    def __init__(self, name: str, function: str) -> None:
        self.model_id = ModelId(name, function.rpartition(":")[2])
        self._function = function
        self._client = bedrock.client("lambda", {})

    def rank(self, request: RankRequest, clock: Clock) -> Ranking:
        """Let the other function answer. Raises the error that it raised, and ``Overloaded`` where it is throttled."""
        with bedrock.in_our_words("the other function"):
            response = self._client.invoke(
                FunctionName=self._function, Payload=json.dumps(_body(request, clock)).encode()
            )
        answer = json.loads(response["Payload"].read())
        if "FunctionError" in response:
            kind = getattr(errors, str(answer.get("errorType")), None)
            if isinstance(kind, type) and issubclass(kind, errors.RerankError):
                raise kind(f"{self.model_id.name}: {answer.get('errorMessage')}")
            raise errors.ModelError(f"{self.model_id.name} failed ({answer.get('errorType')})")
        return _ranking(answer, request)


def _body(request: RankRequest, clock: Clock) -> dict[str, Any]:
    """The native request; ids and metadata stay here, and the deadline is what is left of it."""
    body: dict[str, Any] = {
        "query": request.query,
        "passages": [{"text": p.text, "score": p.score, "rank": p.rank} for p in request.passages],
        "raw_scores": request.raw_scores,
        "on_deadline": request.on_deadline,
        "truncation": request.truncation,
        "chunking": request.chunking._asdict(),
        "fusion": request.fusion and request.fusion._asdict(),
        "relevant_spans": request.highlighting and request.highlighting._asdict(),
        "dry_run": request.dry_run,
    }
    if clock.deadline is not None:
        body["deadline_ms"] = max(int((clock.deadline - perf_counter()) * 1000), 1)
    return body


def _ranking(answer: dict[str, Any], request: RankRequest) -> Ranking:
    told = answer.get("estimate")
    return Ranking(
        results=tuple(_result(said, request) for said in answer["results"]),
        model=ModelId(answer["model"]["name"], answer["model"]["revision"]),
        usage=Usage(**{name: answer["usage"][name] for name in USAGE if name in answer["usage"]}),
        timings=Timings(**answer["timings_ms"]),
        unscored=answer.get("meta", {}).get("unscored", 0),
        estimate=told and Estimate(told["ms"], told["usd"], told["memory_mb"]),
    )


def _result(said: dict[str, Any], request: RankRequest) -> Result:
    score, scored, best = said["score"], said.get("scored", True), said.get("best_chunk")
    return Result(
        index=said["index"],
        passage=request.passages[said["index"]],
        score=score,
        logit=None,
        model_score=said.get("model_score", score) if scored else None,
        scored=scored,
        tokens_in=said.get("tokens_in", 0),
        tokens_used=said.get("tokens_used", 0),
        chunks=said.get("chunks", 1),
        best_chunk=best and BestChunk(best["start"], best["end"], best["score"], best["index"]),
        spans=tuple(Span(**span) for span in said["relevant_spans"]) if "relevant_spans" in said else None,
    )
