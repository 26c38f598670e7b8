"""What programs that speak a vendor's format send, as read in their sources, and what they read of the answer."""

from __future__ import annotations

from typing import Any

import pytest

from tests.contract.conftest import Send
from tests.contract.test_dialects import QUERY, TEXTS

# The program, where it sends what, and where in the answer it finds the score of the first document of the answer.
PROGRAMS: dict[str, tuple[str, dict[str, Any], tuple[str | int, ...]]] = {
    "OpenSearch, Cohere connector": (
        "/v1/rerank",
        {"documents": TEXTS, "query": QUERY, "model": "rerank-english-v2.0", "top_n": 3},
        ("results", 0, "relevance_score"),
    ),
    "OpenSearch, SageMaker connector": ("/invocations", {"query": QUERY, "texts": TEXTS}, (0, "score")),
    "OpenSearch, Hugging Face pipeline": (
        "/invocations",
        {"inputs": [{"text": QUERY, "text_pair": text} for text in TEXTS]},
        (0, "score"),
    ),
    "RAGFlow, Xinference": (
        "/v1/rerank",
        {"model": "m", "query": QUERY, "documents": TEXTS, "return_documents": "true", "return_len": "true"},
        ("results", 0, "relevance_score"),
    ),
    "RAGFlow, NVIDIA": (
        "/v1/ranking",
        {
            "model": "m",
            "query": {"text": QUERY},
            "passages": [{"text": text} for text in TEXTS],
            "truncate": "END",
            "top_n": 3,
        },
        ("rankings", 0, "logit"),
    ),
    "xinference-client": (
        "/v1/rerank",
        {
            "model": "m",
            "documents": TEXTS,
            "query": QUERY,
            "top_n": None,
            "max_chunks_per_doc": None,
            "return_documents": None,
            "return_len": None,
            "kwargs": "{}",
        },
        ("results", 0, "relevance_score"),
    ),
    "SiliconFlow": (
        "/v1/rerank",
        {"model": "m", "query": QUERY, "documents": TEXTS, "max_chunks_per_doc": 4, "overlap_tokens": 80},
        ("results", 0, "relevance_score"),
    ),
    "Flowise, Azure": (
        "/providers/cohere/v2/rerank",
        {"model": "rerank-v3.5", "query": QUERY, "topN": 3, "documents": TEXTS, "max_chunks_per_doc": 10},
        ("results", 0, "relevance_score"),
    ),
    "Open WebUI": (
        "/api/v1/rerank",
        {"model": "", "query": QUERY, "documents": TEXTS, "top_n": 3},
        ("results", 0, "relevance_score"),
    ),
    "LiteLLM, fireworks_ai": (
        "/inference/v1/rerank",
        {"model": "m", "query": QUERY, "documents": TEXTS},
        ("results", 0, "relevance_score"),
    ),
    "LibreChat, rag_api": (
        "/v1/rerank",
        {
            "profile": "fast-v1",
            "query": QUERY,
            "candidates": [{"id": str(at), "text": text, "base_score": 0} for at, text in enumerate(TEXTS)],
            "top_n": 3,
        },
        ("results", 0, "score"),
    ),
    "Dify, text-embeddings-inference": (
        "/rerank",
        {"query": QUERY, "texts": TEXTS, "return_text": True},
        (0, "score"),
    ),
    "Dify, Mixedbread": (
        "/v1/reranking",
        {"model": "mixedbread-ai/m", "query": QUERY, "input": TEXTS, "top_k": 3, "return_input": True},
        ("data", 0, "score"),
    ),
    "Elasticsearch": ("/_inference/rerank/any", {"query": QUERY, "input": TEXTS}, ("rerank", 0, "relevance_score")),
}


@pytest.mark.parametrize("program", PROGRAMS)
def test_it_finds_a_score_for_every_document_where_it_looks(program: str, send: Send) -> None:
    path, body, way = PROGRAMS[program]
    answer = send(path, body)
    assert answer.status == 200
    found = answer.body
    for step in way:
        if isinstance(step, int):
            assert len(found) == len(TEXTS)
        found = found[step]
    assert type(found) is float


def test_dify_learns_what_it_needs_of_text_embeddings_inference(send: Send) -> None:
    info = send("/tei/info", method="GET").body
    assert "reranker" in info["model_type"]
    assert info["max_input_length"] > 0
    assert info["max_client_batch_size"] == 1000


def test_nvidias_clients_find_the_model_they_ask_for(send: Send) -> None:
    names = {model["id"] for model in send("/nvidia/v1/models", method="GET").body["data"]}
    assert "llama-3.2-nv-rerankqa-1b-v2" in names
