"""What holds in every wire format: what the client reads, what may be left out, sent twice or misspelt."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from typing import Any

import pytest

from handler.dialects.registry import DIALECTS, SHARED_PATHS, detect
from tests.contract.conftest import Send
from tests.contract.least import least

QUERY = "What is the capital of France?"
TEXTS = ["Cheese.", "Paris is the capital of France.", "Berlin."]
BY_NAME = {dialect.name: dialect for dialect in DIALECTS}

every_dialect = pytest.mark.parametrize("dialect", DIALECTS, ids=lambda dialect: dialect.name)

LEAST = least(QUERY, TEXTS)


def rows(body: Any) -> list[dict[str, Any]]:
    """The results of an answer in any dialect."""
    if isinstance(body, list):
        return body
    named = next(body[name] for name in ("results", "data", "rankings", "rerank", "scores") if name in body)
    return [row if isinstance(row, dict) else {"score": row} for row in named]


def score(row: dict[str, Any]) -> Any:
    return next(row[name] for name in ("relevance_score", "relevanceScore", "score", "logit") if name in row)


def leaves(value: Any) -> Iterator[Any]:
    if isinstance(value, dict | list):
        for child in value.values() if isinstance(value, dict) else value:
            yield from leaves(child)
    else:
        yield value


@every_dialect
def test_every_document_comes_back_scored_by_a_double(dialect: Any, send: Send) -> None:
    answer = send(f"/{dialect.name}/rerank", LEAST[dialect.name])
    assert answer.status == 200
    found = rows(answer.body)
    assert len(found) == len(TEXTS)
    assert all(type(score(row)) is float for row in found)
    assert sorted(row.get("index", at) for at, row in enumerate(found)) == [0, 1, 2]
    assert None not in leaves(answer.body)


@every_dialect
def test_every_route_of_its_own_answers_its_example(dialect: Any, send: Send) -> None:
    for path in dialect.paths:
        assert send(path.replace("{model}", "vendor/some-model%3A0"), dialect.example).status == 200, path


@every_dialect
def test_null_is_absent_and_the_unknown_is_ignored(dialect: Any, send: Send) -> None:
    names = ("top_n", "top_k", "model", "return_documents", "rank_fields", "chunking", "max_tokens_per_doc", "truncate")
    body = {**LEAST[dialect.name], **dict.fromkeys(names), "kwargs": "{}", "topN": 1}
    with_nulls = send(f"/{dialect.name}/rerank", body)
    assert with_nulls.status == 200
    assert rows(with_nulls.body) == rows(send(f"/{dialect.name}/rerank", LEAST[dialect.name]).body)


@every_dialect
def test_a_limit_is_kept_and_clamped(dialect: Any, send: Send) -> None:
    name = dialect.names.get("top_n", "top_n")
    for limit, count in ((1, 1), (99, 3)):
        body = copy.deepcopy(LEAST[dialect.name])
        at = body
        for step in name.split(".")[:-1]:
            at = at.setdefault(step, {})
        at[name.split(".")[-1]] = limit
        assert len(rows(send(f"/{dialect.name}/rerank", body).body)) == count


RETURNED = {
    "native": ("return_passages", "text", "Cheese."),
    "cohere": ("return_documents", "document", {"text": "Cheese."}),
    "jina": ("return_documents", "document", {"text": "Cheese."}),
    "bedrock-runtime": ("return_documents", "document", {"text": "Cheese."}),
    "voyage": ("return_documents", "document", "Cheese."),
    "infinity": ("return_documents", "document", "Cheese."),
    "tei": ("return_text", "text", "Cheese."),
    "mixedbread": ("return_input", "input", "Cheese."),
    "elasticsearch": ("return_documents", "text", "Cheese."),
}


@pytest.mark.parametrize("name", RETURNED)
@pytest.mark.parametrize("yes", [True, "true", "True"])
def test_documents_come_back_where_asked_and_are_absent_otherwise(name: str, yes: Any, send: Send) -> None:
    ask, field, expected = RETURNED[name]
    asked = send(f"/{name}/rerank", {**LEAST[name], ask: yes})
    assert next(row[field] for row in rows(asked.body) if row["index"] == 0) == expected
    for no in ({}, {ask: False}, {ask: "false"}):
        assert all(field not in row for row in rows(send(f"/{name}/rerank", {**LEAST[name], **no}).body))


def test_object_documents_come_back_as_they_came_and_their_fields_are_ranked_in_order(send: Send) -> None:
    documents = [
        {"title": "Cheese", "body": "from milk", "year": 1990},
        {"title": "Paris", "body": "capital of France"},
    ]
    body = {"query": QUERY, "documents": documents, "rank_fields": ["title", "body"], "return_documents": True}
    answer = send("/v1/rerank", body)
    assert {row["index"]: row["document"] for row in answer.body["results"]} == dict(enumerate(documents))
    joined = send("/v1/rerank", {"query": QUERY, "documents": ["Cheese from milk", "Paris capital of France"]})
    assert [score(row) for row in rows(answer.body)] == [score(row) for row in rows(joined.body)]


def test_identifiers_of_documents_come_back_with_their_scores(send: Send) -> None:
    documents = [{"id": "a", "text": "Cheese."}, {"id": 7, "text": "Paris."}]
    answer = send("/v1/rerank", {"query": QUERY, "documents": documents})
    assert {row["index"]: row["id"] for row in answer.body["results"]} == {0: "a", 1: 7}


DETECTED: list[tuple[str, dict[str, str], dict[str, Any]]] = [
    ("pinecone", {"x-pinecone-api-version": "2025-04"}, {"documents": [], "query": ""}),
    ("tei", {}, {"texts": [], "documents": []}),
    ("huggingface", {}, {"inputs": []}),
    ("bedrock", {}, {"queries": [], "sources": []}),
    ("nvidia", {}, {"passages": [], "query": {"text": ""}}),
    ("native", {}, {"passages": [], "query": ""}),
    ("librechat", {}, {"candidates": []}),
    ("mixedbread", {}, {"input": [], "query": ""}),
    ("voyage", {}, {"documents": [], "top_k": None}),
    ("voyage", {}, {"documents": [], "truncation": True}),
    ("voyage", {}, {"documents": [], "model": "rerank-2.5-lite"}),
    ("cohere", {}, {"documents": [], "model": "rerank-v3.5"}),
    ("cohere", {}, {}),
]


@pytest.mark.parametrize(("name", "headers", "body"), DETECTED)
def test_the_body_tells_the_dialect(name: str, headers: dict[str, str], body: dict[str, Any]) -> None:
    assert detect(headers, body).name == name


@pytest.mark.parametrize("path", SHARED_PATHS)
@pytest.mark.parametrize("name", ["cohere", "voyage", "tei", "bedrock", "nvidia", "mixedbread"])
def test_every_shared_route_detects(path: str, name: str, send: Send) -> None:
    body = BY_NAME[name].example
    assert set(send(path, body).body if name != "tei" else ()) == set(
        send(f"/{name}/rerank", body).body if name != "tei" else ()
    )
    assert isinstance(send(path, body).body, list) is (name == "tei")


@pytest.mark.parametrize("path", ["//rerank", "/v1//rerank", "/v1/rerank/", "/cohere//v2/rerank//"])
def test_no_slash_too_many_matters_and_nothing_redirects(path: str, send: Send) -> None:
    assert send(path, LEAST["cohere"]).status == 200


@pytest.mark.parametrize("content_type", ["", "text/plain", "application/octet-stream"])
def test_the_body_is_read_whatever_its_type(content_type: str, key: str, send: Send) -> None:
    headers = {"authorization": f"Bearer {key}", "content-type": content_type}
    assert send("/rerank", json.dumps(LEAST["cohere"]).encode(), headers=headers).status == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"authorization": "Bearer {key}"},
        {"authorization": "bearer {key}"},
        {"authorization": "{key}"},
        {"api-key": "{key}"},
        {"Api-Key": "{key}"},
        {"x-api-key": "{key}"},
        {"x-amz-security-token": "{key}", "authorization": "AWS4-HMAC-SHA256 Credential=any/20260101, Signature=any"},
    ],
)
def test_the_key_is_taken_from_each_of_its_places(headers: dict[str, str], key: str, send: Send) -> None:
    given = {name: value.format(key=key) for name, value in headers.items()}
    assert send("/rerank", LEAST["cohere"], headers=given).status == 200
    wrong = {name: value.format(key="wrong") for name, value in headers.items()}
    assert send("/rerank", LEAST["cohere"], headers=wrong).status == 401


def test_pairs_are_scored_in_their_own_order(send: Send) -> None:
    scores = {row["index"]: row["relevance_score"] for row in send("/rerank", LEAST["cohere"]).body["results"]}
    in_order = [scores[index] for index in range(3)]
    assert [row["score"] for row in send("/rerank", LEAST["huggingface"]).body] == in_order
    assert [row["score"] for row in send("/v1/score", LEAST["vllm-score"]).body["data"]] == in_order
    assert send("/encoder/cross-encoder-scores", LEAST["onyx"]).body["scores"] == in_order


@pytest.mark.parametrize(
    ("left", "right"), [("text_1", "text_2"), ("queries", "documents"), ("queries", "items"), ("data_1", "data_2")]
)
def test_the_sides_of_a_pair_go_by_several_names(left: str, right: str, send: Send) -> None:
    assert len(send("/score", {left: [QUERY], right: TEXTS}).body["data"]) == 3
    assert len(send("/score", {left: QUERY, right: "Paris."}).body["data"]) == 1


def test_limits_of_vllm_that_are_zero_are_none(send: Send) -> None:
    body = {**LEAST["vllm"], "top_n": 0, "max_tokens_per_doc": 0}
    assert len(send("/vllm/rerank", body).body["results"]) == 3


def test_a_json_source_is_ranked_by_its_fields(send: Send) -> None:
    body = copy.deepcopy(LEAST["bedrock"])
    document = {"title": "Paris", "population": 2_100_000}
    body["sources"][0]["inlineDocumentSource"] = {"type": "JSON", "jsonDocument": document}
    body["rerankingConfiguration"] = {
        "bedrockRerankingConfiguration": {
            "modelConfiguration": {"additionalModelRequestFields": {"return_documents": True}}
        }
    }
    results = send("/rerank", body).body["results"]
    returned = next(row["document"] for row in results if row["index"] == 0)
    assert returned == {"type": "JSON", "jsonDocument": document}
