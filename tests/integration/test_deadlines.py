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
# About a million tokens: seconds of work for the fastest core.
PASSAGES = [{"text": f"{number} {'the stadium was sold out ' * 190}"} for number in range(1000)]
TOO_MUCH: dict[str, Any] = {"query": QUERY, "passages": [{"text": ANSWER}, *PASSAGES[1:]]}


@pytest.fixture(scope="module")
def hurried(sandbox: Sandbox) -> Iterator[Emulator]:
    """A function with a timeout of three seconds, past which Lambda would end its process."""
    with Emulator(sandbox, **VARIABLES, AWS_LAMBDA_FUNCTION_TIMEOUT="3") as running:
        assert running.invoke({"warmup": True}) is not None
        yield running


def test_before_lambda_s_own_timeout_every_passage_comes_back(hurried: Emulator) -> None:
    before = hurried.pids()
    answer = hurried.invoke(TOO_MUCH)
    assert answer["meta"]["partial"] is True, hurried.log()
    assert sorted(result["index"] for result in answer["results"]) == list(range(1000))
    scored = [result for result in answer["results"] if result.get("scored", True)]
    assert 0 < len(scored) == 1000 - answer["meta"]["unscored"]
    assert answer["results"][0]["index"] == 0
    assert answer["timings_ms"]["total"] < 3000
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
