"""More passages than the time allows, in Lambda's own runtime: an answer arrives, and the process lives."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.integration.conftest import VARIABLES
from tests.integration.emulator import Emulator
from tests.integration.sandbox import Sandbox

QUERY = "how do I keep a sourdough starter alive"
ANSWER = "Feed the sourdough starter with flour and water once a week to keep it alive."
# Ten million tokens, for every chunk repeats a long question: half a minute of work for a fast core.
PASSAGES = [{"text": f"{number} {'x y z ' * 820}"} for number in range(1000)]
TOO_MUCH: dict[str, Any] = {
    "query": QUERY + " through the winter" * 80,
    "passages": [{"text": ANSWER}, *PASSAGES[1:]],
    "chunking": {"overlap_tokens": 128, "max_chunks_per_doc": 100},
}


@pytest.fixture(scope="module")
def hurried(sandbox: Sandbox) -> Iterator[Emulator]:
    """A function with a timeout of ten seconds, past which Lambda would end its process."""
    with Emulator(sandbox, **VARIABLES, AWS_LAMBDA_FUNCTION_TIMEOUT="10") as running:
        # On a busy machine the first start may itself run into the timeout.
        assert any(running.invoke({"warmup": True}) == {"warm": True} for _ in range(5)), running.log()
        yield running


def test_before_lambda_s_own_timeout_every_passage_comes_back(hurried: Emulator) -> None:
    before = hurried.pids()
    answer = hurried.invoke(TOO_MUCH)
    assert answer["meta"]["partial"] is True, hurried.log()
    assert sorted(result["index"] for result in answer["results"]) == list(range(1000))
    scored = [result for result in answer["results"] if result.get("scored", True)]
    assert 0 < len(scored) == 1000 - answer["meta"]["unscored"]
    assert answer["results"][0]["index"] == 0
    assert answer["timings_ms"]["total"] < 10_000
    assert hurried.pids() == before
    assert "meta" not in hurried.invoke({"query": QUERY, "passages": [ANSWER]})


def test_the_caller_s_own_deadline_is_kept(emulator: Emulator) -> None:
    answer = emulator.invoke(TOO_MUCH | {"deadline_ms": 300})
    assert answer["meta"]["partial"] is True
    assert len(answer["results"]) == 1000


def test_all_scores_or_none_fails_by_name(hurried: Emulator) -> None:
    before = hurried.pids()
    assert hurried.invoke(TOO_MUCH | {"on_deadline": "error"})["errorType"] == "DeadlineExceeded", hurried.log()
    assert hurried.pids() == before
