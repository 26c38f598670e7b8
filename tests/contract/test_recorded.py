"""What each real client sent, word for word (`make record-clients`), is answered as it reads it.

The clients themselves are held against a server by `make test-clients`; here is what the quick suite keeps of that.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.contract.conftest import Send
from tests.contract.test_dialects import rows, score

RECORDED: list[dict[str, Any]] = [
    request
    for path in sorted(Path(__file__).parent.glob("recorded-*.json"))
    for request in json.loads(path.read_text())
]
RECORDED_KEY = "a key"

# The fields without which a client breaks, by the beginning of its name.
NEEDED = {
    "@ai-sdk/cohere": {"results", "meta"},
    "langchain Infinity": {"results", "model", "usage"},
    "haystack Jina": {"results", "model", "usage"},
    "voyageai": {"data", "usage"},
    "LiteLLM voyage/": {"data"},
    "pinecone": {"model", "data", "usage"},
    "mixedbread": {"model", "data", "usage", "top_k", "return_input"},
}


@pytest.mark.parametrize("request_", RECORDED, ids=lambda request: request["client"])
def test_it_is_answered_in_its_dialect(request_: dict[str, Any], key: str, send: Send) -> None:
    headers = {name: value.replace(RECORDED_KEY, key) for name, value in request_["headers"].items()}
    answer = send(request_["path"], request_["body"], headers=headers)
    assert answer.status == 200
    found = rows(answer.body)
    # The TEI clients and langchain's Infinity send no limit: they cut the list themselves.
    limited = any(name in json.dumps(request_["body"]) for name in ("top_n", "top_k", "numberOfResults"))
    assert len(found) == (2 if limited else 3)
    assert [type(score(row)) for row in found] == [float] * len(found)
    for name, fields in NEEDED.items():
        if request_["client"].startswith(name):
            assert fields <= set(answer.body)


@pytest.mark.parametrize("request_", RECORDED, ids=lambda request: request["client"])
def test_a_wrong_key_is_refused_wherever_it_stands(request_: dict[str, Any], send: Send) -> None:
    assert send(request_["path"], request_["body"], headers=request_["headers"]).status == 401
