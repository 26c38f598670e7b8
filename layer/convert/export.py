"""Exports a reranker that comes as weights alone. PyTorch and transformers are needed here and nowhere else.

Each module below computes exactly what the handler will ask of a session; what a head reads only once (the first
decoder step, the difference of two labels) is computed only once.
"""

from __future__ import annotations

import logging
import warnings
from typing import TYPE_CHECKING

from layer.convert.source import UnsupportedSource

if TYPE_CHECKING:
    from pathlib import Path

    from torch import Tensor, nn

    from layer.convert.source import Source

INPUTS = ("input_ids", "attention_mask")
OPSET = 20
SAMPLE = (2, 16)  # rows, tokens; both are dynamic in the graph


def export(source: Source, path: Path) -> None:
    """Write the ONNX graph of the checkpoint in ``source`` to ``path``, in float32.

    Raises ``UnsupportedSource`` where PyTorch or transformers are not installed or do not know the model.
    """
    try:
        import transformers
    except ImportError as error:
        raise UnsupportedSource(
            "it has weights but no ONNX graph, and exporting them needs PyTorch: make model EXPORT=1 …"
        ) from error
    from layer.convert import modules

    try:
        module = modules.BUILDERS.get(source.architecture, modules.pair)(source)
    except (OSError, ValueError) as error:
        raise UnsupportedSource(f"transformers {transformers.__version__} cannot load it: {error}") from error
    names = [*INPUTS, *(["token_type_ids"] if source.options.get("segments") else [])]
    _write(module.eval(), names, path)


def _write(module: nn.Module, names: list[str], path: Path) -> None:
    import torch

    ids = torch.randint(5, 100, SAMPLE)
    mask = torch.ones(SAMPLE, dtype=torch.long)
    mask[1, SAMPLE[1] // 2 :] = 0
    sample: tuple[Tensor, ...] = (ids, mask, torch.zeros_like(ids))[: len(names)]
    dynamic = {0: torch.export.Dim.DYNAMIC, 1: torch.export.Dim.DYNAMIC}
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)  # it reports each optional package that it does without
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            module,
            sample,
            str(path),
            input_names=names,
            output_names=["output"],
            dynamic_shapes=tuple(dynamic for _ in names),
            opset_version=OPSET,
            dynamo=True,
            external_data=False,
            verbose=False,
        )
