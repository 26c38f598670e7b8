"""Requests through the ASGI application, as a server would hand them over."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any, NamedTuple

import pytest

from tests.conftest import KEY


class Answer(NamedTuple):
    """A response; ``body`` is decoded JSON, ``headers`` have lower-case names."""

    status: int
    headers: dict[str, str]
    body: Any


Send = Callable[..., Answer]


def send(
    path: str, body: object = None, method: str = "POST", headers: dict[str, str] | None = None, key: str | None = KEY
) -> Answer:
    """Send JSON, or bytes as they are, with the bearer key unless other headers or no key are given."""
    from handler.asgi import app

    given = {"authorization": f"Bearer {key}"} if key is not None and headers is None else headers or {}
    scope = {
        "type": "http",
        "method": method,
        "path": path,
        "headers": [(name.lower().encode(), value.encode()) for name, value in given.items()],
    }
    raw = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
    sent: list[Any] = []

    async def receive() -> Any:
        return {"type": "http.request", "body": raw, "more_body": False}

    async def collect(message: Any) -> None:
        sent.append(message)

    asyncio.run(app(scope, receive, collect))
    replied = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
    content = sent[1]["body"]
    decoded = json.loads(content) if content and "json" in replied["content-type"] else content
    return Answer(sent[0]["status"], replied, decoded)


@pytest.fixture(name="send")
def send_fixture() -> Send:
    """See ``send``."""
    return send
