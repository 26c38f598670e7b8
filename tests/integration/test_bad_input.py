"""The rows of bad input over Lambda's own runtime: the right answer, soon, and the process answers the next one."""

from __future__ import annotations

import json
from collections.abc import Iterator
from time import perf_counter
from typing import Any

import pytest

from tests.integration.conftest import Call
from tests.integration.emulator import Emulator
from tests.integration.events import FRONTS
from tests.integration.test_fronts import REQUEST
from tests.unit.test_bad_input import BAD_BODIES, BAD_FIELDS, SECRET

# The emulator, as Lambda does, refuses a payload over its own limit before the function sees it.
OVER_THE_WIRE = [name for name in BAD_BODIES if name != "over 6 MiB"]


@pytest.fixture(autouse=True)
def the_process_answers_the_next_request(emulator: Emulator) -> Iterator[None]:
    before = emulator.pids()
    yield
    assert emulator.invoke(REQUEST)["results"][0]["id"] == "bread"
    assert emulator.pids() == before


@pytest.mark.parametrize("name", BAD_FIELDS)
def test_a_direct_invoke_fails_by_name(name: str, emulator: Emulator) -> None:
    request, message = BAD_FIELDS[name]
    began = perf_counter()
    answer = emulator.invoke(request)
    assert answer["errorType"] == "InvalidRequest"
    assert answer["errorMessage"].startswith(message)
    assert SECRET not in json.dumps(answer)
    assert perf_counter() - began < 2


@pytest.mark.parametrize("name", BAD_FIELDS)
def test_http_is_answered_with_400(name: str, call: Call) -> None:
    request, message = BAD_FIELDS[name]
    status, body = call(request)
    assert (status, body["message"][: len(message)]) == (400, message)
    assert SECRET not in json.dumps(body)


@pytest.mark.parametrize("name", OVER_THE_WIRE)
def test_a_body_that_is_no_request_is_refused(name: str, call: Call) -> None:
    data, status, message = BAD_BODIES[name]
    answered, body = call(data)
    assert (answered, body["message"][: len(message)]) == (status, message)


@pytest.mark.parametrize("front", FRONTS)
def test_broken_base64_and_broken_gzip_are_400(front: str, emulator: Emulator, call: Call) -> None:
    status, _ = call(b"no gzip", front=front, headers={"content-encoding": "gzip"})
    assert status == 400


def test_more_results_than_passages_are_clamped(emulator: Emulator, call: Call) -> None:
    assert len(emulator.invoke({**REQUEST, "top_n": 99})["results"]) == 2
    assert len(call({**REQUEST, "top_n": 99})[1]["results"]) == 2


@pytest.mark.parametrize("event", [None, 3, "text", [], [REQUEST], {}, {"Records": []}, {"requestContext": {}}])
def test_an_event_that_nobody_sends_fails_by_name(event: Any, emulator: Emulator) -> None:
    assert emulator.invoke(event)["errorType"] == "InvalidRequest"


@pytest.mark.parametrize("payload", [b"", b"{", b'{"query": NaN}', b"\xff\xfe", b"[" * 10_000])
def test_a_payload_that_is_no_json_harms_nobody(payload: bytes, emulator: Emulator) -> None:
    answer = emulator.invoke(payload)
    assert "results" not in answer


def test_the_largest_payload_is_answered(emulator: Emulator) -> None:
    passages = ["word " * 950] * 1000  # 4.75 MB of text in 1,000 passages
    answer = emulator.invoke({"query": "word", "passages": passages, "top_n": 1, "deadline_ms": 2000})
    assert len(answer["results"]) == 1
