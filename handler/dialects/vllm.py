"""vLLM's rerank API: https://docs.vllm.ai/en/latest/serving/openai_compatible_server.html."""

from __future__ import annotations

from handler.dialects import superset
from handler.dialects.fields import DOCUMENTS, LONG_DOCUMENTS
from handler.dialects.protocol import Body, Dialect, openai_error


def zero_is_unlimited(body: Body) -> Body:
    """VLLM's zero means no limit, and ``use_activation: false`` asks for logits."""
    limits = ("top_n", "max_tokens_per_doc")
    body = {name: value for name, value in body.items() if not (name in limits and value in (0, -1))}
    return {"raw_scores": True, **body} if body.get("use_activation") is False else body


DIALECT = Dialect(
    name="vllm",
    names=DOCUMENTS | LONG_DOCUMENTS,
    defaults={"return_passages": True},
    reshape=zero_is_unlimited,
    render=superset.render,
    render_error=openai_error,
    example={
        "model": "BAAI/bge-reranker-base",
        "query": "What is the capital of France?",
        "documents": ["The capital of Brazil is Brasilia.", "The capital of France is Paris."],
        "top_n": 2,
    },
)
