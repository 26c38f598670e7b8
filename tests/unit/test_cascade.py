"""Two models one after the other: rerankers that score by table, and then a real second function through boto3."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from handler import cascade, runtime
from handler.backends.bedrock import ranking
from handler.backends.remote import Remote
from handler.cascade import Cascade
from handler.contract import ModelId, Passage, Ranking, RankRequest, Usage
from handler.errors import DeadlineExceeded, InvalidRequest, ModelNotFound, Overloaded
from handler.model import Manifest
from handler.runtime import Clock
from tests.unit.backends.conftest import Aws, aws

__all__ = ["aws"]


@dataclass
class Table:
    """A reranker that looks scores up by text, and fails when told to."""

    scores: dict[str, float]
    name: str = "table"
    fails: Exception | None = None
    asked: list[RankRequest] = field(default_factory=list)

    @property
    def model_id(self) -> ModelId:
        return ModelId(self.name, "1")

    def rank(self, request: RankRequest, clock: Clock) -> Ranking:
        self.asked.append(request)
        if self.fails:
            raise self.fails
        usage = Usage(len(request.passages), 10, len(request.passages), 0, usd=0.5)
        scores = [self.scores[passage.text] for passage in request.passages]
        return ranking(request, Manifest(self.name, "1"), scores, usage, clock, asked=0.0)


CHEAP = {"a": 0.9, "b": 0.8, "c": 0.7, "d": 0.6, "e": 0.5}
GOOD = {"a": 0.2, "b": 0.3, "c": 0.95, "d": 0.9, "e": 0.99}


def both(cut: int, **more: Any) -> tuple[Cascade, Table, Table]:
    first, second = Table(CHEAP, "cheap"), Table(GOOD, "good", **more)
    return Cascade(first, second, cut), first, second


def request(**more: Any) -> RankRequest:
    return RankRequest("q", tuple(map(Passage, CHEAP)), **more)


def test_the_second_model_reorders_the_head_and_the_tail_keeps_its_order() -> None:
    model, _, second = both(3)
    results = model.rank(request(), Clock.start()).results
    assert "".join(result.passage.text for result in results) == "cbade"
    assert [passage.text for passage in second.asked[0].passages] == ["a", "b", "c"]


@pytest.mark.parametrize("raw", [False, True])
def test_scores_fall_along_the_order_and_the_tail_lies_below_the_head(*, raw: bool) -> None:
    model, *_ = both(3)
    scores = [result.score for result in model.rank(request(raw_scores=raw), Clock.start()).results]
    assert scores == sorted(scores, reverse=True)
    assert len(set(scores)) == 5 or raw


def test_a_cut_beyond_the_list_is_the_second_model_alone() -> None:
    model, *_ = both(100)
    assert "".join(result.passage.text for result in model.rank(request(), Clock.start()).results) == "ecdba"


def test_indexes_and_passages_are_the_requests_own() -> None:
    model, *_ = both(3)
    for result in model.rank(request(), Clock.start()).results:
        assert request().passages[result.index] == result.passage


def test_top_n_is_taken_after_both() -> None:
    model, first, second = both(3)
    results = model.rank(request(top_n=1), Clock.start()).results
    assert [result.passage.text for result in results] == ["c"]
    assert first.asked[0].top_n is second.asked[0].top_n is None


def test_a_threshold_is_held_against_the_scores_shown() -> None:
    model, *_ = both(3)
    kept = model.rank(request(score_threshold=0.25), Clock.start()).results
    assert [result.passage.text for result in kept] == ["c", "b"]
    assert len(model.rank(request(score_threshold=0.99, min_results=2), Clock.start()).results) == 2


def test_usage_counts_both() -> None:
    model, *_ = both(3)
    usage = model.rank(request(), Clock.start()).usage
    assert (usage.passages, usage.chunks, usage.tokens, usage.usd) == (5, 8, 20, 1.0)


def test_both_models_are_named() -> None:
    assert both(3)[0].model_id == ModelId("cheap+good", "1+1")


@pytest.mark.parametrize("fails", [Overloaded("busy"), DeadlineExceeded("late")])
def test_where_the_second_has_no_time_the_firsts_order_stands_and_is_called_partial(fails: Exception) -> None:
    ranked = both(3, fails=fails)[0].rank(request(), Clock.start())
    assert "".join(result.passage.text for result in ranked.results) == "abcde"
    assert ranked.unscored == 3


def test_all_or_nothing_raises_instead() -> None:
    with pytest.raises(Overloaded):
        both(3, fails=Overloaded("busy"))[0].rank(request(on_deadline="error"), Clock.start())


def test_another_error_of_the_second_is_not_hidden() -> None:
    with pytest.raises(InvalidRequest):
        both(3, fails=InvalidRequest("no"))[0].rank(request(), Clock.start())


@pytest.fixture
def several(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Path]:
    """A deployment with the nano model twice: by itself, and under another name in the folder of further models."""
    nano = Path(__file__).parent.parent.parent / "layer" / "nano"
    again = tmp_path / "again"
    again.mkdir()
    for path in nano.iterdir():
        if path.name != "manifest.json":
            (again / path.name).symlink_to(path)
    (again / "manifest.json").write_text((nano / "manifest.json").read_text().replace('"nano"', '"again"', 1))
    settings = SimpleNamespace(
        models_dir=tmp_path, remote_models={"far": "arn:aws:lambda:eu-central-1:1:function:f:live"}, strict_models=True
    )
    monkeypatch.setattr(cascade, "SETTINGS", settings)
    monkeypatch.setattr(runtime, "SEVERAL", True)
    cascade.served.cache_clear()
    cascade.directories.cache_clear()
    yield tmp_path
    cascade.served.cache_clear()
    cascade.directories.cache_clear()


def ask(**more: Any) -> Ranking:
    return runtime.rank(RankRequest("rain", (Passage("rain falls"), Passage("a stock market")), **more))


def test_a_deployment_serves_its_models_by_name(several: Path) -> None:
    assert cascade.names() == ("nano", "again", "far")
    assert [ask(**more).model.name for more in ({}, {"model": "again"}, {"models": ("again",)})] == [
        "nano",
        "again",
        "again",
    ]
    assert ask(models=("nano", "again")).model.name == "nano+again"


def test_the_same_model_twice_is_that_model(several: Path) -> None:
    once, twice = ask(), ask(models=("nano", "again"))
    assert [(r.index, r.score) for r in once.results] == [(r.index, r.score) for r in twice.results]


@pytest.mark.parametrize("more", [{"models": ("nano", "none")}, {"model": "none"}])
def test_a_name_not_served_is_refused(several: Path, more: dict[str, Any]) -> None:
    with pytest.raises(ModelNotFound):
        ask(**more)


def test_another_function_answers_through_boto3_as_it_would_here(aws: Aws, context: Any) -> None:
    from handler.app import lambda_handler

    aws.answer = lambda body: dict(lambda_handler(body, context))
    asked = RankRequest("rain", tuple(Passage(text, id=text) for text in ("a stock market", "rain falls", "hills")))
    remote = Remote("far", "arn:aws:lambda:eu-central-1:1:function:f:live")
    here, there = runtime.rank(asked), remote.rank(asked, Clock.start())
    assert [r.index for r in there.results] == [r.index for r in here.results]
    np.testing.assert_allclose([r.score for r in there.results], [r.score for r in here.results])
    assert there.results[0].passage == asked.passages[there.results[0].index]
    assert "arn" in aws.asked[0][0]


def test_what_is_left_of_the_time_goes_along(aws: Aws, context: Any) -> None:
    from handler.app import lambda_handler

    aws.answer = lambda body: dict(lambda_handler(body, context))
    Remote("far", "f").rank(RankRequest("rain", (Passage("rain"),)), Clock.start(5_000))
    assert 0 < aws.asked[0][1]["deadline_ms"] <= 5_000


def test_an_error_of_the_other_function_keeps_its_name(aws: Aws) -> None:
    aws.answers = [{"FunctionError": "Unhandled", "errorType": "Overloaded", "errorMessage": "busy"}]
    with pytest.raises(Overloaded):
        Remote("far", "f").rank(RankRequest("rain", (Passage("rain"),)), Clock.start())


def test_a_throttled_function_is_overload(aws: Aws) -> None:
    aws.answers = [(429, "TooManyRequestsException")] * 5
    with pytest.raises(Overloaded):
        Remote("far", "f").rank(RankRequest("rain", (Passage("rain"),)), Clock.start())
