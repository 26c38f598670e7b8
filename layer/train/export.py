"""Step 5: the trained student as the ONNX file that ships (the formulae are those of :mod:`layer.train.model`).

Activations are quantised to uint8 with scales fixed at calibration, so that a passage's score cannot depend on its
batch; weights stay within 63 of int8's 127, because kernels for processors that have AVX2 alone add two products in 16
bits.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnx import TensorProto

from layer.train.graph import MICROSOFT, Graph, to_int8
from layer.train.model import (
    EMBEDDING_LIMIT,
    HEADS,
    LENGTH_SCALE,
    POOLS,
    ROOT,
    SLOPES,
    SOFT_FLOOR,
    WEIGHT_LIMIT,
    WIDTH,
    Nano,
)
from layer.train.tokens import CLS, SEP

Array = NDArray[np.float32]
WINDOW = 512
FAR = -1e4


class Writer(Graph):
    """The student's graph; ``ranges`` gives the largest magnitude seen at each quantised input, or is empty for
    float32.
    """

    def __init__(self, net: Nano, ranges: dict[str, float]) -> None:
        super().__init__()
        self.ranges = ranges
        self.p = {name: tensor.detach().float().numpy() for name, tensor in net.state_dict().items()}

    def linear(self, x: str, name: str, weight: Array, bias: Array, *, positive: bool = False) -> str:
        """Multiply by ``weight`` [in, out] and add ``bias``; in int8 where there is a range for it.

        With ``positive`` the input goes through ReLU, which int8 gets for free: its zero point is 0.
        """
        if not self.ranges:
            x = self.node("Relu", x) if positive else x
            return str(
                self.node(
                    "Add", self.node("MatMul", x, self.constant(f"{name}_w", weight)), self.constant(f"{name}_b", bias)
                )
            )
        weight8, scale = to_int8(weight, WEIGHT_LIMIT, 0)
        step = np.float32(self.ranges[name] / (255 if positive else 127))
        a_scale, a_zero = (
            self.constant(f"{name}_a", step),
            self.constant(f"{name}_az", np.uint8(0 if positive else 128)),
        )
        x8 = self.node("QuantizeLinear", x, a_scale, a_zero)
        inputs = [x8, self.constant(f"{name}_w", weight8), a_scale, self.constant(f"{name}_s", scale), a_zero]
        inputs += [self.constant(f"{name}_z", np.zeros(scale.shape, np.int8)), self.constant(f"{name}_b", bias)]
        return str(self.node("MatMulIntegerToFloat", *inputs, domain=MICROSOFT))

    def table(self, name: str, values: Array, ids: str) -> str:
        """Gather rows of ``values`` [vocabulary] kept as uint8."""
        if not self.ranges:
            return str(self.node("Gather", self.constant(name, values), ids))
        low = np.min(values)
        step = (np.max(values) - low) / 255
        small = np.round((values - low) / step).astype(np.uint8)
        real = self.node("Cast", self.node("Gather", self.constant(name, small), ids), to=TensorProto.FLOAT)
        return str(self.node("Add", self.node("Mul", real, self.real(float(step))), self.real(float(low))))

    def embed(self, ids: str) -> str:
        """Return sqrt(d) times the unit static embeddings."""
        rows = self.p["embedding.weight"]
        rows = rows / np.linalg.norm(rows, axis=1, keepdims=True)
        if not self.ranges:
            return str(self.node("Gather", self.constant("embedding", rows * ROOT), ids))
        rows8, scale = to_int8(rows * ROOT, EMBEDDING_LIMIT, None)
        return str(
            self.node(
                "DequantizeLinear",
                self.node("Gather", self.constant("embedding", rows8), ids),
                self.constant("embedding_s", scale),
            )
        )

    def unsqueeze(self, x: str, axis: int) -> str:
        """Insert an axis of length one."""
        return str(self.node("Unsqueeze", x, self.ints(axis)))

    def layer(self, x: str, code: str) -> str:
        """Return unit states; ``code`` [batch, tokens] tells query, passage and padding apart."""
        p = self.p
        scale = (WIDTH // HEADS) ** -0.5
        weight, bias = p["qkv.weight"].T.copy(), p["qkv.bias"].copy()
        weight[:, :WIDTH] *= scale
        bias[:WIDTH] *= scale
        qkv = self.node("Reshape", self.linear(x, "qkv", weight, bias), self.ints(0, 0, 3 * HEADS, WIDTH // HEADS))
        q, k, v = self.node(
            "Split", self.node("Transpose", qkv, perm=[0, 2, 1, 3]), self.ints(HEADS, HEADS, HEADS), outputs=3, axis=1
        )
        same = self.node("Equal", self.unsqueeze(code, 2), self.unsqueeze(code, 1))
        apart = self.unsqueeze(self.node("Where", same, self.real(0.0), self.real(FAR)), 1)
        tokens = self.node("Gather", self.node("Shape", code), self.constant("one", np.int64(1)), axis=0)
        place = self.node("Range", self.constant("zero", np.int64(0)), tokens, self.constant("one", np.int64(1)))
        place = self.node("Cast", place, to=TensorProto.FLOAT)
        distance = self.node("Abs", self.node("Sub", self.unsqueeze(place, 0), self.unsqueeze(place, 1)))
        slopes = self.constant("slopes", -np.array(SLOPES, np.float32).reshape(1, HEADS, 1, 1))
        attend = self.node("Add", self.node("Mul", distance, slopes), apart)
        logits = self.node("Add", self.node("FusedMatMul", q, k, domain=MICROSOFT, transB=1), attend)
        mixed = self.node("MatMul", self.node("Softmax", logits, axis=-1), v)
        mixed = self.node("Reshape", self.node("Transpose", mixed, perm=[0, 2, 1, 3]), self.ints(0, 0, WIDTH))
        y = self.node("Add", x, self.linear(mixed, "out", p["out.weight"].T, p["out.bias"]))
        y = self.node(
            "LayerNormalization",
            y,
            self.constant("norm_w", p["norm.weight"]),
            self.constant("norm_b", p["norm.bias"]),
            epsilon=1e-5,
        )
        inner = self.linear(y, "up", p["up.weight"].T, p["up.bias"])
        z = self.node("Add", y, self.linear(inner, "down", p["down.weight"].T, p["down.bias"], positive=True))
        unit = self.constant("unit_w", np.full(WIDTH, 1 / ROOT, np.float32))
        return str(
            self.node("LayerNormalization", z, unit, self.constant("unit_b", np.zeros(WIDTH, np.float32)), epsilon=1e-6)
        )

    def normalise(self, x: str) -> str:
        """Divide the last axis by its norm."""
        norm = self.node("ReduceL2", x, axes=[-1], keepdims=1)
        return str(self.node("Div", x, self.node("Max", norm, self.real(1e-12))))

    def pool(self, logits: str, weight: str, unit: str, static: str, keep: str) -> tuple[str, str]:
        """Return the joint and the static unit vector of one segment; ``keep`` is 1.0 on its tokens [batch, tokens]."""
        hide = self.node("Mul", self.node("Sub", keep, self.real(1.0)), self.real(-FAR))
        share = self.node("Softmax", self.node("Add", logits, self.unsqueeze(hide, 1)), axis=-1)
        pooled = self.node("Reshape", self.node("MatMul", share, unit), self.ints(-1, POOLS * WIDTH))
        weighed = self.unsqueeze(self.node("Mul", self.node("Softplus", weight), keep), 1)
        flat = self.normalise(self.node("Reshape", self.node("MatMul", weighed, static), self.ints(-1, WIDTH)))
        both = self.node(
            "Concat", self.node("Mul", flat, self.real(ROOT)), self.node("Mul", pooled, self.real(ROOT)), axis=1
        )
        joint = self.linear(both, "joint", self.p["joint.weight"].T, np.zeros(len(self.p["joint.weight"]), np.float32))
        return self.normalise(joint), flat

    def perceptron(self, x: str, name: str) -> str:
        """Return a one-hidden-layer ReLU network, in float32: it is tiny."""
        for part, last in (("0", False), ("2", True)):
            weight, bias = self.p[f"{name}.{part}.weight"].T, self.p[f"{name}.{part}.bias"]
            x = self.node(
                "Add",
                self.node("MatMul", x, self.constant(f"{name}{part}_w", weight)),
                self.constant(f"{name}{part}_b", bias),
            )
            x = x if last else self.node("Relu", x)
        return x

    def write(self) -> onnx.ModelProto:
        """Return the whole model."""
        p = self.p
        ids = "input_ids"
        real = self.node("Cast", "attention_mask", to=TensorProto.FLOAT)
        kind = self.node("Cast", "token_type_ids", to=TensorProto.FLOAT)
        second = self.node("Mul", kind, real)
        code = self.node("Add", second, self.node("Mul", self.node("Sub", self.real(1.0), real), self.real(2.0)))
        special = self.node(
            "Or",
            self.node("Equal", ids, self.constant("cls", np.int64(CLS))),
            self.node("Equal", ids, self.constant("sep", np.int64(SEP))),
        )
        content = self.node("Where", special, self.real(0.0), real)
        static = self.embed(ids)
        x = self.node("Add", static, self.node("Gather", self.constant("segment", p["segment"]), "token_type_ids"))
        unit = self.layer(x, code)

        first = self.node("Sub", real, second)
        longest = self.node("ReduceMax", self.node("ReduceSum", first, self.ints(1), keepdims=0), keepdims=1)
        tokens = self.node("Cast", longest, to=TensorProto.INT64)

        def head_of(x: str, axis: int = 1) -> str:
            return str(self.node("Slice", x, self.ints(0), tokens, self.ints(axis)))

        q_keep, p_keep = head_of(self.node("Mul", content, first)), self.node("Mul", content, second)
        q_unit, q_static = head_of(unit), head_of(static)

        weight = self.table("pool_weight", p["term.weight"][:, 1], ids)
        logits = self.node("MatMul", unit, self.constant("pools_w", p["pools.weight"].T * ROOT))
        logits = self.node("Add", logits, self.constant("pools_b", p["pools.bias"]))
        logits = self.node(
            "Add", logits, self.node("Mul", self.unsqueeze(weight, 2), self.constant("pools_static", p["pools_static"]))
        )
        logits = self.node("Transpose", logits, perm=[0, 2, 1])
        q_joint, q_flat = self.pool(head_of(logits, 2), head_of(weight), q_unit, q_static, q_keep)
        p_joint, p_flat = self.pool(logits, weight, unit, static, p_keep)
        cosines = [
            self.node("ReduceSum", self.node("Mul", a, b), self.ints(-1), keepdims=1)
            for a, b in ((q_flat, p_flat), (q_joint, p_joint))
        ]

        q_weight = self.table("term_weight", p["term.weight"][:, 0], head_of(ids))
        seen = self.node("MatMul", q_unit, self.constant("importance_w", p["importance.weight"][0] * ROOT))
        raw = self.node(
            "Softplus", self.node("Add", self.node("Add", q_weight, seen), self.real(float(p["importance.bias"][0])))
        )
        raw = self.node("Mul", raw, q_keep)
        total = self.node("Max", self.node("ReduceSum", raw, self.ints(1), keepdims=1), self.real(1e-6))
        share = self.node("Div", raw, total)

        p_mask = self.unsqueeze(p_keep, 1)
        best, soft = [], []
        for q_side, p_side, alpha in ((q_static, static, 1.0 / WIDTH), (q_unit, unit, 1.0)):
            match = self.node(
                "Mul", self.node("FusedMatMul", q_side, p_side, domain=MICROSOFT, transB=1, alpha=alpha), p_mask
            )
            best.append(self.node("Relu", self.node("ReduceMax", match, axes=[-1], keepdims=0)))
            above = self.node("Relu", self.node("Sub", match, self.real(SOFT_FLOOR)))
            above = self.node("ReduceSum", above, self.ints(-1), keepdims=0)
            soft.append(self.node("Log", self.node("Add", above, self.real(1.0))))
        equal = self.node("Equal", self.unsqueeze(head_of(ids), 2), self.unsqueeze(ids, 1))
        exact = self.node(
            "Mul", self.node("Mul", self.node("Cast", equal, to=TensorProto.FLOAT), p_mask), self.unsqueeze(q_keep, 2)
        )
        counts = self.node("ReduceSum", exact, self.ints(-1), keepdims=0)
        here = self.node("Slice", exact, self.ints(0, 0), self.ints(-1, -1), self.ints(1, 2))
        there = self.node("Slice", exact, self.ints(1, 1), self.ints(WINDOW, WINDOW), self.ints(1, 2))
        right = self.node("ReduceSum", self.node("Mul", here, there), self.ints(-1), keepdims=0)
        right = self.node("Min", right, self.real(1.0))
        left = self.node("Pad", right, self.ints(0, 1, 0, 0))
        right = self.node("Pad", right, self.ints(0, 0, 0, 1))

        k1, b = float(np.log1p(np.exp(p["saturation"][0]))), float(1 / (1 + np.exp(-p["saturation"][1])))
        lengths = [
            self.node("Max", self.node("ReduceSum", keep, self.ints(1), keepdims=1), self.real(1.0))
            for keep in (q_keep, p_keep)
        ]
        norm = self.node("Add", self.node("Mul", lengths[1], self.real(k1 * b / LENGTH_SCALE)), self.real(k1 * (1 - b)))
        exact = self.node("Div", counts, self.node("Add", counts, norm))

        features = [best[0], best[1], soft[0], soft[1], exact, right, left, share]
        terms = self.perceptron(self.node("Concat", *(self.unsqueeze(f, 2) for f in features), axis=2), "per_term")
        terms = self.node("ReduceSum", self.node("Mul", terms, self.unsqueeze(share, 2)), self.ints(1), keepdims=0)
        logs = [self.node("Mul", self.node("Log", length), self.real(0.25)) for length in lengths]
        whole = self.node("Concat", terms, *cosines, *logs, axis=1)
        straight = self.node(
            "Gemm", whole, self.constant("linear_w", p["linear.weight"].T), self.constant("linear_b", p["linear.bias"])
        )
        self.node("Add", self.perceptron(whole, "score"), straight, name="logits")
        shape: list[str | int] = ["batch", "tokens"]
        inputs = {name: (int(TensorProto.INT64), shape) for name in ("input_ids", "attention_mask", "token_type_ids")}
        return self.model(inputs, {"logits": ["batch", 1]}, "nano")


def calibrate(net: Nano, rows: list[tuple[torch.Tensor, torch.Tensor, torch.Tensor]]) -> dict[str, float]:
    """Return the largest magnitude at the input of every int8 product over the given batches, clipped at the 99.99th
    percentile.
    """
    seen: dict[str, list[float]] = {}

    def watch(name: str) -> None:
        def hook(_: torch.nn.Module, inputs: tuple[torch.Tensor, ...]) -> None:
            values = inputs[0].detach().float().flatten()
            values = values.relu() if name == "down" else values.abs()
            seen.setdefault(name, []).append(float(np.quantile(values.numpy(), 0.9999)))

        handles.append(getattr(net, name).register_forward_pre_hook(hook))

    handles: list[torch.utils.hooks.RemovableHandle] = []
    for name in ("qkv", "out", "up", "down", "joint"):
        watch(name)
    with torch.inference_mode():
        for row in rows:
            net(*row)
    for handle in handles:
        handle.remove()
    table = torch.nn.functional.normalize(net.embedding.weight.detach(), dim=-1)
    return {name: max(values) for name, values in seen.items()} | {"embedding": float(table.abs().max())}


def export(net: Nano, ranges: dict[str, float], path: Path) -> None:
    """Write the graph; in float32 where ``ranges`` is empty."""
    path.parent.mkdir(parents=True, exist_ok=True)
    onnx.save(Writer(net, ranges).write(), path)
