"""Amazon Bedrock's ``InvokeModel`` with Cohere's or Amazon's rerank bodies:
https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_InvokeModel.html.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from handler.dialects import superset
from handler.dialects.fields import DOCUMENTS, LONG_DOCUMENTS
from handler.dialects.protocol import Dialect

if TYPE_CHECKING:
    from handler.contract import Ranking, RankRequest


def render(ranking: Ranking, request: RankRequest) -> dict[str, Any]:
    """The ``results`` alone, as the models of Bedrock answer."""
    return {"results": superset.render(ranking, request)["results"]}


DIALECT = Dialect(
    name="bedrock-runtime",
    paths=("/model/{model}/invoke",),
    names=DOCUMENTS | LONG_DOCUMENTS,
    allow_empty_passages=False,
    render=render,
    example={
        "api_version": 2,
        "query": "What is the capital of France?",
        "documents": ["Paris is the capital of France.", "Cheese."],
        "top_n": 2,
        "return_documents": True,
    },
)
