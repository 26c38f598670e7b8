"""Every row of the limits, over direct invoke and over HTTP: the field is named, the text never, the process lives."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from time import perf_counter
from typing import Any

import pytest

from handler import contract, errors
from handler.app import lambda_handler
from tests.unit.test_app import HTTP_V2, REQUEST, with_body

SECRET = "secretly"
QUERY, PASSAGES = f"a {SECRET} query", [f"a {SECRET} passage", "another"]
GOOD: dict[str, Any] = {"query": QUERY, "passages": PASSAGES}


def nested(depth: int) -> Any:
    value: Any = SECRET
    for _ in range(depth):
        value = [value]
    return value


# What is wrong: the request's fields, and how the message begins. Each raises InvalidRequest and is a 400 over HTTP.
BAD_FIELDS: dict[str, tuple[dict[str, Any], str]] = {
    "missing query": ({"passages": PASSAGES}, "query is required"),
    "null query": ({**GOOD, "query": None}, "query is required"),
    "empty query": ({**GOOD, "query": ""}, "query must be a string of 1 to"),
    "blank query": ({**GOOD, "query": " \n\t"}, "query must be a string of 1 to"),
    "query of the wrong type": ({**GOOD, "query": [SECRET]}, "query must be a string"),
    "missing passages": ({"query": QUERY}, "passages is required"),
    "no passages": ({**GOOD, "passages": []}, "passages must be a list of 1 to 1,000"),
    "too many passages": ({**GOOD, "passages": ["a"] * 1001}, "passages must be a list of 1 to 1,000"),
    "passages of the wrong type": ({**GOOD, "passages": SECRET}, "passages must be a list"),
    "a passage that is a number": ({**GOOD, "passages": ["a", 3]}, "passages[1] must be a string"),
    "a passage that is null": ({**GOOD, "passages": [None]}, "passages[0] must be a string"),
    "a passage that is true": ({**GOOD, "passages": [True]}, "passages[0] must be a string"),
    "a passage without text": ({**GOOD, "passages": [{"id": SECRET}]}, "passages[0].text is required"),
    "a passage whose text is a number": ({**GOOD, "passages": [{"text": 1}]}, "passages[0].text must be a string"),
    "a passage whose id is a list": ({**GOOD, "passages": [{"text": "", "id": []}]}, "passages[0].id must be"),
    "a passage over the limit": ({**GOOD, "passages": ["a" * 100_001]}, "passages[0] must be a string of at most"),
    "text over the limit": (
        {**GOOD, "passages": [{"text": "a" * 100_001}]},
        "passages[0].text must be a string of at most 100,000",
    ),
    "a request over the limit": ({**GOOD, "passages": ["a" * 100_000] * 50 + ["b"]}, "passages must hold at most"),
    "top_n 0": ({**GOOD, "top_n": 0}, "top_n must be an integer of at least 1"),
    "top_n negative": ({**GOOD, "top_n": -1}, "top_n must be"),
    "top_n true": ({**GOOD, "top_n": True}, "top_n must be"),
    "top_n 1.5": ({**GOOD, "top_n": 1.5}, "top_n must be"),
    "top_n as text": ({**GOOD, "top_n": "1"}, "top_n must be"),
    "top_k 0": ({**GOOD, "top_k": 0}, "top_k must be"),
    "raw_scores as a number": ({**GOOD, "raw_scores": 1}, "raw_scores must be true or false"),
    "score_threshold true": ({**GOOD, "score_threshold": True}, "score_threshold must be a number"),
    "a lone surrogate in the query": ({**GOOD, "query": "a \ud800"}, "query holds a lone surrogate"),
    "a lone surrogate in a passage": ({**GOOD, "passages": ["\udfff"]}, "passages[0] holds a lone surrogate"),
    "a lone surrogate in an id": (
        {**GOOD, "passages": [{"text": "a", "id": "\ud800"}]},
        "passages[0].id holds a lone surrogate",
    ),
    "a lone surrogate as a key": (
        {**GOOD, "passages": [{"text": "a", "meta": {"\ud800": 1}}]},
        "passages[0].meta holds a lone surrogate",
    ),
    "a lone surrogate in a field of the caller's own": ({**GOOD, SECRET: "\ud800"}, "* holds a lone surrogate"),
    "nesting of 33": ({**GOOD, "extra": nested(32)}, "*[0][0] is nested deeper than 32"),
}


def over_http(body: str | bytes, key: str, context: Any, **headers: str) -> tuple[int, dict[str, Any]]:
    event = with_body(HTTP_V2, body, key)
    event["headers"] |= headers
    answer = lambda_handler(event, context)
    return answer["statusCode"], json.loads(answer["body"])


@pytest.fixture(autouse=True)
def answers_the_next_request(key: str, context: Any, written: Callable[[], str]) -> Any:
    yield
    assert SECRET not in written()
    assert lambda_handler(REQUEST, context)["results"]
    assert over_http(json.dumps(REQUEST), key, context)[0] == 200


@pytest.mark.parametrize("name", BAD_FIELDS)
def test_a_direct_invoke_raises_invalid_request(name: str, context: Any) -> None:
    request, message = BAD_FIELDS[name]
    began = perf_counter()
    with pytest.raises(errors.InvalidRequest) as caught:
        lambda_handler(request, context)
    assert str(caught.value).startswith(message)
    assert SECRET not in str(caught.value)
    assert perf_counter() - began < 1


@pytest.mark.parametrize("name", BAD_FIELDS)
def test_http_answers_400(name: str, key: str, context: Any) -> None:
    request, message = BAD_FIELDS[name]
    status, body = over_http(json.dumps(request), key, context)
    assert status == 400
    assert body["message"].startswith(message)
    assert body["message"] == body["detail"] == body["error"]
    assert body["error_type"] == "Validation"
    assert SECRET not in json.dumps(body)


TEXT = json.dumps(GOOD)
BAD_BODIES: dict[str, tuple[str | bytes, int, str]] = {
    "no body": ("", 400, "body is not JSON"),
    "not JSON": (f"{{{SECRET}", 400, "body is not JSON"),
    "not an object": (f'["{SECRET}"]', 400, "the request must be a JSON object"),
    "null": ("null", 400, "the request must be a JSON object"),
    "NaN": (TEXT[:-1] + ', "score_threshold": NaN}', 400, "body holds a number that is not finite"),
    "-Infinity": (TEXT[:-1] + ', "score_threshold": -Infinity}', 400, "body holds a number that is not finite"),
    "1e999": (TEXT[:-1] + ', "score_threshold": 1e999}', 400, "score_threshold must be a finite number"),
    "an integer of 5,000 digits": (TEXT[:-1] + f', "top_n": {"9" * 5000}}}', 400, "body is not JSON"),
    "nesting of 10,000": (TEXT[:-1] + f', "a": {"[" * 10_000}{"]" * 10_000}}}', 400, ""),
    "not UTF-8": (b'{"query": "\xff\xfe"}', 400, "body is not JSON"),
    "over 6 MiB": (b" " * (contract.MAX_BODY_BYTES + 1), 413, "the body must hold at most 6,291,456 bytes"),
}


@pytest.mark.parametrize("name", BAD_BODIES)
def test_http_refuses_a_body_that_is_no_request(name: str, key: str, context: Any) -> None:
    body, status, message = BAD_BODIES[name]
    began = perf_counter()
    answered, answer = over_http(body, key, context)
    assert (answered, answer["message"][: len(message)]) == (status, message)
    assert SECRET not in json.dumps(answer)
    assert perf_counter() - began < 1


ZIPPED = gzip.compress(TEXT.encode())
ENCODED: dict[str, tuple[bytes, str, int]] = {
    "valid gzip": (ZIPPED, "gzip", 200),
    "identity": (TEXT.encode(), "identity", 200),
    "truncated gzip": (ZIPPED[:-9], "gzip", 400),
    "broken gzip": (b"\x1f\x8b" + ZIPPED[10:], "gzip", 400),
    "a gzip bomb": (gzip.compress(b" " * 50_000_000), "gzip", 413),
    "brotli": (TEXT.encode(), "br", 415),
}


@pytest.mark.parametrize("name", ENCODED)
def test_http_reads_gzip_within_bounds(name: str, key: str, context: Any) -> None:
    body, encoding, status = ENCODED[name]
    assert over_http(body, key, context, **{"content-encoding": encoding})[0] == status


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("POST", "/nowhere", 404),
        ("GET", "/nowhere", 404),
        ("GET", "/rank", 405),
        ("DELETE", "/rank", 405),
        ("POST", "/health", 405),
        ("GET", "/health", 200),
        ("POST", "//rank/", 200),
    ],
)
def test_http_routes(method: str, path: str, status: int, key: str, context: Any) -> None:
    event = with_body(HTTP_V2, TEXT, key) | {"rawPath": path}
    event["requestContext"] = {**HTTP_V2["requestContext"], "http": {**HTTP_V2["requestContext"]["http"]}}
    event["requestContext"]["http"] |= {"method": method, "path": path}
    assert lambda_handler(event, context)["statusCode"] == status


@pytest.mark.parametrize(
    "headers",
    [
        {"authorization": "Bearer {}"},
        {"authorization": "bearer {}"},
        {"authorization": "{}"},
        {"api-key": "{}"},
        {"x-api-key": "{}"},
        {"authorization": "Bearer some front's own", "x-api-key": "{}"},
    ],
)
def test_the_key_is_accepted_wherever_clients_put_it(headers: dict[str, str], key: str, context: Any) -> None:
    event = {**HTTP_V2, "body": TEXT, "headers": {name: value.format(key) for name, value in headers.items()}}
    assert lambda_handler(event, context)["statusCode"] == 200


@pytest.mark.parametrize("value", ["Bearer wrong", "wrong", "Bearer ", "Basic dTpw", "Bearer ключ"])
def test_a_wrong_key_is_refused(value: str, context: Any) -> None:
    event = {**HTTP_V2, "body": TEXT, "headers": {"authorization": value}}
    answer = lambda_handler(event, context)
    assert answer["statusCode"] == 401
    assert json.loads(answer["body"])["error_type"] == "Unauthorized"


@pytest.mark.parametrize(
    "extra",
    [
        {"top_n": 5_000},
        {"top_n": 2.0},
        {"unknown": {"a": [1, 2]}},
        {"top_n": None, "model": None, "score_threshold": None, "chunking": None},
        {"passages": ["NUL \x00 inside", "b"]},
        {"passages": ["", "b"]},
        {"extra": nested(31)},
    ],
    ids=[
        "top_n is clamped",
        "2.0 is an integer",
        "unknown fields",
        "nulls are absent",
        "NUL",
        "empty",
        "nesting of 32",
    ],
)
def test_what_looks_odd_and_is_allowed(extra: dict[str, Any], key: str, context: Any) -> None:
    assert len(lambda_handler({**GOOD, **extra}, context)["results"]) == 2
    assert over_http(json.dumps({**GOOD, **extra}), key, context)[0] == 200
