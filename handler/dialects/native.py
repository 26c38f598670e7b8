"""The native contract: direct invokes, Step Functions tasks and ``POST /rank``."""

from __future__ import annotations

from typing import Any

from handler.contract import (
    MAX_REQUEST_CHARS,
    Chunking,
    Fusion,
    Highlighting,
    Passage,
    Ranking,
    RankRequest,
    Result,
    check_json,
    validate_request,
)
from handler.dialects.protocol import Dialect
from handler.errors import InvalidRequest


def parse(body: object) -> RankRequest:
    """A ``RankRequest`` from a decoded JSON body. Unknown fields are ignored and null means absent.

    Raises ``InvalidRequest`` naming the field and its limit, never its value.
    """
    if not isinstance(body, dict):
        raise InvalidRequest("the request must be a JSON object")
    check_json(body)
    fields = _without_nulls(body)
    if "top_k" in fields:
        fields.setdefault("top_n", fields["top_k"])
    for name in ("chunking", "fusion", "relevant_spans"):
        if isinstance(fields.get(name), dict):
            fields[name] = _without_nulls(fields[name])
    validate_request(fields)
    return RankRequest(
        query=fields["query"],
        passages=_passages(fields["passages"], len(fields["query"])),
        top_n=_integer(fields.get("top_n")),
        return_passages=fields.get("return_passages", False),
        raw_scores=fields.get("raw_scores", False),
        score_threshold=fields.get("score_threshold"),
        min_results=int(fields.get("min_results", 0)),
        model=fields.get("model"),
        deadline_ms=_integer(fields.get("deadline_ms")),
        on_deadline=fields.get("on_deadline", "partial"),
        truncation="error" if fields.get("truncation") == "error" else "auto",
        chunking=Chunking(**_chosen(fields.get("chunking"), "mode", *_CHUNKING_COUNTS)),
        fusion=_fusion(fields.get("fusion")),
        highlighting=_highlighting(fields.get("relevant_spans")),
        dry_run=fields.get("dry_run", False),
    )


def render(ranking: Ranking, request: RankRequest) -> dict[str, Any]:
    """The response body; ``text`` and ``meta`` come back only with ``return_passages``."""
    body: dict[str, Any] = {
        "results": [_render_result(result, request.return_passages) for result in ranking.results],
        "model": {"name": ranking.model.name, "revision": ranking.model.revision},
        "usage": {
            "passages": ranking.usage.passages,
            "tokens": ranking.usage.tokens,
            "chunks": ranking.usage.chunks,
            "truncated": ranking.usage.truncated,
            "query_truncated": ranking.usage.query_truncated,
        },
        "timings_ms": {
            "encode": round(ranking.timings.encode, 3),
            "score": round(ranking.timings.score, 3),
            "total": round(ranking.timings.total, 3),
        },
    }
    if ranking.partial:
        body["meta"] = {"partial": True, "unscored": ranking.unscored}
    if ranking.estimate is not None:
        body["estimate"] = {"ms": round(ranking.estimate.milliseconds, 3), "usd": ranking.estimate.usd}
    return body


def _render_result(result: Result, with_passage: bool) -> dict[str, Any]:
    passage = result.passage
    body: dict[str, Any] = {"index": result.index, "score": result.score}
    if passage.id is not None:
        body["id"] = passage.id
    if with_passage:
        body["text"] = passage.text
        if passage.meta is not None:
            body["meta"] = passage.meta
    if not result.scored:
        body["scored"] = False
    if result.tokens_used < result.tokens_in:
        body["truncated"] = {"tokens_in": result.tokens_in, "tokens_used": result.tokens_used}
    if result.chunks > 1 and result.best_chunk is not None:
        best = result.best_chunk
        body["chunks"] = {"count": result.chunks, "best": {"start": best.start, "end": best.end, "score": best.score}}
    if result.spans is not None:
        body["relevant_spans"] = [{"start": span.start, "end": span.end, "score": span.score} for span in result.spans]
    return body


def _passages(items: list[Any], query_chars: int) -> tuple[Passage, ...]:
    passages = tuple(
        Passage(item)
        if isinstance(item, str)
        else Passage(item["text"], item.get("id"), item.get("meta"), item.get("score"))
        for item in items
    )
    if query_chars + sum(len(passage.text) for passage in passages) > MAX_REQUEST_CHARS:
        raise InvalidRequest(
            f"query and passages must hold at most {MAX_REQUEST_CHARS:,} characters together", "passages"
        )
    return passages


_CHUNKING_COUNTS = ("max_chunks_per_doc", "max_tokens_per_doc", "overlap_tokens", "top_k")


def _fusion(given: dict[str, Any] | None) -> Fusion | None:
    return None if given is None else Fusion(**_chosen(given, "method", "weight", "k"))


def _highlighting(given: dict[str, Any] | None) -> Highlighting | None:
    if given is None or given.get("mode") == "disabled":
        return None
    return Highlighting(**_chosen(given, "threshold", "max_spans"))


def _chosen(given: dict[str, Any] | None, *names: str) -> dict[str, Any]:
    """The fields of ``given`` that exist here; JSON's 3.0 is an integer to the schema, so counts are made ones."""
    counts = {*_CHUNKING_COUNTS, "k", "max_spans"}
    return {name: int(given[name]) if name in counts else given[name] for name in names if given and name in given}


def _integer(value: float | None) -> int | None:
    return None if value is None else int(value)


def _without_nulls(fields: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value is not None}


DIALECT = Dialect(name="native", paths=("/rank",), parse=parse, render=render)
