"""vLLM's score API, one query against one text or many:
https://docs.vllm.ai/en/latest/serving/openai_compatible_server.html.
"""

from __future__ import annotations

import os
from time import time
from typing import TYPE_CHECKING, Any

from handler.dialects.fields import in_input_order
from handler.dialects.protocol import Body, Dialect, openai_error
from handler.dialects.superset import tokens
from handler.errors import InvalidRequest

if TYPE_CHECKING:
    from handler.contract import Ranking, RankRequest

# The two sides of a pair go by several names: https://github.com/vllm-project/vllm, protocol of pooling/scoring.
_LEFT, _RIGHT = ("text_1", "queries", "data_1"), ("text_2", "documents", "items", "data_2")


def one_query(body: Body) -> Body:
    """One text on the left, a list of them on the right."""
    left = next((name for name in _LEFT if body.get(name) is not None), _LEFT[0])
    right = next((name for name in _RIGHT if body.get(name) is not None), _RIGHT[0])
    query, texts = body.get(left), body.get(right)
    if isinstance(query, list):
        if len(query) != 1:
            raise InvalidRequest(f"{left} must be one text", left)
        query = query[0]
    raw = {"raw_scores": True} if body.get("use_activation") is False else {}
    return {**raw, **body, "text_1": query, "text_2": [texts] if isinstance(texts, str) else texts}


def render(ranking: Ranking, _: RankRequest) -> dict[str, Any]:
    """A score for each pair, in the order of the request."""
    data = [{"index": r.index, "object": "score", "score": r.score} for r in in_input_order(ranking.results)]
    return {
        "id": f"score-{os.urandom(16).hex()}",
        "object": "list",
        "created": int(time()),
        "model": ranking.model.name,
        "data": data,
        "usage": tokens(ranking),
    }


DIALECT = Dialect(
    name="vllm-score",
    paths=("/score", "/v1/score"),
    names={"query": "text_1", "passages": "text_2"},
    reshape=one_query,
    render=render,
    render_error=openai_error,
    example={"model": "BAAI/bge-reranker-v2-m3", "text_1": "capital of France", "text_2": ["Paris.", "Cheese."]},
)
