"""Hugging Face text-embeddings-inference, ``POST /rerank``: https://huggingface.github.io/text-embeddings-inference."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from handler.dialects.native import details
from handler.dialects.protocol import Dialect

if TYPE_CHECKING:
    from handler.contract import Ranking, RankRequest


def render(ranking: Ranking, request: RankRequest) -> list[dict[str, Any]]:
    """A bare list, best first."""
    return [
        {"index": result.index, "score": result.score}
        | ({"text": result.passage.text} if request.return_passages else {})
        | details(result, request)
        for result in ranking.results
    ]


DIALECT = Dialect(
    name="tei",
    names={"passages": "texts", "return_passages": "return_text"},
    render=render,
    example={
        "query": "What is Deep Learning?",
        "texts": ["Deep Learning is not...", "Deep learning is..."],
        "raw_scores": False,
        "return_text": True,
        "truncate": True,
    },
)
