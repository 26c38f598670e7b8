"""Bedrock's Rerank behind our contract, through the real boto3 client."""

from __future__ import annotations

from typing import Any

import pytest

from handler.backends import Reranker, open_backend
from handler.contract import Highlighting, Passage, RankRequest
from handler.errors import ModelError, Overloaded, RerankError, UnprocessableRequest
from handler.model import Manifest
from handler.runtime import Clock
from tests.unit.backends.conftest import Aws

SCORES = {"rain": 0.9, "sun": 0.2, "snow": 0.6}
OPTIONS = {"model": "amazon.rerank-v1:0", "usd_per_1000_queries": 1.0, "passages_per_query": 100}


@pytest.fixture
def reranker(aws: Aws) -> Reranker:
    aws.answer = by_word
    return open_backend(Manifest("bedrock-rerank", "amazon.rerank-v1:0", "bedrock-rerank", options=OPTIONS))


def by_word(body: dict[str, Any]) -> dict[str, Any]:
    texts = [source["inlineDocumentSource"]["textDocument"]["text"] for source in body["sources"]]
    scored = [{"index": i, "relevanceScore": SCORES.get(text[:4].strip(), 0.1)} for i, text in enumerate(texts)]
    return {"results": sorted(scored, key=lambda result: -result["relevanceScore"])}


def request(*texts: str, **more: Any) -> RankRequest:
    return RankRequest("what falls", tuple(map(Passage, texts)), **more)


def test_the_providers_scores_and_order_come_back(reranker: Reranker) -> None:
    ranking = reranker.rank(request("sun", "rain", "snow"), Clock.start())
    assert [result.index for result in ranking.results] == [1, 2, 0]
    assert [result.score for result in ranking.results] == pytest.approx([0.9, 0.6, 0.2])


def test_the_request_is_the_operations_own(reranker: Reranker, aws: Aws) -> None:
    reranker.rank(request("sun"), Clock.start())
    (path, body), *_ = aws.asked
    assert path == "/rerank"
    configuration = body["rerankingConfiguration"]["bedrockRerankingConfiguration"]
    expected = "arn:aws:bedrock:eu-central-1::foundation-model/amazon.rerank-v1:0"
    assert configuration["modelConfiguration"]["modelArn"] == expected
    assert body["queries"] == [{"type": "TEXT", "textQuery": {"text": "what falls"}}]


def test_thresholds_and_top_n_hold(reranker: Reranker) -> None:
    ranking = reranker.rank(request("sun", "rain", "snow", score_threshold=0.5, top_n=1), Clock.start())
    assert [result.index for result in ranking.results] == [1]


def test_equal_texts_are_sent_once_and_blank_ones_never(reranker: Reranker, aws: Aws) -> None:
    ranking = reranker.rank(request("rain", " ", "rain", "sun"), Clock.start())
    assert len(aws.asked[0][1]["sources"]) == 2
    assert [result.index for result in ranking.results] == [0, 2, 3, 1]


def test_only_blank_passages_cost_nothing(reranker: Reranker, aws: Aws) -> None:
    ranking = reranker.rank(request(" ", "\n"), Clock.start())
    assert (len(ranking.results), aws.asked, ranking.usage.usd) == (2, [], 0.0)


def test_the_price_is_in_the_usage(reranker: Reranker) -> None:
    texts = [f"rain {number}" for number in range(101)]
    assert reranker.rank(request(*texts), Clock.start()).usage.usd == pytest.approx(0.002)


def test_further_pages_are_asked_for(reranker: Reranker, aws: Aws) -> None:
    aws.answers = [
        {"results": [{"index": 1, "relevanceScore": 0.9}], "nextToken": "more"},
        {"results": [{"index": 0, "relevanceScore": 0.1}]},
    ]
    ranking = reranker.rank(request("sun", "rain"), Clock.start())
    assert [result.index for result in ranking.results] == [1, 0]
    assert aws.asked[1][1]["nextToken"] == "more"


def test_a_text_over_the_operations_limit_is_cut_and_counted(reranker: Reranker, aws: Aws) -> None:
    ranking = reranker.rank(request("rain" * 9_000, "sun"), Clock.start())
    assert len(aws.asked[0][1]["sources"][0]["inlineDocumentSource"]["textDocument"]["text"]) == 32_000
    assert ranking.usage.truncated == 1


def test_truncation_is_refused_where_it_is_unwanted(reranker: Reranker) -> None:
    with pytest.raises(UnprocessableRequest) as caught:
        reranker.rank(request("sun", "rain" * 9_000, truncation="error"), Clock.start())
    assert caught.value.field == "passages[1]"


@pytest.mark.parametrize("more", [{"highlighting": Highlighting()}, {"dry_run": True}])
def test_what_a_service_cannot_do_is_refused(reranker: Reranker, more: dict[str, Any]) -> None:
    with pytest.raises(UnprocessableRequest):
        reranker.rank(request("sun", **more), Clock.start())


def test_throttling_is_waited_out(reranker: Reranker, aws: Aws) -> None:
    aws.answers = [(429, "ThrottlingException")] * 4
    assert reranker.rank(request("rain"), Clock.start()).results[0].score == pytest.approx(0.9)
    assert len(aws.asked) == 5


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ((429, "ThrottlingException"), Overloaded),
        ((400, "ServiceQuotaExceededException"), Overloaded),
        ((403, "AccessDeniedException"), ModelError),
        ((400, "ValidationException"), ModelError),
        ({"results": [{"index": 7, "relevanceScore": 0.5}]}, ModelError),
    ],
)
def test_a_lasting_error_is_ours_and_quotes_nothing(
    reranker: Reranker, aws: Aws, answer: Any, expected: type[RerankError]
) -> None:
    aws.answers = [answer] * 5
    with pytest.raises(expected) as caught:
        reranker.rank(request("rain"), Clock.start())
    assert "caller" not in str(caught.value)
