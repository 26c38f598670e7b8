"""Cohere's Rerank API, v1 and v2: https://docs.cohere.com/reference/rerank. Azure and OpenSearch speak it too."""

from __future__ import annotations

from handler.dialects import superset
from handler.dialects.fields import DOCUMENTS, LONG_DOCUMENTS
from handler.dialects.protocol import Dialect

DIALECT = Dialect(
    name="cohere",
    paths=("/v2/rerank", "/providers/cohere/v2/rerank"),
    names=DOCUMENTS | LONG_DOCUMENTS,
    allow_empty_passages=False,
    render=superset.render,
    example={
        "model": "rerank-v3.5",
        "query": "What is the capital of the United States?",
        "documents": ["Carson City is the capital of Nevada.", {"text": "Washington, D.C. is the capital.", "id": "b"}],
        "top_n": 2,
        "return_documents": True,
        "max_tokens_per_doc": 4096,
    },
)
