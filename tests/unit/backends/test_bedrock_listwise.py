"""RankGPT's sliding window through the real boto3 client, with a language model that answers well, badly, or not."""

from __future__ import annotations

import re
from time import perf_counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from handler.backends import Reranker, open_backend
from handler.backends.bedrock_listwise import repair, windows
from handler.contract import Passage, RankRequest
from handler.errors import DeadlineExceeded, Overloaded
from handler.model import Manifest
from handler.runtime import Clock
from tests.unit.backends.conftest import Aws

OPTIONS = {
    "model": "amazon.nova-lite-v1:0", "window": 4, "step": 2,
    "usd_per_1000_input_tokens": 0.06, "usd_per_1000_output_tokens": 0.24,
}  # fmt: skip


@pytest.fixture
def reranker(aws: Aws) -> Reranker:
    aws.answer = by_number
    return open_backend(Manifest("bedrock-listwise", "amazon.nova-lite-v1:0", "bedrock-listwise", options=OPTIONS))


def by_number(body: dict[str, Any]) -> dict[str, Any]:
    """A language model that knows: the larger the number in a passage, the more relevant it is."""
    shown = re.findall(r"\[(\d+)\] passage (\d+)", body["messages"][0]["content"][0]["text"])
    order = sorted(shown, key=lambda one: -int(one[1]))
    return says(" > ".join(f"[{number}]" for number, _ in order))


def says(text: str) -> dict[str, Any]:
    return {
        "output": {"message": {"role": "assistant", "content": [{"text": text}]}},
        "stopReason": "end_turn",
        "usage": {"inputTokens": 100, "outputTokens": 10, "totalTokens": 110},
        "metrics": {"latencyMs": 1},
    }


def request(*numbers: int, **more: Any) -> RankRequest:
    return RankRequest("which", tuple(Passage(f"passage {number}") for number in numbers), **more)


def order(reranker: Reranker, asked: RankRequest) -> list[int]:
    return [result.index for result in reranker.rank(asked, Clock.start()).results]


def test_the_best_moves_from_the_end_of_the_list_to_its_top(reranker: Reranker) -> None:
    assert order(reranker, request(3, 1, 2, 5, 4, 0, 7, 6))[:2] == [6, 7]


def test_one_window_orders_a_short_list_in_one_call(reranker: Reranker, aws: Aws) -> None:
    assert order(reranker, request(1, 3, 2)) == [1, 2, 0]
    assert len(aws.asked) == 1


def test_scores_fall_along_the_order_within_zero_and_one(reranker: Reranker) -> None:
    scores = [result.score for result in reranker.rank(request(1, 3, 2, 9, 8), Clock.start()).results]
    assert scores == sorted(scores, reverse=True)
    assert all(0 < score < 1 for score in scores)


def test_passages_are_shown_in_the_first_stages_order(reranker: Reranker, aws: Aws) -> None:
    passages = tuple(Passage(f"passage {n}", score=float(n)) for n in (1, 3, 2))
    reranker.rank(RankRequest("which", passages), Clock.start())
    shown = re.findall(r"\] passage (\d)", aws.asked[0][1]["messages"][0]["content"][0]["text"])
    assert shown == ["3", "2", "1"]


def test_tokens_and_price_are_summed_over_the_windows(reranker: Reranker) -> None:
    usage = reranker.rank(request(*range(8)), Clock.start()).usage
    assert (usage.tokens, usage.repaired) == (330, 0)
    assert usage.usd == pytest.approx(3 * (100 * 0.06 + 10 * 0.24) / 1000)


@pytest.mark.parametrize(
    ("answer", "places", "repaired"),
    [
        ("[2] > [1] > [3]", [1, 0, 2], False),
        ("2, 1, 3", [1, 0, 2], False),
        ("[2] > [2] > [1] > [3]", [1, 0, 2], True),
        ("[3]", [2, 0, 1], True),
        ("[9] > [3] > [0] > [1] > [2]", [2, 0, 1], True),
        ("I cannot rank these.", [0, 1, 2], True),
        ("", [0, 1, 2], True),
        ("1" * 5000, [0, 1, 2], True),
    ],
)
def test_a_malformed_order_is_repaired_and_said_to_be(answer: str, places: list[int], *, repaired: bool) -> None:
    assert repair(answer, 3) == (places, repaired)


@given(st.text(), st.integers(1, 30))
def test_any_answer_at_all_becomes_an_order(answer: str, count: int) -> None:
    assert sorted(repair(answer, count).places) == list(range(count))


@given(st.integers(0, 200), st.integers(2, 30), st.data())
def test_windows_cover_every_place_and_overlap(count: int, window: int, data: st.DataObject) -> None:
    step = data.draw(st.integers(1, window - 1))
    found = list(windows(count, window, step))
    assert {place for begin, end in found for place in range(begin, end)} == set(range(count))
    assert all(end - begin <= window for begin, end in found)


def test_repairs_are_counted_in_the_usage(reranker: Reranker, aws: Aws) -> None:
    aws.answers = [says("[1] > [1]")]
    ranking = reranker.rank(request(1, 2, 3), Clock.start())
    assert ranking.usage.repaired == 1
    assert len(ranking.results) == 3


def test_an_answer_without_text_is_one_to_repair(reranker: Reranker, aws: Aws) -> None:
    empty = says("")
    empty["output"]["message"]["content"] = []
    aws.answers = [empty]
    assert order(reranker, request(1, 2, 3)) == [0, 1, 2]


def test_throttling_is_waited_out(reranker: Reranker, aws: Aws) -> None:
    aws.answers = [(429, "ThrottlingException")] * 3
    assert order(reranker, request(1, 2)) == [1, 0]


def test_lasting_throttling_is_overload(reranker: Reranker, aws: Aws) -> None:
    aws.answers = [(429, "ThrottlingException")] * 5
    with pytest.raises(Overloaded):
        order(reranker, request(1, 2))


class TwoWindows:
    """A clock that runs out after two windows."""

    began = perf_counter()
    deadline = began + 1
    reads = 0

    def expired(self, ahead: float = 0.0) -> bool:
        self.reads += 1
        return self.reads > 3


def test_windows_not_seen_in_time_keep_their_order_and_are_counted(reranker: Reranker) -> None:
    ranking = reranker.rank(request(*range(10)), TwoWindows())  # type: ignore[arg-type]
    assert [result.index for result in ranking.results][:4] == [0, 1, 2, 3]
    assert ranking.partial
    assert ranking.unscored == 4


def test_all_or_nothing_raises_when_the_time_runs_out(reranker: Reranker) -> None:
    with pytest.raises(DeadlineExceeded):
        reranker.rank(request(*range(10), on_deadline="error"), TwoWindows())  # type: ignore[arg-type]
