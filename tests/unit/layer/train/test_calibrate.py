"""Scores as probabilities: the fit finds what made the data, and the error measures what is off."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("torch", reason="torch is in the training environment alone")

from layer.train import calibrate

RNG = np.random.default_rng(3)
LOGITS = RNG.normal(0, 3, 20_000)
RELEVANT = RNG.random(20_000) < calibrate.probability(LOGITS, 2.0, -1.5)


def test_the_fit_finds_temperature_and_bias() -> None:
    temperature, bias = calibrate.platt(LOGITS, RELEVANT)
    assert temperature == pytest.approx(2.0, rel=0.05)
    assert bias == pytest.approx(-1.5, abs=0.1)


def test_the_calibration_error_is_small_for_true_chances_and_large_for_wrong_ones() -> None:
    assert calibrate.expected_error(calibrate.probability(LOGITS, 2.0, -1.5), RELEVANT) < 0.02
    assert calibrate.expected_error(calibrate.probability(LOGITS, 0.5, 1.0), RELEVANT) > 0.1


def test_thresholds_hold_the_precision_and_recall_that_they_name() -> None:
    chance = calibrate.probability(LOGITS, 2.0, -1.5)
    found = calibrate.thresholds(chance, RELEVANT)
    assert RELEVANT[chance >= found["precision 0.75"] + 1e-3].mean() >= 0.745
    assert (chance[RELEVANT] >= found["recall 0.95"] - 1e-3).mean() >= 0.95
