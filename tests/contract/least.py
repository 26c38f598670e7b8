"""A request in each dialect with nothing in it that is optional."""

from __future__ import annotations

from typing import Any


def least(query: str, texts: list[str]) -> dict[str, dict[str, Any]]:
    """The request by the dialect's name."""
    return {
        "native": {"query": query, "passages": texts},
        "cohere": {"query": query, "documents": texts},
        "jina": {"query": query, "documents": texts},
        "voyage": {"query": query, "documents": texts},
        "tei": {"query": query, "texts": texts},
        "huggingface": {"inputs": [{"text": query, "text_pair": text} for text in texts]},
        "bedrock": {
            "queries": [{"type": "TEXT", "textQuery": {"text": query}}],
            "sources": [
                {"type": "INLINE", "inlineDocumentSource": {"type": "TEXT", "textDocument": {"text": text}}}
                for text in texts
            ],
        },
        "bedrock-runtime": {"query": query, "documents": texts},
        "vllm": {"query": query, "documents": texts},
        "vllm-score": {"text_1": query, "text_2": texts},
        "llamacpp": {"query": query, "documents": texts},
        "infinity": {"query": query, "documents": texts},
        "pinecone": {"query": query, "documents": texts},
        "nvidia": {"query": {"text": query}, "passages": [{"text": text} for text in texts]},
        "mixedbread": {"query": query, "input": texts},
        "librechat": {"query": query, "candidates": [{"id": text, "text": text} for text in texts]},
        "elasticsearch": {"query": query, "input": texts},
        "onyx": {"query": query, "documents": texts},
    }
