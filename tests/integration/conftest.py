"""The built artefacts, and one execution environment around them that the tests of a module share."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from hashlib import sha256
from typing import Any

import pytest

from tests.integration.emulator import Emulator, binary
from tests.integration.events import http_event
from tests.integration.sandbox import BUILT, RUNTIME_PYTHON, Sandbox

KEY = "a key for the tests"
VARIABLES = {"RERANK_KEY_DIGESTS": sha256(KEY.encode()).hexdigest(), "RERANK_PRELOAD": "http"}


@pytest.fixture(scope="session")
def sandbox() -> Sandbox:
    """The layers and the function in Lambda's places, as near as this machine allows."""
    for needed in (BUILT / "function" / "handler", RUNTIME_PYTHON, binary()):
        assert needed.exists(), f"{needed} is missing: `make test` builds it"
    return Sandbox.of()


@pytest.fixture(scope="module")
def emulator(sandbox: Sandbox) -> Iterator[Emulator]:
    """A running function. Its first invocation has been made, so that its process is there."""
    with Emulator(sandbox, **VARIABLES) as running:
        assert running.invoke({"warmup": True}) is not None
        yield running


Call = Callable[..., tuple[int, Any]]


@pytest.fixture
def call(emulator: Emulator) -> Call:
    """Send an HTTP request with the key through one of the fronts; returns the status and the decoded body."""

    def send(body: object = None, key: str | None = KEY, **about: Any) -> tuple[int, Any]:
        headers = about.pop("headers", {}) | ({"authorization": f"Bearer {key}"} if key else {})
        data = body if body is None or isinstance(body, str | bytes) else json.dumps(body)
        answer = emulator.invoke(http_event(body=data, headers=headers, **about))
        assert isinstance(answer, dict), emulator.log()
        assert "statusCode" in answer, answer
        return answer["statusCode"], _decoded(answer)

    return send


def _decoded(answer: dict[str, Any]) -> Any:
    try:
        return json.loads(answer["body"])
    except ValueError:
        return answer["body"]
