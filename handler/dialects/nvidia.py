"""NVIDIA's NeMo Retriever reranking NIM, whose scores are logits:
https://docs.nvidia.com/nim/nemo-retriever/text-reranking/latest/reference.html.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from handler.dialects.native import details
from handler.dialects.protocol import Dialect

if TYPE_CHECKING:
    from handler.contract import Ranking, RankRequest


def render(ranking: Ranking, request: RankRequest) -> dict[str, Any]:
    """``rankings``, best first."""
    rankings = [{"index": result.index, "logit": result.score} | details(result, request) for result in ranking.results]
    return {"rankings": rankings, "usage": {"total_tokens": ranking.usage.tokens}}


DIALECT = Dialect(
    name="nvidia",
    paths=(
        "/v1/ranking",
        "/ranking",
        "/v1/retrieval/{model}/reranking",
    ),
    names={"query": "query.text"},
    defaults={"raw_scores": True},
    render=render,
    example={
        "model": "nvidia/llama-3.2-nv-rerankqa-1b-v2",
        "query": {"text": "which way should i go?"},
        "passages": [{"text": "two roads diverged in a yellow wood"}, {"text": "cheese"}],
        "truncate": "END",
    },
)
