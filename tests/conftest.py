"""The environment of a deployment, set before anything of the handler is imported."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parent.parent
KEY = "a key for the tests"

os.environ.setdefault("RERANK_MODEL_DIR", str(ROOT / "layer" / "nano"))
os.environ["RERANK_AUTH_MODE"] = "Key"
os.environ["RERANK_KEY_DIGESTS"] = f"{sha256(b'another key').hexdigest()}, {sha256(KEY.encode()).hexdigest()}"
os.environ["RERANK_CORS_ORIGINS"] = "https://search.example"


@pytest.fixture
def key() -> str:
    """A bearer key that the handler under test knows."""
    return KEY


@pytest.fixture
def context() -> Any:
    """What the handler reads of a Lambda context."""
    return SimpleNamespace(aws_request_id="request-1", get_remaining_time_in_millis=lambda: 29_000)


@pytest.fixture
def written(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Callable[[], str]:
    """Everything that the handler wrote, logs and metrics: the logger holds on to the stdout of its import."""
    from handler.observability import logger

    def write(text: str) -> None:
        sys.stdout.write(text)  # looked up at each call: pytest changes it between set-up and call

    current_stdout = SimpleNamespace(write=write, flush=lambda: None)
    monkeypatch.setattr(logger.registered_handler, "stream", current_stdout)
    return lambda: "".join(capsys.readouterr())
