"""The model names that clients have built in. Each stands for the model that this deployment serves.

Names are compared in lower case, without the path before them (``mixedbread-ai/…``, a Bedrock ARN). With
``RERANK_MODEL_STRICT`` any other name is refused; otherwise it is taken for the model served, too.
"""

from __future__ import annotations

from itertools import chain

from handler.errors import ModelNotFound

ALIASES: dict[str, tuple[str, ...]] = {
    "any": ("default", "default/not-specified", "rerank", "reranker"),
    "amazon": ("amazon.rerank-v1:0",),
    "baai": ("bge-reranker-base", "bge-reranker-large", "bge-reranker-v2-m3"),
    "cohere": (
        "cohere-rerank-v3.5",
        "cohere.rerank-v3-5:0",
        "rerank-english-v2.0",
        "rerank-english-v3.0",
        "rerank-multilingual-v2.0",
        "rerank-multilingual-v3.0",
        "rerank-v3.5",
        "rerank-v4.0-fast",
        "rerank-v4.0-pro",
    ),
    "jina": (
        "jina-reranker-m0",
        "jina-reranker-v1-base-en",
        "jina-reranker-v1-tiny-en",
        "jina-reranker-v1-turbo-en",
        "jina-reranker-v2-base-multilingual",
        "jina-reranker-v3",
    ),
    "mixedbread": (
        "mxbai-rerank-base-v1",
        "mxbai-rerank-base-v2",
        "mxbai-rerank-large-v1",
        "mxbai-rerank-large-v2",
        "mxbai-rerank-xsmall-v1",
    ),
    "nvidia": ("llama-3.2-nv-rerankqa-1b-v2", "nv-rerankqa-mistral-4b-v3", "nv-rerank-qa-mistral-4b:1"),
    "pinecone": ("pinecone-rerank-v0",),
    "sentence-transformers": ("ms-marco-minilm-l-6-v2", "ms-marco-minilm-l-12-v2", "ms-marco-tinybert-l-2-v2"),
    "voyage": ("rerank-1", "rerank-lite-1", "rerank-2", "rerank-2-lite", "rerank-2.5", "rerank-2.5-lite"),
}

_KNOWN = frozenset(chain.from_iterable(ALIASES.values()))


def check_model(name: str, served: str) -> None:
    """Let ``name`` pass for the model ``served``, or raise ``ModelNotFound``."""
    bare = name.lower().rpartition("/")[2]
    if bare not in _KNOWN and name.lower() not in _KNOWN and bare != served.lower():
        raise ModelNotFound("model is not served here; GET /v1/models lists the names that are", "model")
