"""A small writer of ONNX graphs, node by node, so that the shipped graph is exactly what is written here."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
from numpy.typing import ArrayLike, NDArray
from onnx import TensorProto, helper, numpy_helper

MICROSOFT = "com.microsoft"
OPSET, IR = 17, 8


class Graph:
    """Nodes and initialisers under construction; every method returns the name of a value."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.initialisers: dict[str, onnx.TensorProto] = {}

    def constant(self, name: str, value: ArrayLike, dtype: Any = None) -> str:
        """Add an initialiser (once a name)."""
        if name not in self.initialisers:
            array = np.asarray(value, dtype=dtype)
            self.initialisers[name] = numpy_helper.from_array(
                array if array.ndim == 0 else np.ascontiguousarray(array), name
            )
        return name

    def ints(self, *values: int) -> str:
        """Add a one-dimensional int64 constant."""
        return self.constant("i_" + "_".join(map(str, values)).replace("-", "m"), values, np.int64)

    def real(self, value: float) -> str:
        """Add a scalar float32 constant."""
        return self.constant(f"f_{value!r}", np.float32(value))

    def node(self, op: str, *inputs: str, domain: str = "", outputs: int = 1, name: str = "", **attributes: Any) -> Any:
        """Add a node; returns its output's name, or a tuple of names where it has several."""
        stem = name or f"{op}_{len(self.nodes)}"
        names = [stem] if outputs == 1 else [f"{stem}_{i}" for i in range(outputs)]
        self.nodes.append(helper.make_node(op, list(inputs), names, name=f"{stem}_node", domain=domain, **attributes))
        return names[0] if outputs == 1 else tuple(names)

    def model(
        self, inputs: dict[str, tuple[int, list[str | int]]], outputs: dict[str, list[str | int]], name: str
    ) -> onnx.ModelProto:
        """Return the checked model."""
        graph = helper.make_graph(
            self.nodes,
            name,
            [helper.make_tensor_value_info(key, kind, shape) for key, (kind, shape) in inputs.items()],
            [helper.make_tensor_value_info(key, TensorProto.FLOAT, shape) for key, shape in outputs.items()],
            list(self.initialisers.values()),
        )
        opsets = [helper.make_opsetid("", OPSET), helper.make_opsetid(MICROSOFT, 1)]
        model = helper.make_model(graph, opset_imports=opsets, ir_version=IR, producer_name="lambda-rerank")
        onnx.checker.check_model(model)
        return model


def to_int8(weight: NDArray[np.float32], limit: int, axis: int | None) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """Round to symmetric int8 within ``limit``, with one scale, or one for each index of all axes but ``axis``."""
    scale = np.maximum(np.max(np.abs(weight), axis=axis, keepdims=True), 1e-8) / limit
    return np.clip(np.round(weight / scale), -limit, limit).astype(np.int8), np.squeeze(scale).astype(np.float32)
