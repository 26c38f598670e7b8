"""Jina's Reranker API: https://jina.ai/reranker. Xinference, LocalAI, SiliconFlow and Open WebUI speak it too."""

from __future__ import annotations

from dataclasses import replace

from handler.dialects import cohere

DIALECT = replace(
    cohere.DIALECT,
    name="jina",
    paths=(),
    allow_empty_passages=True,
    example={
        "model": "jina-reranker-v2-base-multilingual",
        "query": "organic skincare for sensitive skin",
        "documents": ["A gentle cream with aloe vera.", {"text": "A motor oil."}],
        "top_n": 2,
        "return_documents": True,
    },
)
