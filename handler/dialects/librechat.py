"""LibreChat's rag_api reranking: https://github.com/danny-avila/rag_api."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from handler.dialects.fields import document_passage
from handler.dialects.protocol import Dialect

if TYPE_CHECKING:
    from handler.contract import Ranking, RankRequest


def candidate(document: object, rank_fields: list[str] | None) -> object:
    """A candidate's ``base_score`` is the first stage's."""
    if isinstance(document, dict) and "base_score" in document:
        document = {**document, "score": document["base_score"]}
    return document_passage(document, rank_fields)


def render(ranking: Ranking, _: RankRequest) -> dict[str, Any]:
    """``results`` with an index and a score each."""
    results = [{"index": result.index, "score": result.score} for result in ranking.results]
    return {"results": results, "model": ranking.model.name}


DIALECT = Dialect(
    name="librechat",
    names={"passages": "candidates"},
    passage=candidate,
    render=render,
    document={
        "type": "object",
        "required": ["text"],
        "properties": {"text": {"type": "string"}, "id": {"type": "string"}, "base_score": {"type": "number"}},
    },
    example={
        "profile": "fast-v1",
        "query": "capital of France",
        "candidates": [{"id": "0", "text": "Paris.", "base_score": 0.4}, {"id": "1", "text": "Cheese."}],
        "top_n": 2,
    },
)
