"""Cohere's Python SDK, of which two major versions are about."""

from __future__ import annotations

import cohere
import cohere.errors

from tests.clients.client import Hit, Rank

ERRORS = (cohere.errors.BadRequestError, cohere.errors.UnauthorizedError)


def v1(url: str, key: str) -> Rank:
    client = cohere.Client(key, base_url=url)

    def rank(query: str, documents: list[str], top_n: int | None, return_documents: bool) -> list[Hit]:
        answer = client.rerank(
            model="rerank-english-v3.0",
            query=query,
            documents=documents,
            top_n=top_n,
            return_documents=return_documents,
        )
        return [Hit(r.index, r.relevance_score, r.document.text if r.document else None) for r in answer.results]

    return rank


def v2(url: str, key: str) -> Rank:
    client = cohere.ClientV2(key, base_url=url)

    def rank(query: str, documents: list[str], top_n: int | None, _: bool) -> list[Hit]:
        answer = client.rerank(model="rerank-v3.5", query=query, documents=documents, top_n=top_n)
        assert answer.meta is not None
        return [Hit(r.index, r.relevance_score) for r in answer.results]

    return rank
