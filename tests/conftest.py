"""The environment of a deployment, set before anything of the handler is imported."""

from __future__ import annotations

import os
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
