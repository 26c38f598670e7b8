"""Long passages, deadlines, thresholds, fusion, highlights and dry runs, as HTTP clients ask for and get them."""

from __future__ import annotations

from typing import Any

import pytest

from tests.contract.conftest import Send

QUERY = "how does rain form over hills"
ANSWER = "Rain forms where moist air is lifted over hills and cools."
FILLER = "The committee met again and nothing at all was decided about the budget of that year. "
LONG = FILLER * 50 + ANSWER + " " + FILLER * 50
MANY = [f"{FILLER * 20}{number}" for number in range(400)]


def native(send: Send, *passages: Any, **options: Any) -> Any:
    return send("/rank", {"query": QUERY, "passages": list(passages), **options})


def cohere(send: Send, *documents: str, **options: Any) -> Any:
    return send("/v2/rerank", {"model": "rerank-v3.5", "query": QUERY, "documents": list(documents), **options})


def test_a_long_passage_says_how_it_was_read(send: Send) -> None:
    (result,) = native(send, LONG, chunking={"max_chunks_per_doc": 3}).body["results"]
    assert result["chunks"] == 3
    assert result["tokens_in"] > result["tokens_used"] > 0
    best = result["best_chunk"]
    assert best.keys() == {"index", "start", "end", "score"}
    assert 0 <= best["start"] < best["end"] <= len(LONG)


def test_a_short_passage_says_nothing_of_it(send: Send) -> None:
    (result,) = native(send, ANSWER).body["results"]
    assert result.keys() == {"index", "score"}


def test_cohere_s_limits_on_long_documents_are_kept(send: Send) -> None:
    cut = cohere(send, LONG, max_tokens_per_doc=100).body
    assert cut["results"][0]["tokens_used"] <= 100
    assert cut["meta"]["truncated"] == 1
    assert cohere(send, LONG, max_chunks_per_doc=2).body["results"][0]["chunks"] == 2
    assert "truncated" not in cohere(send, LONG).body["meta"]


def test_truncation_that_the_caller_refuses_is_422(send: Send) -> None:
    answer = native(send, ANSWER, LONG, truncation="error")
    assert answer.status == 422
    assert "passage 1" in answer.body["message"]
    assert "committee" not in answer.body["message"]


def test_cohere_s_relevant_spans_come_natively_and_in_its_own_dialect(send: Send) -> None:
    text = f"{FILLER}😀 {ANSWER} {FILLER}"
    wanted = {"mode": "enabled", "threshold": 0, "max_spans": 1}
    spans = cohere(send, text, relevant_spans=wanted).body["results"][0]["relevant_spans"]
    assert spans == native(send, text, relevant_spans=wanted).body["results"][0]["relevant_spans"]
    (span,) = spans
    assert ANSWER in text[span["start"] : span["end"]]
    assert 0 < span["score"] < 1
    assert "relevant_spans" not in cohere(send, text, relevant_spans={"mode": "disabled"}).body["results"][0]


@pytest.mark.parametrize(
    ("path", "texts", "score"), [("/rank", "passages", "score"), ("/v2/rerank", "documents", "relevance_score")]
)
def test_every_document_comes_back_by_the_deadline(path: str, texts: str, score: str, send: Send) -> None:
    body = {"model": "nano", "query": QUERY, texts: MANY, "deadline_ms": 30}
    answer = send(path, body)
    assert answer.status == 200
    assert answer.body["meta"]["partial"] is True
    assert 0 < answer.body["meta"]["unscored"] <= len(MANY)
    results = answer.body["results"]
    assert sorted(result["index"] for result in results) == list(range(len(MANY)))
    scores = [result[score] for result in results]
    assert scores == sorted(scores, reverse=True)
    assert all(isinstance(value, float) and 0 < value < 1 for value in scores)
    assert results[-1]["scored"] is False


def test_all_or_nothing_by_the_deadline_is_503_with_a_hint_when_to_retry(send: Send) -> None:
    answer = native(send, *MANY, deadline_ms=30, on_deadline="error")
    assert answer.status == 503
    assert answer.body["error_type"] == "DeadlineExceeded"
    assert answer.headers["retry-after"] == "1"


def test_a_threshold_and_the_least_number_of_results(send: Send) -> None:
    assert native(send, ANSWER, "", score_threshold=1.0).body["results"] == []
    assert len(native(send, ANSWER, "", score_threshold=1.0, min_results=1).body["results"]) == 1


def test_fusion_with_the_first_stage_s_scores_or_ranks(send: Send) -> None:
    passages = [{"text": ANSWER, "rank": 2}, {"text": FILLER, "rank": 1}]
    fused = native(send, *passages, fusion={"method": "weighted", "weight": 1.0}).body["results"]
    assert [result["index"] for result in fused] == [1, 0]
    assert fused[1]["model_score"] > fused[0]["model_score"]
    refused = native(send, ANSWER, fusion={})
    assert (refused.status, refused.body["message"][:12]) == (400, "fusion needs")


def test_a_dry_run_counts_and_estimates(send: Send) -> None:
    body = native(send, ANSWER, LONG, dry_run=True).body
    assert body["results"] == []
    assert body["usage"]["tokens"] == native(send, ANSWER, LONG).body["usage"]["tokens"]
    assert body["estimate"].keys() == {"ms", "usd", "memory_mb"}


def test_headers_are_those_of_text_embeddings_inference(send: Send) -> None:
    answer = native(send, ANSWER)
    assert int(answer.headers["x-compute-tokens"]) == answer.body["usage"]["tokens"]
    assert {"x-total-time", "x-tokenization-time", "x-inference-time"} <= answer.headers.keys()
    assert answer.body["timings_ms"].keys() == {"encode", "score", "highlight", "total"}
