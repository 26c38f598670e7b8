"""The graph of a BERT cross-encoder, with a last layer that computes the [CLS] row alone.

The head of a cross-encoder reads one row, so the last layer needs one query. Its key projection then folds into that
query, ``q . (x Wk) = (q Wk') . x``, and its value projection follows the weighted sum, ``(sum a x) Wv``: what is left
of the layer is two products of one row per head with the states, and a two-layer model costs about one layer. This is
exact but for the order of sums.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from layer.optimize.graph import Graph, Tensor

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    from layer.optimize.checkpoint import Checkpoint
    from layer.optimize.graph import Range


def cross_encoder(checkpoint: Checkpoint, ranges: Mapping[str, Range] | None) -> tuple[Graph, str]:
    """Return the graph of ``checkpoint`` (fp32 where ``ranges`` is None) and the name of its logits ``[batch, 1]``."""
    graph = Graph(ranges)
    lengths = graph.lengths("attention_mask")
    states = _embeddings(graph, checkpoint)
    for layer in range(checkpoint.layers - 1):
        states = _layer(graph, checkpoint, states, lengths, layer)
    first = _last_layer(graph, checkpoint, states, lengths)
    return graph, _head(graph, checkpoint, first)


def save(checkpoint: Checkpoint, ranges: Mapping[str, Range] | None, path: Path, *, calibrate: bool = False) -> Graph:
    """Write the graph of ``checkpoint``; with ``calibrate`` it also gives out the tensors that int8 quantises."""
    graph, logits = cross_encoder(checkpoint, ranges)
    also = list(dict.fromkeys(graph.quantised.values())) if calibrate else []
    graph.save(path, checkpoint.inputs, logits, also=also)
    return graph


def _embeddings(graph: Graph, checkpoint: Checkpoint) -> str:
    words, positions, types = (
        checkpoint[f"embeddings.{table}_embeddings.weight"] for table in ("word", "position", "token_type")
    )
    words_of = graph.lookup("input_ids", words, "words")
    length = graph.node("Shape", "input_ids", start=1, end=2)
    if "token_type_ids" in checkpoint.inputs:
        segments = graph.node("Gather", graph.constant(types, name="segments"), "token_type_ids")
        words_of = graph.node("Add", words_of, segments)
    else:
        positions = positions + types[0]
    table = graph.constant(positions, name="positions")
    places = graph.node("Slice", table, graph.constant([0], np.int64), length)
    return _norm(graph, checkpoint, graph.node("Add", words_of, places), "embeddings.LayerNorm")


def _layer(graph: Graph, checkpoint: Checkpoint, states: str, lengths: str, layer: int) -> str:
    at = f"encoder.layer.{layer}"
    attention = {part: checkpoint.matrix(f"{at}.attention.self.{part}") for part in ("query", "key", "value")}
    scale = np.float32((checkpoint.width / checkpoint.heads) ** -0.5)
    attention["query"] = attention["query"] * scale
    attention["query_bias"] = checkpoint[f"{at}.attention.self.query.bias"] * scale
    entering = graph.quantise(states, f"{at}.input")
    projected = graph.projections(entering, attention, f"{at}.attention")
    context = graph.attention(projected, checkpoint.heads, lengths=lengths)
    out = checkpoint.matrix(f"{at}.attention.output.dense")
    out_bias = checkpoint[f"{at}.attention.self.value.bias"] @ out + checkpoint[f"{at}.attention.output.dense.bias"]
    mixed = graph.linear(graph.quantise(context, f"{at}.attention.context"), out, out_bias, f"{at}.attention.output")
    middle = _norm(graph, checkpoint, graph.node("Add", mixed, states), f"{at}.attention.output.LayerNorm")
    return _feed_forward(graph, checkpoint, middle, at)


def _last_layer(graph: Graph, checkpoint: Checkpoint, states: str, lengths: str) -> str:
    """Return the [CLS] row after the last layer: float32 ``[batch, width]``."""
    at = f"encoder.layer.{checkpoint.layers - 1}"
    heads, width = checkpoint.heads, checkpoint.width
    each = width // heads
    query, key, value = (checkpoint.matrix(f"{at}.attention.self.{part}") for part in ("query", "key", "value"))
    query_bias, value_bias = (checkpoint[f"{at}.attention.self.{part}.bias"] for part in ("query", "value"))
    out, out_bias = checkpoint.matrix(f"{at}.attention.output.dense"), checkpoint[f"{at}.attention.output.dense.bias"]
    scale = np.float32(each**-0.5)
    keys = key.T.reshape(heads, each, width)
    values = value.reshape(width, heads, each).transpose(1, 0, 2)

    first = graph.node("Gather", states, graph.constant(0, np.int64), axis=1)
    if 2 * each >= width:  # the folded matrices are no larger than what they replace
        queries, query_biases = query.reshape(width, heads, each).transpose(1, 0, 2), query_bias.reshape(heads, 1, each)
        folded, folded_bias = np.concatenate(queries @ keys, 1) * scale, (query_biases @ keys).ravel() * scale
        asked = graph.linear(Tensor(first), folded, folded_bias, f"{at}.query_key")
        asked = graph.node("Reshape", asked, graph.constant([-1, heads, width], np.int64))
    else:
        asked = graph.linear(Tensor(first), query * scale, query_bias * scale, f"{at}.query")
        asked = graph.node("Reshape", asked, graph.constant([-1, heads, each], np.int64))
        asked = _by_head(graph, asked, keys, f"{at}.key")
    # Every head reads the same keys and values, so the heads are rows of one head: [batch, heads, width].
    context = graph.attention((asked, states, states), 1, lengths=lengths)
    if 2 * each >= width:
        out = (values @ out.reshape(heads, each, width)).reshape(heads * width, width)
        context = graph.node("Reshape", context, graph.constant([-1, heads * width], np.int64))
    else:
        context = _by_head(graph, context, values, f"{at}.value")
        context = graph.node("Reshape", context, graph.constant([-1, width], np.int64))
    out_bias = value_bias @ checkpoint.matrix(f"{at}.attention.output.dense") + out_bias
    mixed = graph.linear(Tensor(context), out, out_bias, f"{at}.attention.output")
    middle = _norm(graph, checkpoint, graph.node("Add", mixed, first), f"{at}.attention.output.LayerNorm")
    return _feed_forward(graph, checkpoint, middle, at)


def _by_head(graph: Graph, x: str, matrices: NDArray[np.float32], name: str) -> str:
    """Multiply ``x`` ``[batch, heads, k]`` by ``matrices`` ``[heads, k, n]``, head by head: ``[batch, heads, n]``.

    A row of zeros goes along: the product of a single row takes another kernel, whose sums differ in the last bits,
    and a passage alone must score as in company.
    """
    heads, k, _ = matrices.shape
    rows = graph.node("Concat", x, graph.constant(np.zeros((1, heads, k)), name=f"{name}.zeros"), axis=0)
    product = graph.node("MatMul", graph.node("Transpose", rows, perm=[1, 0, 2]), graph.constant(matrices, name=name))
    product = graph.node("Transpose", product, perm=[1, 0, 2])
    begin, end = graph.constant([0], np.int64), graph.constant([-1], np.int64)
    return graph.node("Slice", product, begin, end, begin)


def _feed_forward(graph: Graph, checkpoint: Checkpoint, x: str, at: str) -> str:
    up, down = f"{at}.intermediate.dense", f"{at}.output.dense"
    inner = graph.quantise(x, f"{at}.middle")
    active = graph.linear(inner, checkpoint.matrix(up), checkpoint[f"{up}.bias"], up)
    active = graph.relu(active) if checkpoint.activation == "relu" else graph.node("Gelu", active)
    outer = graph.linear(
        graph.quantise(active, f"{at}.inner"), checkpoint.matrix(down), checkpoint[f"{down}.bias"], down
    )
    return _norm(graph, checkpoint, graph.node("Add", outer, x), f"{at}.output.LayerNorm")


def _head(graph: Graph, checkpoint: Checkpoint, first: str) -> str:
    for name in checkpoint.head:
        if name == "tanh":
            first = graph.node("Tanh", first)
        else:
            first = graph.linear(Tensor(first), checkpoint.matrix(name), checkpoint[f"{name}.bias"], name)
    return first


def _norm(graph: Graph, checkpoint: Checkpoint, x: str, name: str) -> str:
    return graph.norm(x, checkpoint[f"{name}.weight"], checkpoint[f"{name}.bias"], name, checkpoint.epsilon)
