"""From logits to scores."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from handler import scoring
from handler.contract import Chunking, Fusion, Passage, RankRequest
from handler.encoding import Chunk

NAN = math.nan
LOGITS = st.lists(st.floats(-30, 30), min_size=1, max_size=30).map(np.array)


def request(**options: Any) -> RankRequest:
    return RankRequest("q", (Passage("p"),), **options)


def part(passage: int, number: int, parts: int) -> Chunk:
    return Chunk(passage, b"", 10, 10, parts, number, (0, 1))


@pytest.mark.parametrize(
    ("chunking", "logit"),
    [
        (Chunking(mode="max"), 5.0),
        (Chunking(mode="mean"), 2.0),
        (Chunking(mode="top_k_mean", top_k=2), 4.0),
        (Chunking(mode="top_k_mean", top_k=9), 2.0),
    ],
)
def test_chunks_become_one_logit_by_the_mode_asked_for(chunking: Chunking, logit: float) -> None:
    chunks = [part(7, 2, 3), part(7, 0, 3), part(7, 1, 3)]
    found = scoring.evidence(chunks, [3.0, -2.0, 5.0], chunking)
    assert found[7].logit == logit
    assert (found[7].chunk.part, found[7].chunk_logit) == (1, 5.0)


def test_of_equal_chunks_the_first_is_the_best() -> None:
    found = scoring.evidence([part(0, 1, 2), part(0, 0, 2)], [1.0, 1.0], Chunking())
    assert found[0].chunk.part == 0


def test_half_a_passage_is_not_its_score() -> None:
    assert scoring.evidence([part(0, 0, 2), Chunk(1, b"", 3, 3)], [9.0, 1.0], Chunking()).keys() == {1}


@given(LOGITS)
def test_sigmoid_is_the_logistic_function_and_keeps_order(logits: Any) -> None:
    scores = scoring.sigmoid(logits)
    assert scores == pytest.approx([1 / (1 + math.exp(-x)) for x in logits], rel=1e-12)
    assert (np.diff(scores[np.argsort(logits)]) >= 0).all()


def test_sigmoid_does_not_overflow() -> None:
    assert scoring.sigmoid(np.array([-1e9, 1e9])).tolist() == [0.0, 1.0]


@pytest.mark.parametrize(
    ("passages", "prior"),
    [
        ([Passage("a"), Passage("b")], None),
        ([Passage("a", score=2.5), Passage("b", score=-1)], [2.5, -1.0]),
        ([Passage("a", rank=1), Passage("b", rank=7)], [-1.0, -7.0]),
        ([Passage("a", score=0.0), Passage("b", rank=7)], [0.0, NAN]),
    ],
)
def test_first_stage_evidence_is_scores_or_else_ranks(passages: list[Passage], prior: list[float] | None) -> None:
    found = scoring.first_stage(passages)
    assert (None if found is None else found.tolist()) == pytest.approx(prior, nan_ok=True)


def test_rrf_is_the_published_formula_where_the_weight_is_half() -> None:
    fused = scoring.fuse(np.array([3.0, 9.0, 1.0]), np.array([10.0, 20.0, 30.0]), Fusion("rrf", weight=0.5, k=60))
    assert fused * 2 == pytest.approx([1 / 63 + 1 / 62, 1 / 62 + 1 / 61, 1 / 61 + 1 / 63])


def test_rrf_gives_equal_values_equal_ranks_and_what_is_missing_nothing() -> None:
    fused = scoring.fuse(np.array([1.0, 1.0, 0.0]), np.array([NAN, 5.0, 5.0]), Fusion("rrf", weight=0.5, k=10))
    assert fused * 2 == pytest.approx([1 / 11, 2 / 11, 1 / 13 + 1 / 11])


@given(LOGITS, st.floats(0, 1))
def test_weighted_fusion_is_unmoved_by_the_scale_of_either_side(logits: Any, weight: float) -> None:
    prior, fusion = logits[::-1].copy(), Fusion(weight=weight)
    fused = scoring.fuse(logits, prior, fusion)
    if logits.std() > 1e-3:
        assert scoring.fuse(logits * 7 + 3, prior * 0.5 - 40, fusion) == pytest.approx(fused, abs=1e-6)


@pytest.mark.parametrize(("weight", "order"), [(0.0, [1, 2, 0]), (1.0, [0, 2, 1])])
def test_the_weight_is_that_of_the_first_stage(weight: float, order: list[int]) -> None:
    fused = scoring.fuse(np.array([1.0, 3.0, 2.0]), np.array([9.0, 1.0, 2.0]), Fusion(weight=weight))
    assert scoring.descending(fused, None).tolist() == order


def test_alike_evidence_decides_nothing() -> None:
    assert scoring.fuse(np.array([2.0, 2.0]), np.array([5.0, 5.0]), Fusion()).tolist() == [0.0, 0.0]


def test_a_passage_without_evidence_counts_as_the_first_stage_s_last() -> None:
    fused = scoring.fuse(np.array([1.0, 1.0, 1.0]), np.array([4.0, 2.0, NAN]), Fusion())
    assert fused[1] == fused[2] < fused[0]


def test_best_first_then_ties_in_input_order_then_the_unscored_as_the_first_stage_had_them() -> None:
    values = np.array([NAN, 1.0, 2.0, 1.0, NAN, 2.0, NAN])
    assert scoring.descending(values, None).tolist() == [2, 5, 1, 3, 0, 4, 6]
    prior = np.array([1.0, 0.0, 0.0, 9.0, 5.0, 0.0, NAN])
    assert scoring.descending(values, prior).tolist() == [2, 5, 1, 3, 4, 0, 6]


@given(LOGITS, st.integers(1, 5), st.booleans())
def test_stand_ins_are_finite_fall_and_are_below_every_score(logits: Any, unscored: int, bounded: bool) -> None:
    scores = np.append(scoring.sigmoid(logits) if bounded else logits, [NAN] * unscored)
    order = scoring.descending(scores, None)
    filled = scoring.with_stand_ins(scores, order, bounded=bounded)[order]
    assert np.isfinite(filled).all()
    assert (np.diff(filled[len(logits) - 1 :]) < 0).all()
    assert not bounded or ((filled > 0) & (filled <= 1)).all()


@pytest.mark.parametrize("bounded", [True, False])
def test_stand_ins_need_no_score_to_be_below(bounded: bool) -> None:
    filled = scoring.with_stand_ins(np.array([NAN, NAN]), np.array([0, 1]), bounded=bounded)
    assert np.isfinite(filled).all()
    assert filled[0] > filled[1]


@pytest.mark.parametrize(
    ("options", "kept"),
    [
        ({}, [3, 1, 0, 2]),
        ({"top_n": 2}, [3, 1]),
        ({"top_n": 99}, [3, 1, 0, 2]),
        ({"score_threshold": 0.5}, [3, 1]),
        ({"score_threshold": 0.5, "top_n": 1}, [3]),
        ({"score_threshold": 0.8, "min_results": 2}, [3, 1]),
        ({"score_threshold": 2.0}, []),
        ({"score_threshold": 2.0, "min_results": 1}, [3]),
        ({"score_threshold": 0.0, "min_results": 4}, [3, 1, 0, 2]),
        ({"score_threshold": 0.0}, [3, 1, 0]),
    ],
)
def test_a_threshold_keeps_what_reaches_it_and_at_least_the_minimum(options: dict[str, Any], kept: list[int]) -> None:
    scores = np.array([0.2, 0.5, NAN, 0.9])
    assert scoring.keep(np.array([3, 1, 0, 2]), scores, request(**options)) == kept
