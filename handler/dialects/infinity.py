"""Infinity's rerank API, which differs from Cohere's in that a document is a string:
https://github.com/michaelfeil/infinity.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from handler.dialects import superset
from handler.dialects.fields import DOCUMENTS
from handler.dialects.protocol import Dialect, openai_error

if TYPE_CHECKING:
    from handler.contract import Ranking, RankRequest


def render(ranking: Ranking, request: RankRequest) -> dict[str, Any]:
    """The common answer, with documents as strings."""
    return superset.render(ranking, request, lambda passage: passage.text)


DIALECT = Dialect(
    name="infinity",
    names=DOCUMENTS,
    render=render,
    render_error=openai_error,
    example={
        "model": "mixedbread-ai/mxbai-rerank-xsmall-v1",
        "query": "Where is Munich?",
        "documents": ["Munich is in Germany.", "The sky is blue."],
        "return_documents": True,
        "raw_scores": False,
        "top_n": 2,
    },
)
