"""The nano's deployed graph: the formulae of ``layer.train.model``, in the primitives that cost least.

What differs from the formulae as written there, without changing what they compute:

- The rows of a batch hold one query, which is encoded once: that of the first row. A token attends to its own segment
  alone, so a passage is encoded without it.
- Static embeddings are turned by a Hadamard matrix, and what reads them is turned back: no product of two embeddings
  changes, and all coordinates become alike, so that four bits each suffice. A row's first half lies in the lower four
  bits of its bytes. As uint8 they enter an int8 product as they are; their scale goes into the match's factor.
- Distances stop at ``FARTHEST``: e^-40 adds nothing, and past e^-87 a processor slows down tenfold on denormals.
- Both match matrices are reduced at once, and all texts' joint vectors made at once: nodes on little data cost what
  their number costs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from onnx import TensorProto
from scipy.linalg import hadamard

from layer.optimize.graph import MICROSOFT, Graph, Range, Tensor

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    Weights = Mapping[str, NDArray[np.float32]]

HEADS = 2
WINDOW = 512
SOFT_FLOOR = 0.5
LENGTH_SCALE = 128.0
FARTHEST = 40.0
EARLY = 12.0
# What is added to the score of a masked token. e^-60 is lost in any float32 sum beside e^0, and unlike the usual
# -10,000 it keeps exponentials out of the denormal numbers: there one masked token in ten slows Softmax threefold.
MASKED = -60.0
# Fifteen levels, a third of a standard deviation apart: the least squared error for normally distributed numbers.
LEVELS, STEP = 7, 0.36
INPUTS = ("input_ids", "attention_mask", "token_type_ids")


def save(weights: Weights, ranges: Mapping[str, Range] | None, special: tuple[int, int], path: Path) -> None:
    """Write the graph of a ``Nano``'s state dictionary; in fp32 where ``ranges`` is None.

    ``ranges`` are of the inputs of qkv, out, up, down, joint and joint_down; ``special``: [CLS] and [SEP].
    """
    nano = _Nano(weights, ranges, special)
    nano.graph.save(path, INPUTS, nano.logits())


class _Side(NamedTuple):
    """Texts of one segment and what is computed of each alone.

    ``ids`` int64 and ``keep`` float32, 1 at tokens that are matched and pooled, ``[texts, 1, tokens]``; ``static`` and
    ``states`` float32 ``[texts, tokens, size]`` and ``[texts, tokens, width]``.
    """

    ids: str
    keep: str
    static: str
    states: str


class _Nano:
    def __init__(self, weights: Weights, ranges: Mapping[str, Range] | None, special: tuple[int, int]) -> None:
        rows = weights["embedding.weight"]
        self.special, self.size, self.width = special, rows.shape[1], len(weights["norm.weight"])
        self.root = np.float32(np.sqrt(self.width))
        turn = (hadamard(self.size) / np.sqrt(self.size)).astype(np.float32)
        turned = {
            name: np.hstack([weights[name][:, : self.size] @ turn, weights[name][:, self.size :]])
            for name in ("inward.weight", "joint.weight", "joint_up.weight")
        }
        self.weights = {**weights, **turned}
        self.table = rows / np.linalg.norm(rows, axis=1, keepdims=True) @ turn * np.float32(np.sqrt(self.size))
        self.unit = np.float32(1.0 if ranges is None else STEP)
        if ranges is not None:
            ranges = {**ranges, "joint": Range(*(end / float(self.root) for end in ranges["joint"]))}
        self.graph = Graph(ranges)

    def logits(self) -> str:
        """Append the whole model and return its logits ``[batch, 1]``."""
        g, w = self.graph, self.weights
        zero = g.constant([0], np.int64)
        # Every row begins with the query, whose tokens are of type 0: the first row's is read.
        asked = g.node("Sub", "attention_mask", "token_type_ids")
        begin = self._sum(g.node("Gather", asked, zero, axis=0), 1, keepdims=0)

        def of_query(x: str, axis: int = 1) -> str:
            return g.node("Slice", x, zero, begin, g.constant([axis], np.int64))

        def of_passage(x: str, axis: int = 1) -> str:
            return g.node("Slice", x, begin, g.constant([WINDOW], np.int64), g.constant([axis], np.int64))

        special = [g.node("Equal", "input_ids", g.constant(token, np.int64)) for token in self.special]
        read = g.node("Cast", "attention_mask", to=TensorProto.FLOAT)
        keep = self._expand(g.node("Where", g.node("Or", *special), g.constant(0.0), read), 1)
        keep_asked, keep_passage = of_query(keep, 2), of_passage(keep, 2)
        first = g.node("Gather", "input_ids", zero, axis=0)
        query = self._side(of_query(first), g.node("Gather", keep_asked, zero, axis=0), 0)
        passage = self._side(of_passage("input_ids"), keep_passage, 1, g.lengths("token_type_ids"))

        share = self._shares(query)
        counts = [self._sum(x, 2, keepdims=0) for x in (keep_asked, keep_passage)]
        lengths = g.node("Max", g.node("Concat", *counts, axis=1), g.constant(1.0))
        passage_length = self._expand(g.node("Gather", lengths, g.constant([1], np.int64), axis=1), 1)
        features = [
            *self._match(query, passage),
            *self._exact(query, passage, passage_length),
            g.node("Mul", share, keep_asked),  # the same for every passage
        ]
        terms = g.node("Concat", *features, axis=1)
        for part in ("0", "2"):
            name = f"per_term.{part}"
            terms = g.node("MatMul", g.constant(w[f"{name}.weight"], name=f"{name}.weight"), terms)
            terms = g.node("Add", terms, g.constant(w[f"{name}.bias"][:, None], name=f"{name}.bias"))
            terms = g.node("Relu", terms) if part == "0" else terms
        terms = self._sum(g.node("Mul", terms, share), 2, keepdims=0)
        logs = g.node("Mul", g.node("Log", lengths), g.constant(0.25))
        whole = g.node("Concat", terms, *self._products(query, passage), logs, axis=1)
        straight = self._gemm(whole, "linear", g.constant(w["linear.bias"], name="linear.bias"))
        hidden = g.node("Relu", self._gemm(whole, "score.0", g.constant(w["score.0.bias"], name="score.0.bias")))
        last = g.constant(w["score.2.bias"], name="score.2.bias")
        return self._gemm(hidden, "score.2", g.node("Add", straight, last))

    def _side(self, ids: str, keep: str, segment: int, lengths: str = "") -> _Side:
        """Encode texts of one segment, int64 ``[texts, tokens]``; ``lengths`` ``[texts]`` where some are padded."""
        g = self.graph
        codes = self._codes(ids)
        static = g.node("DequantizeLinear", codes.name, g.constant(1.0), codes.zero) if codes.zero else codes.name
        return _Side(self._expand(ids, 1), keep, static, self._layer(codes, ids, segment, lengths))

    def _codes(self, ids: str) -> Tensor:
        """The static embeddings ``[batch, tokens, size]``: float32, or uint8 in steps of ``unit`` from 8."""
        g = self.graph
        if g.ranges is None:
            return Tensor(g.node("Gather", g.constant(self.table, name="embedding"), ids))
        zero = LEVELS + 1
        steps = (np.clip(np.rint(self.table / self.unit), -LEVELS, LEVELS) + zero).astype(np.uint8)
        low, high = np.split(steps, 2, axis=1)
        found = g.node("Gather", g.constant(low | high << 4, np.uint8, "embedding"), ids)
        halves = [
            g.node("BitwiseAnd", found, g.constant(15, np.uint8)),
            g.node("BitShift", found, g.constant(4, np.uint8), direction="RIGHT"),
        ]
        return Tensor(g.node("Concat", *halves, axis=-1), g.constant(self.unit), g.constant(zero, np.uint8))

    def _layer(self, codes: Tensor, ids: str, segment: int, lengths: str) -> str:
        """The transformer layer: unit states float32 ``[texts, tokens, width]``."""
        g, w, width = self.graph, self.weights, self.width
        inward = g.linear(codes, w["inward.weight"].T, None, "inward")
        x = g.node("Add", inward, g.constant(w["segment"][segment], name=f"segment.{segment}"))
        query, key, value = np.split(w["qkv.weight"].T, 3, axis=1)
        query_bias, _, value_bias = np.split(w["qkv.bias"], 3)
        scale = np.float32((width // HEADS) ** -0.5)
        attention = {
            "query": query * scale,
            "query_bias": query_bias * scale,
            "key": key,
            "value": value,
        }
        entering = g.quantise(x, "qkv")
        projected = g.projections(entering, attention, "attention")
        context = g.attention(projected, HEADS, added=self._nearness(ids), lengths=lengths)
        out = w["out.weight"].T
        mixed = g.linear(g.quantise(context, "out"), out, value_bias @ out + w["out.bias"], "out")
        y = g.norm(g.node("Add", x, mixed), w["norm.weight"], w["norm.bias"], "norm", 1e-5)
        inner = g.relu(g.linear(g.quantise(y, "up"), w["up.weight"].T, w["up.bias"], "up"))
        outer = g.linear(g.quantise(inner, "down"), w["down.weight"].T, w["down.bias"], "down")
        return g.norm(g.node("Add", y, outer), np.full(width, 1 / self.root), None, "unit", 1e-6)

    def _nearness(self, ids: str) -> str:
        """What each head adds to its scores, float32 ``[1, heads, tokens, tokens]``: the first prefers what is near."""
        g = self.graph
        length = g.node("Shape", ids, start=1, end=2)
        place = g.node("Slice", g.constant(np.arange(WINDOW), name="places"), g.constant([0], np.int64), length)
        distance = g.node("Abs", g.node("Sub", place, self._expand(place, 1)))
        return g.node("Mul", g.node("Min", distance, g.constant(FARTHEST)), g.constant([[[[-1]], [[0]]]]))

    def _shares(self, query: _Side) -> str:
        """Each query token's share of the query: float32 ``[1, 1, query tokens]``."""
        g, w = self.graph, self.weights
        importance = g.constant(w["importance.weight"] * self.root, name="importance.weight")
        weight = g.node("FusedMatMul", importance, query.states, domain=MICROSOFT, transB=1)
        prior = self._vocabulary("term_weight", w["term.weight"][:, 0] + w["importance.bias"], query.ids)
        raw = g.node("Mul", g.node("Softplus", g.node("Add", weight, prior)), query.keep)
        return g.node("LpNormalization", raw, axis=-1, p=1)

    def _match(self, query: _Side, passage: _Side) -> list[str]:
        """Best and summed similarity of each query token: two float32 ``[batch, 2, query tokens]``."""
        g = self.graph
        scale = float(self.unit) ** 2 / self.size
        one = g.node("FusedMatMul", query.static, passage.static, domain=MICROSOFT, transB=1, alpha=scale)
        two = g.node("FusedMatMul", query.states, passage.states, domain=MICROSOFT, transB=1)
        both = g.node("Mul", g.node("Concat", one, two, axis=1), passage.keep)
        best = g.node("Relu", g.node("ReduceMax", both, g.constant([2], np.int64), keepdims=0))
        above = self._sum(g.node("Relu", g.node("Sub", both, g.constant(SOFT_FLOOR))), 2, keepdims=0)
        soft = g.node("Log", g.node("Add", above, g.constant(1.0)))
        return [g.node("Reshape", x, g.constant([0, 2, -1], np.int64)) for x in (best, soft)]

    def _exact(self, query: _Side, passage: _Side, passage_length: str) -> list[str]:
        """How often each query token's stem is in the passage, saturated as in BM25; if its neighbours are there too.

        Four float32 ``[batch, 1, query tokens]``: the count, the right neighbour, the left one, how early it comes.
        """
        g, w = self.graph, self.weights
        table = g.constant(w["stems"] + 2, np.uint16, "stems")

        def stems_of(side: _Side) -> str:
            """Stems from 2 on, and 0 for what is none."""
            return g.node("Mul", g.node("Cast", g.node("Gather", table, side.ids), to=TensorProto.FLOAT), side.keep)

        there = g.node("Max", stems_of(passage), g.constant(1.0))  # what is no stem there is none of the query's either
        there = g.node("Reshape", there, g.constant([0, -1, 1], np.int64))
        found = g.node("Cast", g.node("Equal", there, stems_of(query)), to=TensorProto.FLOAT)  # [batch, passage, query]
        count = self._sum(found, 1)
        k1, b = np.log1p(np.exp(w["saturation"][0])), 1 / (1 + np.exp(-w["saturation"][1]))
        norm = g.node("Mul", passage_length, g.constant(k1 * b / LENGTH_SCALE))
        norm = g.node("Add", norm, g.constant(k1 * (1 - b)))
        saturated = g.node("Div", count, g.node("Add", count, norm))

        def shifted(begin: int, end: int) -> str:
            bounds = [g.constant([bound, bound], np.int64) for bound in (begin, end)]
            return g.node("Slice", found, *bounds, g.constant([1, 2], np.int64))

        pairs = self._sum(g.node("Mul", shifted(0, -1), shifted(1, WINDOW)), 1)
        pairs = g.node("Min", pairs, g.constant(1.0))
        pads = ([0, 0, 0, 0, 0, 1], [0, 0, 1, 0, 0, 0])
        right, left = (g.node("Pad", pairs, g.constant(pad, np.int64)) for pad in pads)
        number = g.node("CumSum", passage.keep, g.constant(2, np.int64))  # from 1
        fading = g.node("Exp", g.node("Mul", g.node("Sub", g.constant(1.0), number), g.constant(1 / EARLY)))
        early = g.node("MatMul", fading, found)
        return [saturated, right, left, g.node("Min", early, g.constant(1.0))]

    def _products(self, query: _Side, passage: _Side) -> list[str]:
        """Cosines of the segments' pooled static embeddings and of their joint vectors, and need times offer.

        Three float32 ``[batch, 1]``.
        """
        g, w = self.graph, self.weights
        flats, pools = zip(*map(self._pooled, (query, passage)), strict=True)
        # The query's row first, then the passages'.
        rows = [g.node("Concat", *row, axis=1) for row in zip(flats, pools, strict=True)]
        both = g.quantise(g.node("Concat", *rows, axis=0), "joint")
        inner = g.linear(both, w["joint_up.weight"].T * self.root, w["joint_up.bias"], "joint_up")
        bent = g.quantise(g.relu(inner), "joint_down")
        straight = g.linear(both, w["joint.weight"].T * self.root, None, "joint")
        joint = g.node("Add", straight, g.linear(bent, w["joint_down.weight"].T, None, "joint_down"))
        joint = g.node("LpNormalization", joint, axis=-1, p=2)
        wide = len(w["need.weight"])
        each = g.linear(bent, np.vstack([w["need.weight"], w["offer.weight"]]).T, None, "need")

        def part(x: str, row: tuple[int, int], column: tuple[int, int]) -> str:
            ends = [g.constant(bounds, np.int64) for bounds in zip(row, column, strict=True)]
            return g.node("Slice", x, *ends)

        first, others, all_of = (0, 1), (1, np.iinfo(np.int64).max), (0, np.iinfo(np.int64).max)
        pairs = [
            flats,
            (part(joint, first, all_of), part(joint, others, all_of)),
            (part(each, first, (0, wide)), part(each, others, (wide, 2 * wide))),
        ]
        return [self._sum(g.node("Mul", *pair), 1) for pair in pairs]

    def _pooled(self, side: _Side) -> tuple[str, str]:
        """A text's unit static vector ``[texts, size]`` and its pooled states ``[texts, pools * width]``."""
        g, w = self.graph, self.weights
        pools = len(w["pools.weight"])
        prior = self._vocabulary("pool_weight", w["term.weight"][:, 1], side.ids)
        # Adding to all scores of a pool changes nothing: its bias is left out.
        matrix = g.constant(w["pools.weight"] * self.root, name="pools.weight")
        scores = g.node("FusedMatMul", matrix, side.states, domain=MICROSOFT, transB=1)
        scores = g.node("Add", scores, g.node("Mul", g.constant(w["pools_static"][:, None], name="pools.prior"), prior))
        hidden = g.node("Mul", g.node("Sub", side.keep, g.constant(1.0)), g.constant(-MASKED))
        shares = g.node("Softmax", g.node("Add", scores, hidden), axis=-1)
        shares = g.node("Mul", shares, side.keep)  # a segment without a token pools to nothing, not to pads
        pooled = g.node("MatMul", shares, side.states)
        flat = g.node("MatMul", g.node("Mul", g.node("Softplus", prior), side.keep), side.static)
        flat = g.node("Reshape", flat, g.constant([-1, self.size], np.int64))
        flat = g.node("LpNormalization", flat, axis=-1, p=2)
        return flat, g.node("Reshape", pooled, g.constant([-1, pools * self.width], np.int64))

    def _vocabulary(self, name: str, values: NDArray[np.float32], ids: str) -> str:
        """Look up one number per token, kept as uint8 where the graph is int8."""
        g = self.graph
        if g.ranges is None:
            return g.node("Gather", g.constant(values, name=name), ids)
        low, high = min(float(np.min(values)), 0.0), max(float(np.max(values)), 0.0)
        step = (high - low) / 255
        zero = round(-low / step)
        steps = np.clip(np.rint(values / step) + zero, 0, 255)
        found = g.node("Gather", g.constant(steps, np.uint8, name), ids)
        return g.node("DequantizeLinear", found, g.constant(step), g.constant(zero, np.uint8))

    def _gemm(self, x: str, name: str, added: str) -> str:
        weight = self.graph.constant(self.weights[f"{name}.weight"], name=f"{name}.weight")
        return self.graph.node("Gemm", x, weight, added, transB=1)

    def _sum(self, x: str, axis: int, *, keepdims: int = 1) -> str:
        return self.graph.node("ReduceSum", x, self.graph.constant([axis], np.int64), keepdims=keepdims)

    def _expand(self, x: str, axis: int) -> str:
        return self.graph.node("Unsqueeze", x, self.graph.constant([axis], np.int64))
