"""Mixedbread's reranking API: https://www.mixedbread.com/api-reference/endpoints/reranking."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from handler.dialects.fields import as_given
from handler.dialects.native import details
from handler.dialects.protocol import Dialect
from handler.dialects.superset import remarks, tokens

if TYPE_CHECKING:
    from handler.contract import Ranking, RankRequest


def render(ranking: Ranking, request: RankRequest) -> dict[str, Any]:
    """``data`` with each ``input`` as it was given, and the limits that were kept to."""
    data = [
        {"index": result.index, "score": result.score, "object": "rank_result"}
        | ({"input": as_given(result.passage)} if request.return_passages else {})
        | details(result, request)
        for result in ranking.results
    ]
    return {
        "object": "list",
        "model": ranking.model.name,
        "data": data,
        "top_k": request.top_n or len(request.passages),
        "return_input": request.return_passages,
        "usage": tokens(ranking),
        **remarks(ranking),
    }


DIALECT = Dialect(
    name="mixedbread",
    names={"passages": "input", "top_n": "top_k", "return_passages": "return_input"},
    render=render,
    example={
        "model": "mixedbread-ai/mxbai-rerank-large-v2",
        "query": "Who wrote To Kill a Mockingbird?",
        "input": ["Harper Lee wrote it in 1960.", "Jane Austen was an English novelist."],
        "top_k": 2,
        "return_input": True,
    },
)
