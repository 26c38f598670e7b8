"""Pinecone's rerank API: https://docs.pinecone.io/reference/api/latest/inference/rerank."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from handler.dialects.fields import DOCUMENTS, as_object
from handler.dialects.native import details
from handler.dialects.protocol import Dialect
from handler.dialects.superset import remarks

if TYPE_CHECKING:
    from handler.contract import Ranking, RankRequest


def render(ranking: Ranking, request: RankRequest) -> dict[str, Any]:
    """``data`` with documents as objects."""
    data = [
        {"index": result.index, "score": result.score}
        | ({"document": as_object(result.passage)} if request.return_passages else {})
        | details(result, request)
        for result in ranking.results
    ]
    return {"model": ranking.model.name, "data": data, "usage": {"rerank_units": 1}, **remarks(ranking)}


DIALECT = Dialect(
    name="pinecone",
    names=DOCUMENTS,
    defaults={"return_passages": True},
    allow_empty_passages=False,
    render=render,
    example={
        "model": "bge-reranker-v2-m3",
        "query": "The tech company Apple is known for its innovative products.",
        "documents": [{"id": "1", "text": "Apple is a fruit."}, {"id": "2", "text": "Apple makes the iPhone."}],
        "rank_fields": ["text"],
        "top_n": 2,
        "return_documents": True,
        "parameters": {"truncate": "END"},
    },
)
