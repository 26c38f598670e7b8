"""Voyage AI's rerankers: https://docs.voyageai.com/reference/reranker-api. MongoDB Atlas speaks it too."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from handler.dialects.native import details
from handler.dialects.protocol import Dialect
from handler.dialects.superset import remarks

if TYPE_CHECKING:
    from handler.contract import Ranking, RankRequest


def render(ranking: Ranking, request: RankRequest) -> dict[str, Any]:
    """``data`` with the document as a string, where it was asked for."""
    data = [
        {"index": result.index, "relevance_score": result.score}
        | ({"document": result.passage.text} if request.return_passages else {})
        | details(result, request)
        for result in ranking.results
    ]
    usage = {"total_tokens": ranking.usage.tokens}
    return {"object": "list", "data": data, "model": ranking.model.name, "usage": usage, **remarks(ranking)}


DIALECT = Dialect(
    name="voyage",
    names={"passages": "documents", "top_n": "top_k", "return_passages": "return_documents"},
    allow_empty_passages=False,
    render=render,
    example={
        "model": "rerank-2.5",
        "query": "When is Apple's conference call?",
        "documents": ["The call is on Thursday.", "Apples ripen in autumn."],
        "top_k": 2,
        "truncation": True,
        "return_documents": True,
    },
)
