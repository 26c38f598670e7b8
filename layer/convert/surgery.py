"""Brings any reranker's ONNX graph to one shape: int64 token ids in, one logit a row out (or unit embeddings)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from layer.convert.source import UnsupportedSource

if TYPE_CHECKING:
    from pathlib import Path

    from layer.convert.source import Source

INPUTS = ("input_ids", "attention_mask", "token_type_ids")
DECODER_INPUT = "decoder_input_ids"
QUANTISED = {"MatMulInteger", "DynamicQuantizeLinear", "DynamicQuantizeMatMul", "QAttention", "MatMulIntegerToFloat"}


def normalise(path: Path, source: Source) -> onnx.ModelProto:
    """Load the graph at ``path`` with one output, as the handler's modules expect it.

    Two logits become ``second - first``, whose sigmoid is the softmax's second share; a language model's logits become
    those of its two labels at the first decoder step; token embeddings are brought to unit length. Raises
    ``UnsupportedSource``.
    """
    model = onnx.load(path)
    graph = model.graph
    _start_decoder(graph, source.start)
    names = [node.name for node in graph.input]
    if unknown := [name for name in names if name not in INPUTS]:
        raise UnsupportedSource(f"its graph wants an input {unknown[0]!r}")
    output = next((node for node in graph.output if node.name == "logits"), graph.output[0])
    rank = len(output.type.tensor_type.shape.dim)
    if source.architecture == "colbert":
        result = _node(graph, "LpNormalization", [output.name], "embeddings", axis=-1, p=2)
        shape: list[str | int] = ["rows", "tokens", "width"]
    else:
        result, shape = _one_logit(graph, output.name, rank, _columns(output), source), ["rows", 1]
    del graph.output[:]
    graph.output.append(helper.make_tensor_value_info(result, TensorProto.FLOAT, shape))
    return model


def is_quantised(model: onnx.ModelProto) -> bool:
    """Whether a graph computes in int8 with scales that it takes from its input."""
    return any(node.op_type in QUANTISED for node in model.graph.node)


def _start_decoder(graph: onnx.GraphProto, start: int) -> None:
    """Feed a decoder its start token within the graph: ``[rows, 1]``."""
    given = next((node for node in graph.input if node.name == DECODER_INPUT), None)
    if given is None:
        return
    graph.input.remove(given)
    constants = {"start_begin": [0], "start_end": [1], "start_axis": [1], "start_none": [0], "start_token": [start]}
    for name, value in constants.items():
        graph.initializer.append(numpy_helper.from_array(np.array(value, np.int64), name))
    nodes = [
        helper.make_node("Slice", ["input_ids", "start_begin", "start_end", "start_axis"], ["start_rows"]),
        helper.make_node("Mul", ["start_rows", "start_none"], ["start_zeros"]),
        helper.make_node("Add", ["start_zeros", "start_token"], [DECODER_INPUT]),
    ]
    for place, node in enumerate(nodes):
        graph.node.insert(place, node)


def _one_logit(graph: onnx.GraphProto, output: str, rank: int, columns: int | None, source: Source) -> str:
    if rank == 3:
        if source.labels is None:
            raise UnsupportedSource("its graph gives a vector for every token and no labels are known to read")
        graph.initializer.append(numpy_helper.from_array(np.array(0, np.int64), "first_step"))
        graph.initializer.append(numpy_helper.from_array(np.array(source.labels, np.int64), "labels"))
        step = _node(graph, "Gather", [output, "first_step"], "first_step_logits", axis=1)
        output, columns = _node(graph, "Gather", [step, "labels"], "label_logits", axis=1), 2
    if columns == 1:
        return output
    if columns != 2:
        raise UnsupportedSource(f"its graph gives {columns or 'an unknown number of'} logits a pair, not one or two")
    graph.initializer.append(numpy_helper.from_array(np.array([[-1.0], [1.0]], np.float32), "difference"))
    return _node(graph, "MatMul", [output, "difference"], "logit")


def _columns(output: onnx.ValueInfoProto) -> int | None:
    dims = output.type.tensor_type.shape.dim
    return int(dims[-1].dim_value) or None if dims else None


def _node(graph: onnx.GraphProto, operator: str, inputs: list[str], output: str, **attributes: object) -> str:
    graph.node.append(helper.make_node(operator, inputs, [output], **attributes))
    return output
