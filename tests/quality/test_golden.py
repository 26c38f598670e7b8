"""The shipped model gives the scores that its card was written from, on every host."""

from __future__ import annotations

import json

import pytest

from tests.quality import golden

KNOWN = json.loads(golden.PATH.read_text())
# A rounding step of a uint8 activation: two hosts may differ by a few of them where a value falls between two steps.
TOLERANCE = 2e-2


def test_the_golden_scores_are_those_of_the_shipped_revision() -> None:
    assert KNOWN["revision"] == json.loads((golden.MODEL / "manifest.json").read_text())["revision"]


def test_the_shipped_model_gives_its_golden_scores() -> None:
    found = golden.scores()
    assert found.keys() == KNOWN["logits"].keys()
    for query, logits in KNOWN["logits"].items():
        assert found[query] == pytest.approx(logits, abs=TOLERANCE), query


def test_the_passage_that_answers_is_first_in_every_case() -> None:
    assert all(max(logits) == logits[0] for logits in golden.scores().values())
