"""Reads a BERT cross-encoder from what people have of it: a Hugging Face checkpoint, or its ONNX export.

Only the weights are taken from an export, by the names of modules that exporters give to nodes; the graph is built
anew. Weights that an export keeps as int8 (FlashRank's published models) are dequantised.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from pathlib import Path

    import onnx
    from numpy.typing import NDArray

    Weights = dict[str, NDArray[np.float32]]

ACTIVATIONS = ("gelu", "relu")


class UnsupportedModel(ValueError):
    """The directory holds no BERT-like cross-encoder; the message says what is missing or different."""


@dataclass(frozen=True)
class Checkpoint:
    """Weights under Hugging Face's names, without the ``bert.`` prefix, and the shape of the model."""

    weights: Weights
    layers: int
    heads: int
    width: int
    window: int
    epsilon: float
    activation: str
    inputs: tuple[str, ...]
    head: tuple[str, ...]  # what follows the [CLS] row: names of linear layers, and "tanh"

    def __getitem__(self, name: str) -> NDArray[np.float32]:
        try:
            return self.weights[name]
        except KeyError:
            raise UnsupportedModel(f"the model has no weight named {name}") from None

    def matrix(self, name: str) -> NDArray[np.float32]:
        """Return the weight of a linear layer as ``[inputs, outputs]``."""
        return np.ascontiguousarray(self[f"{name}.weight"].T)


def read(directory: Path) -> Checkpoint:
    """Read the model in ``directory``: ``config.json`` with ``*.safetensors``, ``pytorch_model.bin`` or ``*.onnx``."""
    settings = _settings(directory)
    weights = {name.removeprefix("bert."): value for name, value in _weights(directory).items()}
    if "classifier.weight" not in weights or len(weights["classifier.weight"]) not in {1, 2}:
        raise UnsupportedModel("a cross-encoder of one logit or two is needed (the rows of classifier.weight)")
    if len(weights["classifier.weight"]) == 2:  # the probability of the second is the sigmoid of the difference
        weights |= {name: np.diff(weights[name], axis=0) for name in ("classifier.weight", "classifier.bias")}
    pooled = ("pooler.dense", "tanh") if "pooler.dense.weight" in weights else ()
    return Checkpoint(
        weights,
        layers=settings["num_hidden_layers"],
        heads=settings["num_attention_heads"],
        width=settings["hidden_size"],
        window=settings["max_position_embeddings"],
        epsilon=settings["layer_norm_eps"],
        activation=settings["hidden_act"],
        inputs=("input_ids", "attention_mask", "token_type_ids"),
        head=(*pooled, "classifier"),
    )


def _settings(directory: Path) -> dict[str, Any]:
    try:
        settings: dict[str, Any] = json.loads((directory / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UnsupportedModel(f"cannot read config.json ({type(error).__name__})") from error
    if settings.get("model_type") != "bert":
        raise UnsupportedModel(f"model_type is {settings.get('model_type')!r}, not 'bert'")
    if settings.get("hidden_act") not in ACTIVATIONS:
        raise UnsupportedModel(f"hidden_act is {settings.get('hidden_act')!r}, not one of {', '.join(ACTIVATIONS)}")
    if settings.get("position_embedding_type", "absolute") != "absolute":
        raise UnsupportedModel("only absolute position embeddings are supported")
    return settings


def _weights(directory: Path) -> Weights:
    if files := sorted(directory.glob("*.safetensors")):
        from safetensors.numpy import load_file

        return {name: value.astype(np.float32) for file in files for name, value in load_file(file).items()}
    if files := sorted(directory.glob("pytorch_model*.bin")):
        import torch

        return {
            name: value.float().numpy()
            for file in files
            for name, value in torch.load(file, map_location="cpu", weights_only=True).items()
        }
    if files := list(directory.glob("*.onnx")):
        import onnx

        # Of several exports the largest is the one that was not quantised.
        return from_export(onnx.load(max(files, key=lambda file: file.stat().st_size)))
    raise UnsupportedModel("no *.safetensors, pytorch_model*.bin or *.onnx")


def from_export(model: onnx.ModelProto) -> Weights:
    """Collect the weights of an ONNX export under the names of the modules that they came from."""
    from onnx import numpy_helper

    constants = {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    for stem in [name.removesuffix("_quantized") for name in constants if name.endswith("_quantized")]:
        if (scale := constants.get(f"{stem}_scale")) is not None:
            zero = constants[f"{stem}_zero_point"].astype(np.float32)
            constants[stem] = (constants[f"{stem}_quantized"].astype(np.float32) - zero) * scale
    weights = {
        name.removeprefix("model."): value.astype(np.float32)
        for name, value in constants.items()
        if name.endswith((".weight", ".bias"))
    }
    for node in model.graph.node:
        if node.op_type in {"MatMul", "MatMulInteger"}:
            # "/bert/pooler/dense/Gemm_MatMul_quant": the quantiser writes Gemm as MatMul, with its weight transposed.
            module = re.sub(r"/(Gemm_)?MatMul(_quant)?$", "", node.name).strip("/").replace("/", ".")
            stem = node.input[1].removesuffix("_quantized")
            if stem in constants and constants[stem].ndim == 2:
                weights[f"{module}.weight"] = constants[stem].astype(np.float32).T
    return weights
