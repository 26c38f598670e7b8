"""Step 5: the trained student as the graph that ships, which :mod:`layer.optimize.nano` writes.

Activations are quantised to uint8 with scales fixed here, at calibration, so that a passage's score cannot depend on
its batch; weights stay within 63 of int8's 127, since kernels for processors that have AVX2 alone add two products in
16 bits.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from layer.optimize import nano
from layer.optimize.graph import Range
from layer.train.model import Nano
from layer.train.tokens import CLS, SEP

QUANTISED = ("qkv", "out", "up", "down", "joint", "joint_down")
RECTIFIED = ("down", "joint_down")
KEPT = 0.9999  # share of the values that the uint8 range must hold


def calibrate(net: Nano, pairs: list[tuple[torch.Tensor, ...]]) -> dict[str, float]:
    """Return the largest magnitude at the input of every int8 product over batches of pairs."""
    seen: dict[str, list[float]] = {name: [] for name in QUANTISED}

    def watch(name: str) -> torch.utils.hooks.RemovableHandle:
        def hook(_: torch.nn.Module, inputs: tuple[torch.Tensor, ...]) -> None:
            values = inputs[0].detach().float().flatten()
            values = values.relu() if name in RECTIFIED else values.abs()
            seen[name].append(float(np.quantile(values.numpy(), KEPT)))

        handle: torch.utils.hooks.RemovableHandle = getattr(net, name).register_forward_pre_hook(hook)
        return handle

    handles = [watch(name) for name in QUANTISED]
    with torch.inference_mode():
        for pair in pairs:
            net(*pair)
    for handle in handles:
        handle.remove()
    return {name: max(values) for name, values in seen.items()}


def export(net: Nano, ranges: dict[str, float] | None, path: Path) -> None:
    """Write the graph to ``path`` and its weights beside it; in float32 where there are no ``ranges``."""
    weights = {name: tensor.detach().float().numpy() for name, tensor in net.state_dict().items()}
    bounds = None
    if ranges is not None:
        # Steps of r / 127 around 128; what a ReLU made, steps of r / 255 from 0.
        bounds = {name: Range(-ranges[name] * 128 / 127, ranges[name]) for name in QUANTISED}
        bounds |= {name: Range(0.0, ranges[name]) for name in RECTIFIED}
    path.parent.mkdir(parents=True, exist_ok=True)
    nano.save(weights, bounds, (CLS, SEP), path)
