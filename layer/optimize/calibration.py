"""Fixes the scale of every quantised activation, once, from what the fp32 graph computes on real text."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from layer.optimize.graph import Range

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    import onnxruntime
    from numpy.typing import NDArray

BINS = 2048
SHRINKS = [percent / 100 for percent in range(100, 9, -1)]


def calibrate(
    session: onnxruntime.InferenceSession,
    tensors: Mapping[str, str],
    feeds: Iterable[Mapping[str, NDArray[np.int64]]],
) -> dict[str, Range]:
    """Return the range of each of ``tensors`` (range name -> output of ``session``) over all ``feeds``.

    A range is the part of [min, max] whose 255 steps give the least mean squared error, as some few outliers would
    otherwise coarsen every step. Feeds must be unpadded: what is computed at padding does not matter.
    """
    outputs = list(dict.fromkeys(tensors.values()))
    seen: dict[str, list[NDArray[np.float32]]] = {output: [] for output in outputs}
    for feed in feeds:
        for output, value in zip(outputs, session.run(outputs, dict(feed)), strict=True):
            seen[output].append(value.ravel())
    best = {output: least_error(np.concatenate(values)) for output, values in seen.items()}
    return {name: best[output] for name, output in tensors.items()}


def least_error(values: NDArray[np.float32]) -> Range:
    """Return the range whose uint8 quantisation of ``values`` has the least mean squared error."""
    low, high = min(float(np.min(values)), 0.0), max(float(np.max(values)), 0.0)
    counts, edges = np.histogram(values, BINS, (low, high))
    centres = (edges[:-1] + edges[1:]) / 2

    def error(bottom: float, top: float) -> float:
        step = (top - bottom) / 255
        outside = np.clip(centres, bottom, top) - centres
        # Within the range the error is that of rounding, step² / 12 on average.
        return float((counts * np.where(outside == 0, step**2 / 12, outside**2)).sum())

    # First both ends together, then each on its own, as often only one of them has the outliers.
    both = min(SHRINKS, key=lambda shrink: error(low * shrink, high * shrink))
    bottom, top = low * both, high * both
    for _ in range(2):
        top = min((high * shrink for shrink in SHRINKS), key=lambda end: error(bottom, end))
        bottom = min((low * shrink for shrink in SHRINKS), key=lambda end: error(end, top))
    return Range(bottom, top)
