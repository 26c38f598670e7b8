"""Make scores mean something: sigmoid(logit / temperature + bias) near the share of relevant passages (Platt scaling).

Fitted on labelled training queries that distillation never showed, each with its best BM25 candidates: what a reranker
meets. Platt 1999; temperature and expected calibration error as in Guo et al. 2017 (https://arxiv.org/abs/1706.04599).
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from tqdm import tqdm

from layer.train.sampler import Sampler, rows

os.environ["ORT_DISABLE_TELEMETRY"] = "1"

import onnxruntime

CANDIDATES, QUERIES, BINS = 20, 600, 10
PRECISIONS, RECALLS = (0.9, 0.75), (0.99, 0.95)
INPUTS = ("input_ids", "attention_mask", "token_type_ids")


@dataclass(frozen=True, slots=True)
class Calibration:
    """The fit, its calibration error on queries it was not fitted on, and thresholds by precision or recall."""

    temperature: float
    bias: float
    error: float
    base_rate: float
    thresholds: dict[str, float]

    def as_notes(self) -> dict[str, object]:
        """Return what the manifest says of it, beside temperature and bias."""
        return {
            "calibration": {
                "expected_calibration_error": round(self.error, 4),
                "relevant_share": round(self.base_rate, 4),
                "thresholds": self.thresholds,
            }
        }


def probability(logits: NDArray[np.float64], temperature: float, bias: float) -> NDArray[np.float64]:
    """Return sigmoid(logit / temperature + bias)."""
    return 1 / (1 + np.exp(-(logits / temperature + bias)))


def platt(logits: NDArray[np.float64], relevant: NDArray[np.bool_]) -> tuple[float, float]:
    """Return the temperature and bias of least log loss."""

    def loss(point: NDArray[np.float64]) -> float:
        z = logits * np.exp(point[0]) + point[1]
        return float(np.mean(np.logaddexp(0, z) - z * relevant))

    slope, bias = minimize(loss, np.zeros(2), method="Nelder-Mead").x
    return float(np.exp(-slope)), float(bias)


def expected_error(chance: NDArray[np.float64], relevant: NDArray[np.bool_]) -> float:
    """Return the expected calibration error over ten equal bins of probability."""
    place = np.minimum((chance * BINS).astype(int), BINS - 1)
    gaps = [
        abs(chance[place == i].mean() - relevant[place == i].mean()) * (place == i).mean()
        for i in range(BINS)
        if (place == i).any()
    ]
    return float(sum(gaps))


def thresholds(chance: NDArray[np.float64], relevant: NDArray[np.bool_]) -> dict[str, float]:
    """Return the least score that keeps each precision, and the greatest that keeps each recall."""
    order = np.argsort(-chance)
    hits = np.cumsum(relevant[order])
    precision, recall = hits / np.arange(1, len(order) + 1), hits / max(1, hits[-1])
    found: dict[str, float] = {}
    for wanted in PRECISIONS:
        if (good := np.flatnonzero(precision >= wanted)).size:
            found[f"precision {wanted}"] = round(float(chance[order[good[-1]]]), 3)
    for wanted in RECALLS:
        found[f"recall {wanted}"] = round(float(chance[order[int(np.argmax(recall >= wanted))]]), 3)
    return found


def fit(graph: Path, sampler: Sampler) -> Calibration:
    """Score the queries kept aside with the exported graph, fit on half of them and measure on the other half."""
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(str(graph), options, providers=["CPUExecutionProvider"])
    logits: list[NDArray[np.float64]] = []
    relevant: list[NDArray[np.bool_]] = []
    for query, passages, labels in tqdm(sampler.aside_lists(QUERIES, CANDIDATES), desc="calibrating"):
        feed = dict(zip(INPUTS, rows(query, passages), strict=True))
        logits.append(session.run(["logits"], feed)[0][:, 0].astype(np.float64))
        relevant.append(labels)
    half = len(logits) // 2
    fitted, truth = np.concatenate(logits[:half]), np.concatenate(relevant[:half])
    temperature, bias = platt(fitted, truth)
    checked = probability(np.concatenate(logits[half:]), temperature, bias)
    truth = np.concatenate(relevant[half:])
    return Calibration(
        temperature, bias, expected_error(checked, truth), float(truth.mean()), thresholds(checked, truth)
    )
