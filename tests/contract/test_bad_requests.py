"""What is wrong is said in the caller's own terms, in the body and the headers that its client reads."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from typing import Any

import pytest

from handler import runtime
from handler.asgi import respond
from handler.contract import MAX_BODY_BYTES
from handler.dialects.protocol import Dialect
from handler.dialects.registry import DIALECTS
from handler.exchange import Call
from tests.contract.conftest import Answer, Send
from tests.contract.test_dialects import LEAST, TEXTS

SECRET = "secretly"


def changed(name: str, path: str, value: Any) -> dict[str, Any]:
    """The least request of a dialect with one thing changed; ``path`` is dotted, numbers are places in a list."""
    body: Any = copy.deepcopy(LEAST[name])
    at, steps = body, [int(step) if step.isdigit() else step for step in path.split(".")]
    for step in steps[:-1]:
        at = at[step]
    at[steps[-1]] = value
    return body  # type: ignore[no-any-return]


# The dialect, what is changed into what, and how the message begins.
BAD: list[tuple[str, str, Any, str]] = [
    ("cohere", "query", " ", "query must be a string of 1 to"),
    ("cohere", "documents", [], "documents must be a list of 1 to 1,000"),
    ("cohere", "documents", ["a"] * 1001, "documents must be a list of 1 to 1,000"),
    ("cohere", "documents", SECRET, "documents must be a list"),
    ("cohere", "documents.1", "", "documents[1] must not be empty"),
    ("cohere", "documents.1", 5, "documents[1] must be a string of at most 100,000"),
    ("cohere", "documents.1", {"title": SECRET}, "documents[1].text is required"),
    ("cohere", "rank_fields", [], "rank_fields must be a list of at least one field name"),
    ("cohere", "rank_fields", [3], "rank_fields must be a list of at least one field name"),
    ("cohere", "top_n", 0, "top_n must be an integer of at least 1"),
    ("cohere", "top_n", SECRET, "top_n must be an integer of at least 1"),
    ("cohere", "max_tokens_per_doc", 0, "max_tokens_per_doc must be an integer of at least 1"),
    ("cohere", "return_documents", SECRET, "return_documents must be true or false"),
    ("voyage", "top_k", 0, "top_k must be an integer of at least 1"),
    ("voyage", "documents.0", "", "documents[0] must not be empty"),
    ("tei", "texts", [], "texts must be a list of 1 to 1,000"),
    ("tei", "texts.2", None, "texts[2] must be a string"),
    ("huggingface", "inputs.1.text", SECRET, "inputs[1].text must be the same query in every pair"),
    ("huggingface", "inputs.1", SECRET, "inputs[1] must be an object"),
    ("bedrock", "queries", [], "queries must hold exactly one query"),
    ("bedrock", "queries", SECRET, "queries must be a list"),
    ("bedrock", "queries.0.textQuery.text", "", "queries[0].textQuery.text must be a string of 1 to"),
    ("bedrock", "sources.1", {"type": "INLINE"}, "sources[1].text is required"),
    ("bedrock", "sources.1.inlineDocumentSource.textDocument.text", "", "sources[1] must not be empty"),
    ("bedrock-runtime", "documents.0", " ", "documents[0] must not be empty"),
    ("vllm", "documents", [], "documents must be a list"),
    ("vllm-score", "text_1", [SECRET, SECRET], "text_1 must be one text"),
    ("vllm-score", "text_2", [], "text_2 must be a list"),
    ("infinity", "documents", [], "documents must be a list"),
    ("nvidia", "query", SECRET, "query must be an object"),
    ("nvidia", "query", {}, "query.text is required"),
    ("mixedbread", "input", [], "input must be a list"),
    ("mixedbread", "top_k", -1, "top_k must be an integer of at least 1"),
    ("librechat", "candidates.0", {}, "candidates[0].text is required"),
    ("pinecone", "documents", [{"text": ""}], "documents[0] must not be empty"),
]


@pytest.mark.parametrize(("name", "path", "value", "message"), BAD)
def test_the_message_names_the_field_as_the_caller_does_and_never_its_value(
    name: str, path: str, value: Any, message: str, send: Send
) -> None:
    answer = send(f"/{name}/rerank", changed(name, path, value))
    assert answer.status == 400
    assert said(answer).startswith(message)
    assert SECRET not in str(answer)


def said(answer: Answer) -> str:
    error = answer.body["error"]
    return str(error["message"] if isinstance(error, dict) else error)


@pytest.mark.parametrize("name", ["jina", "tei", "vllm", "infinity", "llamacpp", "mixedbread", "native"])
def test_an_empty_document_is_scored_where_the_vendor_scores_it(name: str, send: Send) -> None:
    field = next(field for field in ("documents", "texts", "input", "passages") if field in LEAST[name])
    assert send(f"/{name}/rerank", changed(name, f"{field}.0", "")).status == 200


def test_one_body_serves_every_client_that_reads_a_flat_one(send: Send) -> None:
    body = send("/rerank", {"query": "", "documents": TEXTS}).body
    assert body["message"] == body["detail"] == body["error"]  # Cohere, Jina and Voyage, text-embeddings-inference
    assert body["error_type"] == "Validation"


@pytest.mark.parametrize("name", ["vllm", "infinity", "llamacpp", "vllm-score"])
def test_the_dialects_of_openai_have_an_error_object(name: str, send: Send) -> None:
    error = send(f"/{name}/rerank", {**LEAST[name], "top_n": "many"}).body["error"]
    assert error == {"message": error["message"], "type": "Validation", "param": "top_n", "code": 400}


@pytest.mark.parametrize(
    ("status", "name", "request_"),
    [
        (400, "ValidationException", {"path": "/rerank", "body": {}}),
        (400, "ValidationException", {"path": "/rerank", "body": b"not JSON"}),
        (401, "AccessDeniedException", {"path": "/rerank", "body": LEAST["bedrock"], "key": "wrong"}),
        (401, "AccessDeniedException", {"path": "/rerank", "body": LEAST["bedrock"], "key": None}),
        (404, "ResourceNotFoundException", {"path": "/nothing", "body": {}}),
        (405, "ValidationException", {"path": "/rerank", "method": "GET"}),
        (405, "ValidationException", {"path": "/health", "body": {}}),
        (413, "ValidationException", {"path": "/rerank", "body": b" " * (MAX_BODY_BYTES + 1)}),
    ],
)
def test_every_error_names_the_exception_that_boto3_raises(
    status: int, name: str, request_: dict[str, Any], send: Send
) -> None:
    answer = send(**request_)
    assert (answer.status, answer.headers["x-amzn-errortype"]) == (status, name)
    assert answer.body["message"]


@pytest.mark.parametrize(("path", "allowed"), [("/rerank", "POST, OPTIONS"), ("/health", "GET, HEAD, OPTIONS")])
def test_a_wrong_method_is_told_the_right_ones(path: str, allowed: str, send: Send) -> None:
    assert send(path, method="DELETE").headers["allow"] == allowed


@pytest.fixture
def strict(monkeypatch: pytest.MonkeyPatch) -> None:
    """A deployment with ``RERANK_MODEL_STRICT``."""
    monkeypatch.setattr(runtime, "SETTINGS", runtime.SETTINGS._replace(strict_models=True))


@pytest.mark.parametrize("name", ["cohere", "voyage", "vllm", "mixedbread", "native"])
def test_an_unknown_model_is_the_served_one(name: str, send: Send) -> None:
    assert send(f"/{name}/rerank", {**LEAST[name], "model": "no-such-model"}).status == 200


@pytest.mark.usefixtures("strict")
@pytest.mark.parametrize("name", ["cohere", "voyage", "vllm", "mixedbread", "native"])
def test_an_unknown_model_is_refused_where_names_are_strict(name: str, send: Send) -> None:
    answer = send(f"/{name}/rerank", {**LEAST[name], "model": SECRET})
    assert answer.status == 404
    assert said(answer).startswith("model is not served here")
    assert SECRET not in str(answer)
    assert answer.headers["x-amzn-errortype"] == "ResourceNotFoundException"


@pytest.mark.usefixtures("strict")
@pytest.mark.parametrize(
    "model",
    [
        None,
        "",
        "rerank-v3.5",
        "jina-reranker-v2-base-multilingual",
        "mixedbread-ai/mxbai-rerank-large-v2",
        "BAAI/bge-reranker-base",
        "arn:aws:bedrock:us-east-1::foundation-model/cohere.rerank-v3-5:0",
        "default/not-specified",
    ],
)
def test_the_names_that_clients_have_built_in_are_served(model: str | None, send: Send) -> None:
    assert send("/rerank", {**LEAST["cohere"], "model": model}).status == 200


@pytest.mark.usefixtures("strict")
def test_every_name_that_is_listed_is_served(send: Send) -> None:
    for model in send("/v1/models", method="GET").body["data"]:
        assert send("/rerank", {**LEAST["cohere"], "model": model["id"]}).status == 200


JUNK: list[Any] = [None, True, 0, -1, 1.5, 10**400, "", "x", [], {}, [[]], [None], [{}], {"text": []}, "\ud800"]


def mutations(value: Any) -> Iterator[Any]:
    """``value`` with each thing in it, and the whole of it, replaced by each piece of junk."""
    yield from JUNK
    for key, child in value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ():
        for junk in mutations(child):
            if isinstance(value, dict):
                yield {**value, key: junk}
            else:
                yield [*value[:key], junk, *value[key + 1 :]]


@pytest.mark.parametrize("dialect", DIALECTS, ids=lambda dialect: dialect.name)
def test_junk_in_any_place_is_the_callers_fault_and_never_ours(dialect: Dialect, key: str) -> None:
    headers = {"authorization": f"Bearer {key}"}
    options = {"top_n": 1, "top_k": 1, "chunking": {"overlap_tokens": 8}, "relevant_spans": {"max_spans": 1}}
    for body in mutations({**dialect.example, **options}):
        call = Call("POST", f"/{dialect.name}/rerank", headers, json.dumps(body).encode(), "request-1")
        assert respond(call).status in {200, 400}, body
