"""The answer that Cohere's, Jina's, vLLM's and Xinference's clients all read: the union of what each needs.

``results`` serves everybody; haystack's Jina ranker wants ``model`` and ``usage``, Vercel's Cohere provider ``meta``.
``document`` is an object or absent: LiteLLM fails on null and on a string.
"""

from __future__ import annotations

import os
from time import time
from typing import TYPE_CHECKING, Any

from handler.dialects.fields import as_object
from handler.dialects.native import details, estimate

if TYPE_CHECKING:
    from collections.abc import Callable

    from handler.contract import Passage, Ranking, RankRequest, Result

PASSAGES_PER_SEARCH_UNIT = 100  # as Cohere bills: one query with up to 100 documents


def render(ranking: Ranking, request: RankRequest, document: Callable[[Passage], object] = as_object) -> dict[str, Any]:
    """The body; ``document`` says how a returned document looks."""
    usage = ranking.usage
    meta: dict[str, Any] = {
        "api_version": {"version": "2"},
        "billed_units": {"search_units": -(-usage.passages // PASSAGES_PER_SEARCH_UNIT)},
        "tokens": {"input_tokens": usage.tokens, "output_tokens": 0},
        "warnings": [],
    }
    return {
        "id": f"rr-{os.urandom(16).hex()}",
        "object": "rerank",
        "created": int(time()),
        "model": ranking.model.name,
        "results": [_result(result, request, document) for result in ranking.results],
        "meta": meta | remarks(ranking),
        "usage": tokens(ranking),
    }


def _result(result: Result, request: RankRequest, document: Callable[[Passage], object]) -> dict[str, Any]:
    body: dict[str, Any] = {"index": result.index, "relevance_score": result.score}
    if request.return_passages:
        body["document"] = document(result.passage)
    return body | details(result, request)


def remarks(ranking: Ranking) -> dict[str, Any]:
    """What a caller should know of the ranking as a whole: a deadline that came first, texts that were cut."""
    remarks: dict[str, Any] = {}
    if ranking.partial:
        remarks |= {"partial": True, "unscored": ranking.unscored}
    if ranking.usage.truncated:
        remarks["truncated"] = ranking.usage.truncated
    if ranking.usage.query_truncated:
        remarks["query_truncated"] = True
    return remarks | estimate(ranking)


def tokens(ranking: Ranking) -> dict[str, int]:
    """``usage`` as OpenAI counts it."""
    return {"prompt_tokens": ranking.usage.tokens, "total_tokens": ranking.usage.tokens}
