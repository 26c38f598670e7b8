"""One request through every way in, over the built artefacts in Lambda's own runtime."""

from __future__ import annotations

import gzip
import json
from typing import Any

import pytest

from tests.integration.conftest import KEY, Call
from tests.integration.emulator import Emulator
from tests.integration.events import FRONTS, http_event
from tests.integration.sandbox import Sandbox

REQUEST: dict[str, Any] = {
    "query": "how do I keep a sourdough starter alive",
    "passages": [
        {"id": "sports", "text": "The stadium was sold out an hour after the tickets went on sale."},
        {"id": "bread", "text": "Feed the sourdough starter with flour and water once a week to keep it alive."},
    ],
    "return_passages": True,
}


def in_order(body: dict[str, Any]) -> list[str]:
    return [result["id"] for result in body["results"]]


def test_a_direct_invoke_gets_the_ranking_itself(emulator: Emulator) -> None:
    answer = emulator.invoke(REQUEST)
    assert in_order(answer) == ["bread", "sports"]
    assert answer["results"][0]["text"] == REQUEST["passages"][1]["text"]
    assert answer["usage"]["passages"] == 2
    assert all(0 < result["score"] < 1 for result in answer["results"])


@pytest.mark.parametrize("front", FRONTS)
def test_every_front_gets_the_ranking_with_a_status(front: str, call: Call) -> None:
    status, body = call(REQUEST, front=front)
    assert status == 200, body
    assert in_order(body) == ["bread", "sports"]


@pytest.mark.parametrize("front", FRONTS)
def test_every_front_scores_as_a_direct_invoke_does(front: str, call: Call, emulator: Emulator) -> None:
    _, body = call(REQUEST, front=front)
    assert body["results"] == emulator.invoke(REQUEST)["results"]


@pytest.mark.parametrize("front", FRONTS)
def test_no_front_lets_a_stranger_in(front: str, call: Call) -> None:
    assert call(REQUEST, key=None, front=front)[0] == 401
    assert call(REQUEST, key="another key", front=front)[0] == 401


@pytest.mark.parametrize("front", FRONTS)
def test_health_is_there_without_a_key(front: str, call: Call) -> None:
    assert call(key=None, front=front, method="GET", path="/health")[0] == 200


@pytest.mark.parametrize("front", FRONTS)
def test_bodies_arrive_in_base64_and_in_gzip(front: str, call: Call) -> None:
    data = json.dumps(REQUEST).encode()
    assert in_order(call(data, front=front)[1]) == ["bread", "sports"]
    zipped = {"content-encoding": "gzip"}
    assert in_order(call(gzip.compress(data), front=front, headers=zipped)[1]) == ["bread", "sports"]


def test_wrong_ways_and_methods_are_told(call: Call) -> None:
    assert call(REQUEST, path="/nowhere")[0] == 404
    assert call(method="DELETE", path="/rank")[0] == 405


def test_a_request_of_another_dialect_is_answered_in_it(call: Call) -> None:
    documents = [passage["text"] for passage in REQUEST["passages"]]
    status, body = call({"query": REQUEST["query"], "documents": documents, "model": "any"}, path="/v2/rerank")
    assert status == 200, body
    assert [result["index"] for result in body["results"]] == [1, 0]
    assert all("relevance_score" in result for result in body["results"])


def test_text_beyond_ascii_comes_back_as_it_went_in(emulator: Emulator, call: Call) -> None:
    passage = {"id": "naïve – 日本語 🍞", "text": "Brot 🍞 – 日本語", "meta": {"ключ": "значение"}}
    request = {"query": "パン", "passages": [passage], "return_passages": True}
    for body in (emulator.invoke(request), call(request)[1]):
        (result,) = body["results"]
        assert {name: result[name] for name in ("id", "text", "meta")} == passage


def test_an_event_that_only_warms_costs_nothing(emulator: Emulator) -> None:
    scheduled = {
        "version": "0",
        "source": "aws.events",
        "detail-type": "Scheduled Event",
        "detail": {},
        "resources": [],
    }
    before = emulator.log().count("CloudWatchMetrics")
    assert emulator.invoke(scheduled) == emulator.invoke({"warmup": True}) == {"warm": True}
    assert emulator.log().count("CloudWatchMetrics") == before


def test_a_state_machine_gets_an_error_by_its_name(emulator: Emulator) -> None:
    answer = emulator.invoke({"query": "q", "passages": []})
    assert answer["errorType"] == "InvalidRequest"
    assert "passages" in answer["errorMessage"]


def test_nobody_is_asked_for_a_key_where_the_front_decides(sandbox: Sandbox) -> None:
    with Emulator(sandbox, RERANK_AUTH_MODE="Front") as running:
        assert running.invoke(http_event(body=json.dumps(REQUEST)))["statusCode"] == 200


def test_what_callers_sent_is_never_written_even_when_events_are_to_be_logged(sandbox: Sandbox) -> None:
    loud = {"POWERTOOLS_LOG_LEVEL": "DEBUG", "POWERTOOLS_LOGGER_LOG_EVENT": "true", "POWERTOOLS_DEV": "true"}
    secret = "xylophone"
    request = {"query": f"a {secret}", "passages": [f"the {secret} itself", "another"], "return_passages": True}
    broken = {**request, "top_n": secret}
    with Emulator(sandbox, RERANK_KEY_DIGESTS="0" * 64, **loud) as running:
        assert running.invoke(request)["results"]
        assert running.invoke(broken)["errorType"] == "InvalidRequest"
        for body in (json.dumps(request), json.dumps(broken), f"{{{secret}"):
            headers = {"authorization": f"Bearer {KEY}", "x-title": secret}
            assert running.invoke(http_event(body=body, headers=headers))["statusCode"] == 401
        log = running.log()
    assert "ranked" in log
    assert secret not in log
    assert KEY not in log
