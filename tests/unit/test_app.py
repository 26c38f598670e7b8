"""The Lambda entry point: which event goes where, and what comes back."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from typing import Any

import pytest

from handler import errors
from handler.app import is_http, lambda_handler

REQUEST = {"query": "What is the capital of France?", "passages": ["Paris is the capital of France.", "Cheese."]}

HTTP_V2: dict[str, Any] = {
    "version": "2.0",
    "routeKey": "$default",
    "rawPath": "/rank",
    "rawQueryString": "",
    "headers": {"content-type": "application/json"},
    "requestContext": {
        "http": {"method": "POST", "path": "/rank", "protocol": "HTTP/1.1", "sourceIp": "192.0.2.1", "userAgent": "t"},
        "stage": "$default",
    },
    "isBase64Encoded": False,
}
REST_V1: dict[str, Any] = {
    "resource": "/{proxy+}",
    "path": "/rank",
    "httpMethod": "POST",
    "headers": {"Content-Type": "application/json"},
    "multiValueHeaders": {"Content-Type": ["application/json"]},
    "queryStringParameters": None,
    "multiValueQueryStringParameters": None,
    "requestContext": {"resourcePath": "/{proxy+}", "httpMethod": "POST", "path": "/prod/rank", "identity": {}},
    "isBase64Encoded": False,
}
ALB = {
    "requestContext": {"elb": {"targetGroupArn": "arn:aws:elasticloadbalancing:eu-west-1:1:targetgroup/t/1"}},
    "httpMethod": "POST",
    "path": "/rank",
    "queryStringParameters": {},
    "headers": {"content-type": "application/json", "host": "lb.example"},
    "isBase64Encoded": False,
}
FRONTS: dict[str, dict[str, Any]] = {"HTTP API and Function URL": HTTP_V2, "REST API": REST_V1, "load balancer": ALB}


def with_body(event: dict[str, Any], body: str | bytes, key: str) -> dict[str, Any]:
    """``event`` carrying ``body`` and the bearer key; bytes go as base64, as the gateways send them."""
    headers = {**event["headers"], "authorization": f"Bearer {key}"}
    multi = {"multiValueHeaders": {name: [value] for name, value in headers.items()}}
    text = base64.b64encode(body).decode() if isinstance(body, bytes) else body
    return {
        **event,
        **(multi if "multiValueHeaders" in event else {}),
        "headers": headers,
        "body": text,
        "isBase64Encoded": isinstance(body, bytes),
    }


def test_a_direct_invoke_returns_the_ranking(context: Any) -> None:
    answer = lambda_handler(REQUEST, context)
    assert [result["index"] for result in answer["results"]] == [0, 1]
    assert all(isinstance(result["score"], float) and 0 <= result["score"] <= 1 for result in answer["results"])
    assert answer["usage"]["passages"] == 2


@pytest.mark.parametrize("front", FRONTS)
@pytest.mark.parametrize("encode", [str, str.encode], ids=["text", "base64"])
def test_every_http_front_gives_the_ranking_of_a_direct_invoke(front: str, encode: Any, key: str, context: Any) -> None:
    answer = lambda_handler(with_body(FRONTS[front], encode(json.dumps(REQUEST)), key), context)
    assert answer["statusCode"] == 200
    assert json.loads(answer["body"])["results"] == lambda_handler(REQUEST, context)["results"]


@pytest.mark.parametrize("front", FRONTS)
def test_a_request_without_a_key_is_refused_at_every_front(front: str, context: Any) -> None:
    answer = lambda_handler({**FRONTS[front], "body": json.dumps(REQUEST)}, context)
    assert answer["statusCode"] == 401
    assert json.loads(answer["body"])["message"] == "no API key supplied"


@pytest.mark.parametrize(
    "event",
    [
        pytest.param({**REQUEST, "requestContext": "of my own"}, id="requestContext is text"),
        pytest.param({**REQUEST, "requestContext": {}, "version": "2.0"}, id="no method"),
        pytest.param({**REQUEST, "httpMethod": "POST", "path": "/rank"}, id="no requestContext"),
        pytest.param({**REQUEST, "rawPath": "/rank", "version": "2.0"}, id="half a payload 2.0"),
        pytest.param({**REQUEST, "requestContext": {}, "httpMethod": "POST", "path": "/"}, id="no resource, no elb"),
    ],
)
def test_a_direct_payload_that_resembles_http_is_still_direct(event: dict[str, Any], context: Any) -> None:
    assert not is_http(event)
    assert lambda_handler(event, context)["results"]


@pytest.mark.parametrize("event", [{"source": "aws.events", "detail-type": "Scheduled Event"}, {"warmup": True}])
def test_a_scheduled_event_is_recognised(event: dict[str, Any], context: Any) -> None:
    assert lambda_handler(event, context) == {"warm": True}


@pytest.mark.parametrize("event", [None, [], "text", 3, {}, {"query": "q"}])
def test_what_is_no_request_raises_a_named_exception(event: Any, context: Any) -> None:
    with pytest.raises(errors.InvalidRequest):
        lambda_handler(event, context)


@pytest.mark.parametrize(
    "broken",
    [
        {**HTTP_V2, "headers": {"host": "a:b:c"}},
        {**HTTP_V2, "headers": {"x-forwarded-port": "abc"}},
        {**HTTP_V2, "headers": None},
        {**HTTP_V2, "body": "%%%", "isBase64Encoded": True},
        {**HTTP_V2, "body": {"not": "text"}},
        {**REST_V1, "headers": None, "multiValueHeaders": None},
    ],
)
def test_a_malformed_http_event_is_answered_with_a_client_error(broken: dict[str, Any], context: Any) -> None:
    assert 400 <= lambda_handler(broken, context)["statusCode"] < 500


def test_an_unforeseen_error_leaves_no_text_behind(
    context: Any, monkeypatch: pytest.MonkeyPatch, written: Callable[[], str]
) -> None:
    def explode(*_: object) -> None:
        raise RuntimeError("the secret passage")

    monkeypatch.setattr("handler.ranker.Ranker.rank", explode)
    with pytest.raises(errors.InternalError, match="request-1") as caught:
        lambda_handler(REQUEST, context)
    assert caught.value.__cause__ is None
    text = written()
    assert "secret" not in text + str(caught.value)
    assert "RuntimeError" in text


def test_a_panic_inside_the_tokenizer_does_not_end_the_process(
    context: Any, key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Panic(BaseException): ...

    def explode(*_: object) -> None:
        raise Panic

    monkeypatch.setattr("handler.ranker.Ranker.rank", explode)
    with pytest.raises(errors.InternalError):
        lambda_handler(REQUEST, context)
    assert lambda_handler(with_body(HTTP_V2, json.dumps(REQUEST), key), context)["statusCode"] == 500
