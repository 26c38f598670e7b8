"""The native contract: direct invokes, Step Functions tasks and ``POST /rank``."""

from __future__ import annotations

from typing import Any

from handler.contract import (
    DEFAULT_CUT,
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
from handler.errors import InvalidRequest


def parse(body: object) -> RankRequest:
    """A ``RankRequest`` from a decoded JSON body. Unknown fields are ignored and null means absent.

    Raises ``InvalidRequest`` naming the field and its limit, never its value.
    """
    if not isinstance(body, dict):
        raise InvalidRequest("the request must be a JSON object")
    check_json(body)
    return read(body)


def read(body: dict[str, Any]) -> RankRequest:
    """A ``RankRequest`` from native fields that ``check_json`` has passed. Raises ``InvalidRequest``.

    ``{"s3": {"bucket", "key", ...}}`` may stand for the passages (``objects.read_passages``, and its errors).
    """
    fields = _without_nulls(body)
    for name in ("chunking", "fusion", "relevant_spans"):
        if isinstance(fields.get(name), dict):
            fields[name] = _without_nulls(fields[name])
    if isinstance(fields.get("passages"), dict) and "s3" in fields["passages"]:
        from handler.objects import read_passages

        fields["passages"] = read_passages(fields["passages"]["s3"])
        check_json(fields["passages"])
    validate_request(fields)
    return RankRequest(
        query=fields["query"],
        passages=_passages(fields["passages"], len(fields["query"])),
        top_n=_integer(fields.get("top_n", fields.get("top_k"))),
        return_passages=fields.get("return_passages", False),
        raw_scores=fields.get("raw_scores", False),
        score_threshold=fields.get("score_threshold"),
        min_results=int(fields.get("min_results", 0)),
        model=fields.get("model"),
        models=tuple(fields.get("models", ())),
        cut=int(fields.get("cut", DEFAULT_CUT)),
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
        "results": [_render_result(result, request) for result in ranking.results],
        "model": {"name": ranking.model.name, "revision": ranking.model.revision},
        "usage": {
            "passages": ranking.usage.passages,
            "tokens": ranking.usage.tokens,
            "chunks": ranking.usage.chunks,
            "truncated": ranking.usage.truncated,
            "query_truncated": ranking.usage.query_truncated,
            **price(ranking),
        },
        "timings_ms": {
            "encode": round(ranking.timings.encode, 3),
            "score": round(ranking.timings.score, 3),
            "highlight": round(ranking.timings.highlight, 3),
            "total": round(ranking.timings.total, 3),
        },
    }
    if ranking.partial:
        body["meta"] = {"partial": True, "unscored": ranking.unscored}
    return body | estimate(ranking)


def price(ranking: Ranking) -> dict[str, Any]:
    """What a model that is a service cost, and how many of its answers had to be mended."""
    if ranking.usage.usd is None:
        return {}
    return {"usd": round(ranking.usage.usd, 8), "repaired": ranking.usage.repaired}


def estimate(ranking: Ranking) -> dict[str, Any]:
    """What a dry run foretells, where there was one."""
    if ranking.estimate is None:
        return {}
    told = ranking.estimate
    return {"estimate": {"ms": round(told.milliseconds, 3), "usd": told.usd, "memory_mb": told.memory_mb}}


def _render_result(result: Result, request: RankRequest) -> dict[str, Any]:
    body: dict[str, Any] = {"index": result.index, "score": result.score}
    if request.return_passages:
        body["text"] = result.passage.text
        if result.passage.meta is not None:
            body["meta"] = result.passage.meta
    return body | details(result, request)


def details(result: Result, request: RankRequest) -> dict[str, Any]:
    """What there is to say of a result beyond its score; other dialects add it to theirs, where clients ignore it."""
    body: dict[str, Any] = {}
    if result.passage.id is not None:
        body["id"] = result.passage.id
    if not result.scored:
        body["scored"] = False
    elif request.fusion is not None:
        body["model_score"] = result.model_score
    if result.best_chunk is not None:
        best = result.best_chunk
        body |= {
            "tokens_in": result.tokens_in,
            "tokens_used": result.tokens_used,
            "chunks": result.chunks,
            "best_chunk": {"index": best.index, "start": best.start, "end": best.end, "score": best.score},
        }
    if result.spans is not None:
        body["relevant_spans"] = [{"start": span.start, "end": span.end, "score": span.score} for span in result.spans]
    return body


def _passages(items: list[Any], query_chars: int) -> tuple[Passage, ...]:
    passages = tuple(
        Passage(item)
        if isinstance(item, str)
        else Passage(item["text"], item.get("id"), item.get("meta"), item.get("score"), _integer(item.get("rank")))
        for item in items
    )
    if query_chars + sum(len(passage.text) for passage in passages) > MAX_REQUEST_CHARS:
        raise InvalidRequest(
            f"passages must hold at most {MAX_REQUEST_CHARS:,} characters together with the query", "passages"
        )
    return passages


_CHUNKING_COUNTS = ("max_chunks_per_doc", "max_tokens_per_doc", "chunk_tokens", "overlap_tokens", "top_k")


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
