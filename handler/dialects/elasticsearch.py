"""Elasticsearch's rerank inference: https://www.elastic.co/docs/api/doc/elasticsearch/operation/operation-inference-rerank."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from handler.dialects.protocol import Dialect

if TYPE_CHECKING:
    from handler.contract import Ranking, RankRequest


def render(ranking: Ranking, request: RankRequest) -> dict[str, Any]:
    """``rerank``, best first."""
    return {
        "rerank": [
            {"index": result.index, "relevance_score": result.score}
            | ({"text": result.passage.text} if request.return_passages else {})
            for result in ranking.results
        ]
    }


DIALECT = Dialect(
    name="elasticsearch",
    paths=("/_inference/rerank/{model}",),
    names={"passages": "input", "return_passages": "return_documents"},
    render=render,
    example={
        "query": "star wars main character",
        "input": ["luke", "like", "leia", "chewy"],
        "top_n": 3,
        "return_documents": True,
    },
)
