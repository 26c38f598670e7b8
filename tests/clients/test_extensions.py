"""What only newer clients ask for."""

from __future__ import annotations

import cohere
import pytest


@pytest.mark.skipif(int(cohere.__version__.split(".")[0]) < 7, reason="relevant_spans came with cohere 7")
def test_cohere_gets_the_spans_that_carry_a_score(url: str, key: str) -> None:
    document = "Cheese is made from milk. Paris is the capital of France. Rain fell all day."
    answer = cohere.ClientV2(key, base_url=url).rerank(
        model="rerank-v5",
        query="What is the capital of France?",
        documents=[document, "Berlin."],
        relevant_spans={"mode": "enabled", "threshold": 0.0, "max_spans": 1},
    )
    spans = next(result.relevant_spans for result in answer.results if result.index == 0)
    assert spans is not None
    assert document[spans[0].start : spans[0].end].strip() in document
    assert 0 <= spans[0].score <= 1
    assert spans[0].end - spans[0].start < len(document)
