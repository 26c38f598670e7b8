"""A builder of ONNX graphs out of the few primitives that run fastest, in fp32 or in static int8.

onnxruntime executes the graph as it is written (``ORT_DISABLE_ALL``), so what is written here is what runs. The same
description of a model gives its fp32 graph, its calibration and its int8 graph: ``Graph(ranges=None)`` computes in
fp32 and notes every tensor that int8 would quantise; ``Graph(ranges)`` quantises each of them with a fixed scale.

Fixed scales make a row's result independent of the rows beside it (a dynamic scale is taken over the whole batch).
Weights stay within ±63: a pair of products then fits the 16-bit sums of AVX2 kernels, which saturate at ±127, so that
every host computes the same integers.

What was measured (11,000 tokens of 100 pairs, 128 wide, one core) and decided the primitives:

- ``Attention`` of the standard operator set, which takes all heads side by side as the projections leave them. With a
  product, a sum, a softmax and a product per head all scoring took 3 to 5 % longer, and six layers of twelve heads were
  586 nodes that loaded in 144 ms, not 124 in 17. ``MultiHeadAttention`` and ``QAttention``, which transpose first, were
  slower than either.
- ``LayerNormalization`` after ``Add``, never ``SkipLayerNormalization`` (90 against 320 µs on 510 rows).
- ``MatMulIntegerToFloat`` after ``QuantizeLinear``, no slower than ``DynamicQuantizeMatMul`` and faster than
  ``QLinearMatMul`` and ``QGemm``, which pay more for writing uint8 than a separate ``QuantizeLinear`` costs.
- ``Gelu`` of the standard operator set (147 µs) rather than onnxruntime's own (165), ``FastGelu`` (192) or the tanh
  approximation (189). A ReLU before a quantised tensor costs nothing: with zero point 0 the clamp is the ReLU.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from numpy.typing import ArrayLike, NDArray

MICROSOFT = "com.microsoft"
OPSETS = {"": 24, MICROSOFT: 1}
IR_VERSION = 11
WEIGHT_LIMIT = 63
TABLE_LIMIT = 127  # embedding tables are looked up, not multiplied
EXTERNAL = "model.onnx.data"
EXTERNAL_BYTES = 16_384  # onnxruntime looks a path up anew for every tensor outside the graph; smaller ones stay inside


class Range(NamedTuple):
    """Smallest and largest value of a tensor that uint8 must hold."""

    low: float
    high: float


class Tensor(NamedTuple):
    """A tensor of the graph; ``scale`` and ``zero`` name its quantisation where it is uint8."""

    name: str
    scale: str = ""
    zero: str = ""


class Graph:
    """A graph under construction. Methods append nodes and return the name of what these compute."""

    def __init__(self, ranges: Mapping[str, Range] | None = None) -> None:
        self.ranges = ranges
        self.quantised: dict[str, str] = {}  # the tensors to calibrate, by the name of their range
        self._nodes: list[onnx.NodeProto] = []
        self._constants: dict[str, NDArray[Any]] = {}

    def constant(self, value: ArrayLike, dtype: type = np.float32, name: str = "") -> str:
        """Add a constant. Equal small ones share one name; ``name`` makes a large one readable in the file."""
        array: NDArray[Any] = np.ascontiguousarray(value, dtype) if np.ndim(value) else np.asarray(value, dtype)
        if not name:
            text = "_".join(map(str, array.ravel().tolist())) if array.size <= 8 else f"constant_{len(self._constants)}"
            name = f"{array.dtype}_{text}_{array.ndim}"
        self._constants.setdefault(name, array)
        return name

    def node(self, operator: str, *inputs: str, domain: str = "", **attributes: Any) -> str:
        """Append a node with one output."""
        name = f"{operator}_{len(self._nodes)}"
        self._nodes.append(helper.make_node(operator, list(inputs), [name], name=name, domain=domain, **attributes))
        return name

    def quantise(self, x: str, name: str) -> Tensor:
        """Quantise ``x`` to uint8 over the range ``name``; in fp32 note it as a tensor to calibrate."""
        self.quantised[name] = x
        if self.ranges is None:
            return Tensor(x)
        low, high = min(self.ranges[name].low, 0.0), max(self.ranges[name].high, 0.0)
        step = np.float32(max(high - low, 1e-8) / 255)
        scale, zero = self.constant(step), self.constant(round(-low / float(step)), np.uint8)
        return Tensor(self.node("QuantizeLinear", x, scale, zero), scale, zero)

    def linear(self, x: Tensor, weight: NDArray[np.float32], bias: NDArray[np.float32] | None, name: str) -> str:
        """Compute ``x @ weight + bias`` in float32: ``weight`` float32 ``[inputs, outputs]``, int8 where ``x`` is."""
        extra = [] if bias is None else [self.constant(bias, name=f"{name}.bias")]
        if not x.scale:
            product = self.node("MatMul", x.name, self.constant(weight, name=f"{name}.weight"))
            return self.node("Add", product, *extra) if extra else product
        # A scale per column: nothing on a narrow product, a tenth of one that is 512 wide and has a bias.
        steps = np.maximum(np.abs(weight).max(axis=0), 1e-12) / WEIGHT_LIMIT
        rounded = self.constant(np.rint(weight / steps), np.int8, f"{name}.weight")
        inputs = [x.name, rounded, x.scale, self.constant(steps, name=f"{name}.scale"), x.zero]
        return self.node("MatMulIntegerToFloat", *inputs, self.constant(0, np.int8), *extra, domain=MICROSOFT)

    def relu(self, x: str) -> str:
        """Apply ReLU to what is quantised next: in int8 it is that clamp, and no node."""
        return self.node("Relu", x) if self.ranges is None else x

    def norm(
        self, x: str, gain: NDArray[np.float32], bias: NDArray[np.float32] | None, name: str, epsilon: float
    ) -> str:
        """Normalise the last axis of ``x``."""
        extra = [] if bias is None else [self.constant(bias, name=f"{name}.bias")]
        scale = self.constant(gain, name=f"{name}.weight")
        return self.node("LayerNormalization", x, scale, *extra, axis=-1, epsilon=epsilon)

    def lookup(self, ids: str, table: NDArray[np.float32], name: str) -> str:
        """Look up rows of ``table`` float32 ``[rows, width]``, kept as int8 with one scale where the graph is int8."""
        if self.ranges is None:
            return self.node("Gather", self.constant(table, name=name), ids)
        step = np.float32(np.abs(table).max() / TABLE_LIMIT)
        rows = self.node("Gather", self.constant(np.rint(table / step), np.int8, name), ids)
        return self.node("DequantizeLinear", rows, self.constant(step))

    def lengths(self, attention_mask: str) -> str:
        """Count each row's tokens, which stand before its padding: int64 ``[batch, tokens]`` to ``[batch]``."""
        return self.node("ReduceSum", attention_mask, self.constant([1], np.int64), keepdims=0)

    def projections(self, x: Tensor, weights: Mapping[str, NDArray[np.float32]], name: str) -> tuple[str, str, str]:
        """Compute the query, key and value of ``x``, each float32 ``[batch, tokens, width]``.

        ``weights`` hold ``query``, ``key``, ``value`` float32 ``[inputs, width]`` and ``query_bias``; the query is
        already scaled. The biases of key and value are not here: the first has no effect (it adds the same to every
        score of a row), the second belongs into the output projection's bias (the shares of a row sum to one).
        """
        query = self.linear(x, weights["query"], weights["query_bias"], f"{name}.query")
        key, value = (self.linear(x, weights[part], None, f"{name}.{part}") for part in ("key", "value"))
        return query, key, value

    def attention(self, projected: tuple[str, str, str], heads: int, *, added: str = "", lengths: str = "") -> str:
        """Multi-head attention of a query to keys and values: float32 ``[batch, rows, width]``, the query's rows.

        ``added`` is added to the scores, float32 ``[batch, heads or 1, rows, tokens]``; with ``lengths`` int64
        ``[batch]``, keys from there on count for nothing.
        """
        optional = [added, "", "", lengths] if lengths else [added]
        return self.node("Attention", *projected, *optional, q_num_heads=heads, kv_num_heads=heads, scale=1.0)

    def save(self, path: Path, inputs: Sequence[str], output: str, *, also: Sequence[str] = ()) -> None:
        """Write the graph and its weights: int64 ``inputs`` ``[batch, tokens]``, float32 ``logits`` ``[batch, 1]``.

        ``also`` are further tensors to give out, for calibration.
        """
        nodes = [*self._nodes, helper.make_node("Identity", [output], ["logits"], name="logits")]
        tensors = [numpy_helper.from_array(array, name) for name, array in self._constants.items()]
        graph = helper.make_graph(
            nodes,
            "cross-encoder",
            [helper.make_tensor_value_info(name, TensorProto.INT64, None) for name in inputs],
            [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in ("logits", *also)],
            tensors,
        )
        opsets = [helper.make_opsetid(domain, version) for domain, version in OPSETS.items()]
        model = helper.make_model(graph, opset_imports=opsets, ir_version=IR_VERSION, producer_name="lambda-rerank")
        write(model, path)


def write(model: onnx.ModelProto, path: Path, *, shapes: bool = False) -> None:
    """Write a model and, beside it in ``<path>.data``, its large weights.

    ``shapes`` are left as declared for a tool that reads them. A session needs none to run as fast, and took a third
    of its time to load to infer each tensor's from those of the inputs.
    """
    del model.metadata_props[:]  # an exporter's notes
    if not shapes:
        del model.graph.value_info[:]
        for value in (*model.graph.input, *model.graph.output):
            value.type.tensor_type.ClearField("shape")
    weights = path.with_name(path.name + ".data")
    weights.unlink(missing_ok=True)  # onnx appends to it
    onnx.save(model, path, save_as_external_data=True, location=weights.name, size_threshold=EXTERNAL_BYTES)
    if weights.exists():
        weights.chmod(path.stat().st_mode)  # onnx keeps it to its owner; a function runs as another
