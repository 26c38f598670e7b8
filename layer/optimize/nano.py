"""The nano's deployed graph: the formulae of ``layer.train.model``, in the primitives that cost least.

What differs from the formulae as written there, without changing what they compute:

- Static embeddings are turned by a Hadamard matrix, and what reads them is turned back: no product of two embeddings
  changes, and all coordinates become alike, so that four bits each suffice. A row's first half lies in the lower four
  bits of its bytes. As uint8 they enter an int8 product as they are; their scale goes into the match's factor.
- "A token attends to its own segment" is a product of two columns, (is query, is passage) times what each key allows.
- Distances stop at ``FARTHEST``: e^-40 adds nothing, and past e^-87 a processor slows down tenfold on denormals.
- Both segments are pooled at once, and both match matrices reduced at once: nodes on little data cost what their
  number costs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from onnx import TensorProto
from scipy.linalg import hadamard

from layer.optimize.graph import MASKED, MICROSOFT, Graph, Range, Tensor

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    Weights = Mapping[str, NDArray[np.float32]]

HEADS = 2
WINDOW = 512
SOFT_FLOOR = 0.5
LENGTH_SCALE = 128.0
FARTHEST = 40.0
EARLY = 12.0
# Fifteen levels, a third of a standard deviation apart: the least squared error for normally distributed numbers.
LEVELS, STEP = 7, 0.36
INPUTS = ("input_ids", "attention_mask", "token_type_ids")


def save(weights: Weights, ranges: Mapping[str, Range] | None, special: tuple[int, int], path: Path) -> None:
    """Write the graph of a ``Nano``'s state dictionary; in fp32 where ``ranges`` is None.

    ``ranges`` are of the inputs of qkv, out, up, down, joint and joint_down; ``special``: [CLS] and [SEP].
    """
    nano = _Nano(weights, ranges, special)
    nano.graph.save(path, INPUTS, nano.logits())


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
        # 0, 1: padding; 2: a token of the query; 3: a token of the passage
        kind = g.node("Add", g.node("Mul", "attention_mask", g.constant(2, np.int64)), "token_type_ids")
        codes = self._codes()
        static = g.node("DequantizeLinear", codes.name, g.constant(1.0), codes.zero) if codes.zero else codes.name
        states = self._layer(codes, kind)

        special = [g.node("Equal", "input_ids", g.constant(token, np.int64)) for token in self.special]
        plain = g.node("Where", g.node("Or", *special), g.constant(0, np.int64), kind)
        # [batch, 2, tokens]: 1 at the query's tokens, 1 at the passage's
        keep = g.node(
            "Transpose", g.node("Gather", g.constant([[0, 0], [0, 0], [1, 0], [0, 1]]), plain), perm=[0, 2, 1]
        )
        longest = g.node("ReduceMax", self._sum(g.node("Gather", g.constant([0, 0, 1, 0]), kind), 1), keepdims=0)
        upto = self._expand(g.node("Cast", longest, to=TensorProto.INT64), 0)

        def of_query(x: str, axis: int = 1) -> str:
            return g.node("Slice", x, g.constant([0], np.int64), upto, g.constant([axis], np.int64))

        asked = of_query(states)
        share = self._shares(asked, of_query("input_ids"), of_query(keep, 2))
        lengths = g.node("Max", self._sum(keep, 2, keepdims=0), g.constant(1.0))
        passage = g.node("Gather", keep, g.constant([1], np.int64), axis=1)
        passage_length = g.node("Gather", lengths, g.constant([1], np.int64), axis=1)
        features = [
            *self._match(of_query(static), static, asked, states, passage),
            *self._exact(plain, of_query, passage, passage_length),
            share,
        ]
        terms = g.node("Concat", *features, axis=1)
        for part in ("0", "2"):
            name = f"per_term.{part}"
            terms = g.node("MatMul", g.constant(w[f"{name}.weight"], name=f"{name}.weight"), terms)
            terms = g.node("Add", terms, g.constant(w[f"{name}.bias"][:, None], name=f"{name}.bias"))
            terms = g.node("Relu", terms) if part == "0" else terms
        terms = self._sum(g.node("Mul", terms, share), 2, keepdims=0)
        logs = g.node("Mul", g.node("Log", lengths), g.constant(0.25))
        whole = g.node("Concat", terms, *self._products(static, states, keep), logs, axis=1)
        straight = self._gemm(whole, "linear", g.constant(w["linear.bias"], name="linear.bias"))
        hidden = g.node("Relu", self._gemm(whole, "score.0", g.constant(w["score.0.bias"], name="score.0.bias")))
        last = g.constant(w["score.2.bias"], name="score.2.bias")
        return self._gemm(hidden, "score.2", g.node("Add", straight, last))

    def _codes(self) -> Tensor:
        """The static embeddings ``[batch, tokens, size]``: float32, or uint8 in steps of ``unit`` from 8."""
        g = self.graph
        if g.ranges is None:
            return Tensor(g.node("Gather", g.constant(self.table, name="embedding"), "input_ids"))
        zero = LEVELS + 1
        steps = (np.clip(np.rint(self.table / self.unit), -LEVELS, LEVELS) + zero).astype(np.uint8)
        low, high = np.split(steps, 2, axis=1)
        found = g.node("Gather", g.constant(low | high << 4, np.uint8, "embedding"), "input_ids")
        halves = [
            g.node("BitwiseAnd", found, g.constant(15, np.uint8)),
            g.node("BitShift", found, g.constant(4, np.uint8), direction="RIGHT"),
        ]
        return Tensor(g.node("Concat", *halves, axis=-1), g.constant(self.unit), g.constant(zero, np.uint8))

    def _layer(self, codes: Tensor, kind: str) -> str:
        """The transformer layer: unit states float32 ``[batch, tokens, width]``."""
        g, w, width = self.graph, self.weights, self.width
        inward = g.linear(codes, w["inward.weight"].T, None, "inward")
        x = g.node("Add", inward, g.node("Gather", g.constant(w["segment"], name="segment"), "token_type_ids"))
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
        context = g.attention(projected, HEADS, added=self._attended(kind))
        out = w["out.weight"].T
        mixed = g.linear(g.quantise(context, "out"), out, value_bias @ out + w["out.bias"], "out")
        y = g.norm(g.node("Add", x, mixed), w["norm.weight"], w["norm.bias"], "norm", 1e-5)
        inner = g.relu(g.linear(g.quantise(y, "up"), w["up.weight"].T, w["up.bias"], "up"))
        outer = g.linear(g.quantise(inner, "down"), w["down.weight"].T, w["down.bias"], "down")
        return g.norm(g.node("Add", y, outer), np.full(width, 1 / self.root), None, "unit", 1e-6)

    def _attended(self, kind: str) -> str:
        """What each head adds to its scores: float32 ``[batch, heads, tokens, tokens]``."""
        g = self.graph
        mine = g.node("Gather", g.constant([[1, 0], [0, 1]]), "token_type_ids")
        allowed = g.constant([[MASKED, MASKED], [MASKED, MASKED], [0, MASKED], [MASKED, 0]])
        same = g.node("FusedMatMul", mine, g.node("Gather", allowed, kind), domain=MICROSOFT, transB=1)
        length = g.node("Shape", kind, start=1, end=2)
        place = g.node("Slice", g.constant(np.arange(WINDOW), name="places"), g.constant([0], np.int64), length)
        distance = g.node("Abs", g.node("Sub", place, self._expand(place, 1)))
        # Only the first head prefers what is near.
        far = g.node("Min", distance, g.constant(FARTHEST))
        return g.node("Min", self._expand(same, 1), g.node("Mul", far, g.constant([[[-1]], [[0]]])))

    def _shares(self, asked: str, ids: str, keep: str) -> str:
        """Each query token's share of the query: float32 ``[batch, 1, query tokens]``."""
        g, w = self.graph, self.weights
        importance = g.constant(w["importance.weight"] * self.root, name="importance.weight")
        weight = g.node("FusedMatMul", importance, asked, domain=MICROSOFT, transB=1)
        prior = self._expand(self._vocabulary("term_weight", w["term.weight"][:, 0] + w["importance.bias"], ids), 1)
        kept = g.node("Gather", keep, g.constant([0], np.int64), axis=1)
        raw = g.node("Mul", g.node("Softplus", g.node("Add", weight, prior)), kept)
        return g.node("LpNormalization", raw, axis=-1, p=1)

    def _match(self, asked_static: str, static: str, asked: str, states: str, passage: str) -> list[str]:
        """Best and summed similarity of each query token: two float32 ``[batch, 2, query tokens]``."""
        g = self.graph
        scale = float(self.unit) ** 2 / self.size
        one = g.node("FusedMatMul", asked_static, static, domain=MICROSOFT, transB=1, alpha=scale)
        two = g.node("FusedMatMul", asked, states, domain=MICROSOFT, transB=1)
        both = g.node("Mul", g.node("Concat", one, two, axis=1), passage)
        best = g.node("Relu", g.node("ReduceMax", both, g.constant([2], np.int64), keepdims=0))
        above = self._sum(g.node("Relu", g.node("Sub", both, g.constant(SOFT_FLOOR))), 2, keepdims=0)
        soft = g.node("Log", g.node("Add", above, g.constant(1.0)))
        return [g.node("Reshape", x, g.constant([0, 2, -1], np.int64)) for x in (best, soft)]

    def _exact(self, plain: str, of_query: Callable[[str], str], passage: str, passage_length: str) -> list[str]:
        """How often each query token's stem is in the passage, saturated as in BM25; if its neighbours are there too.

        Four float32 ``[batch, 1, query tokens]``: the count, the right neighbour, the left one, how early it comes.
        """
        g, w = self.graph, self.weights
        table = g.constant(w["stems"], np.uint16, "stems")
        stems = g.node("Cast", g.node("Gather", table, "input_ids"), to=TensorProto.INT64)

        def stems_of(kind: int, otherwise: int) -> str:
            mine = g.node("Equal", plain, g.constant(kind, np.int64))
            return g.node("Where", mine, stems, g.constant(otherwise, np.int64))

        asked, there = self._expand(of_query(stems_of(2, -1)), 2), self._expand(stems_of(3, -2), 1)
        found = g.node("Cast", g.node("Equal", asked, there), to=TensorProto.FLOAT)
        count = self._sum(found, 2, keepdims=0)
        k1, b = np.log1p(np.exp(w["saturation"][0])), 1 / (1 + np.exp(-w["saturation"][1]))
        norm = g.node("Mul", passage_length, g.constant(k1 * b / LENGTH_SCALE))
        norm = g.node("Add", norm, g.constant(k1 * (1 - b)))
        saturated = g.node("Div", count, g.node("Add", count, norm))

        def shifted(begin: int, end: int) -> str:
            bounds = [g.constant([bound, bound], np.int64) for bound in (begin, end)]
            return g.node("Slice", found, *bounds, g.constant([1, 2], np.int64))

        pairs = self._sum(g.node("Mul", shifted(0, -1), shifted(1, WINDOW)), 2, keepdims=0)
        pairs = g.node("Min", pairs, g.constant(1.0))
        right, left = (g.node("Pad", pairs, g.constant(pads, np.int64)) for pads in ([0, 0, 0, 1], [0, 1, 0, 0]))
        number = g.node("CumSum", passage, g.constant(2, np.int64))  # from 1
        fading = g.node("Exp", g.node("Mul", g.node("Sub", g.constant(1.0), number), g.constant(1 / EARLY)))
        early = g.node("FusedMatMul", fading, found, domain=MICROSOFT, transB=1)
        return [*(self._expand(x, 1) for x in (saturated, right, left)), g.node("Min", early, g.constant(1.0))]

    def _products(self, static: str, states: str, keep: str) -> list[str]:
        """Cosines of the segments' pooled static embeddings and of their joint vectors, and need times offer.

        Three float32 ``[batch, 1]``.
        """
        g, w = self.graph, self.weights
        pools = len(w["pools.weight"])
        prior = self._expand(self._vocabulary("pool_weight", w["term.weight"][:, 1], "input_ids"), 1)
        # Adding to all scores of a pool changes nothing: its bias is left out.
        matrix = g.constant(w["pools.weight"] * self.root, name="pools.weight")
        scores = g.node("FusedMatMul", matrix, states, domain=MICROSOFT, transB=1)
        scores = g.node("Add", scores, g.node("Mul", g.constant(w["pools_static"][:, None], name="pools.prior"), prior))
        hidden = g.node("Mul", g.node("Sub", keep, g.constant(1.0)), g.constant(-MASKED))
        shares = g.node("Softmax", g.node("Add", self._expand(scores, 1), self._expand(hidden, 2)), axis=-1)
        shares = g.node("Mul", shares, self._expand(keep, 2))  # a segment without a token pools to nothing, not to pads
        shares = g.node("Reshape", shares, g.constant([0, 2 * pools, -1], np.int64))
        pooled = g.node("Reshape", g.node("MatMul", shares, states), g.constant([-1, pools * self.width], np.int64))
        flat = g.node("MatMul", g.node("Mul", g.node("Softplus", prior), keep), static)
        flat = g.node("LpNormalization", g.node("Reshape", flat, g.constant([-1, self.size], np.int64)), axis=-1, p=2)
        both = g.quantise(g.node("Concat", flat, pooled, axis=1), "joint")
        inner = g.linear(both, w["joint_up.weight"].T * self.root, w["joint_up.bias"], "joint_up")
        bent = g.quantise(g.relu(inner), "joint_down")
        straight = g.linear(both, w["joint.weight"].T * self.root, None, "joint")
        joint = g.node("Add", straight, g.linear(bent, w["joint_down.weight"].T, None, "joint_down"))
        joint = g.node("LpNormalization", joint, axis=-1, p=2)
        # Each text's need and offer; of the query the need is kept, of the passage the offer.
        wide = len(w["need.weight"])
        each = g.linear(bent, np.vstack([w["need.weight"], w["offer.weight"]]).T, None, "need")
        each = g.node("Reshape", each, g.constant([-1, 4 * wide], np.int64))
        kept = g.constant([*range(wide), *range(3 * wide, 4 * wide)], np.int64)
        need = g.node("Gather", each, kept, axis=1)
        return [self._product(x, n) for x, n in ((flat, self.size), (joint, len(w["joint.weight"])), (need, wide))]

    def _product(self, vectors: str, size: int) -> str:
        """Multiply the vectors of query and passage, which take turns: ``[2 batch, n]`` to ``[batch, 1]``."""
        g = self.graph
        turns = g.node("Reshape", vectors, g.constant([-1, 2, size], np.int64))
        return self._sum(g.node("ReduceProd", turns, g.constant([1], np.int64), keepdims=0), 1)

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
