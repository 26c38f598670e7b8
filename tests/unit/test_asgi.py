"""The HTTP application: routes and methods, prefixes, CORS, and more requests at once than there are turns."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from handler import asgi, runtime
from handler.asgi import MAX_IN_FLIGHT, normalise, respond
from handler.exchange import Call, Reply

BODY = json.dumps({"query": "Where is Paris?", "passages": ["In France.", "Cheese."]}).encode()


def call(path: str, key: str, method: str = "POST", **headers: str) -> Call:
    return Call(method, path, {"authorization": f"Bearer {key}", **headers}, BODY, "request-1")


@pytest.mark.parametrize(
    ("path", "expected"),
    [("/rank", "/rank"), ("", "/"), ("/", "/"), ("//rank/", "/rank"), ("/v1//rerank", "/v1/rerank")],
)
def test_slashes_are_counted_once(path: str, expected: str) -> None:
    assert normalise(path) == expected


@pytest.mark.parametrize(
    ("path", "expected"),
    [("/prod/rank", "/rank"), ("/prod", "/"), ("/production/rank", "/production/rank"), ("/rank", "/rank")],
)
def test_a_base_path_is_left_out(path: str, expected: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asgi, "SETTINGS", runtime.SETTINGS._replace(base_path="/prod"))
    assert normalise(path) == expected


def test_an_answer_says_what_it_took(key: str) -> None:
    headers = respond(call("/rank", key)).headers
    assert int(headers["x-compute-tokens"]) > 0
    assert {"x-total-time", "x-tokenization-time", "x-inference-time"} <= headers.keys()


@pytest.mark.parametrize("path", ["/health", "/ping", "/v1/health/ready", "/v1/models", "/info", "/nvidia/v1/models"])
def test_pages_need_no_key(path: str) -> None:
    assert respond(Call("GET", path, {}, b"", "request-1")).status == 200


@pytest.mark.parametrize(
    ("path", "method", "status"),
    [("/nothing", "POST", 404), ("/rank", "GET", 405), ("/rank", "PUT", 405), ("/health", "POST", 405)],
)
def test_what_does_not_exist_is_told_from_what_takes_another_method(
    path: str, method: str, status: int, key: str
) -> None:
    assert respond(call(path, key, method)).status == status


def test_a_bug_is_an_answer_and_not_the_end(key: str, monkeypatch: pytest.MonkeyPatch) -> None:
    class Panic(BaseException):
        """What pyo3 raises is no Exception."""

    def panic(*_: Any) -> Any:
        raise Panic

    monkeypatch.setattr(asgi, "rank", panic)
    reply = respond(call("/rank", key))
    assert reply.status == 500
    assert reply.headers["x-amzn-errortype"] == "InternalServerException"


@pytest.mark.parametrize(("origin", "allowed"), [("https://search.example", True), ("https://other.example", False)])
def test_only_known_origins_may_read_an_answer(origin: str, allowed: bool, key: str) -> None:
    (start, _), *_ = [asyncio.run(exchanged("/rank", key, origin=origin))]
    names = {name.decode() for name, _ in start["headers"]}
    assert ("access-control-allow-origin" in names) is allowed


async def exchanged(path: str, key: str, **headers: str) -> list[Any]:
    """The two messages that the application answers a POST with, off Lambda."""
    sent: list[Any] = []
    given = [(b"authorization", f"Bearer {key}".encode()), *((n.encode(), v.encode()) for n, v in headers.items())]

    async def receive() -> Any:
        return {"type": "http.request", "body": BODY, "more_body": False}

    async def send(message: Any) -> None:
        sent.append(message)

    await asgi.app({"type": "http", "method": "POST", "path": path, "headers": given}, receive, send)
    return sent


@pytest.fixture
def busy(monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Event]:
    """An application that does not answer before the event is set."""
    free = threading.Event()

    def wait(_: Call) -> Reply:
        free.wait(10)
        return Reply(200, {})

    monkeypatch.setattr(asgi, "respond", wait)
    yield free
    free.set()


def test_past_a_short_line_a_request_is_told_to_come_again(busy: threading.Event, key: str) -> None:
    async def crowd() -> list[list[Any]]:
        waiting = [asyncio.create_task(exchanged("/rank", key)) for _ in range(MAX_IN_FLIGHT)]
        await asyncio.sleep(0)
        refused = await exchanged("/rank", key)
        busy.set()
        return [*await asyncio.gather(*waiting), refused]

    *answered, refused = asyncio.run(crowd())
    assert {start["status"] for start, _ in answered} == {200}
    assert refused[0]["status"] == 429
    assert (b"retry-after", b"1") in refused[0]["headers"]
    assert asyncio.run(exchanged("/rank", key))[0]["status"] == 200  # the line is short again
