"""A TinyBERT-shaped cross-encoder with weights of our own, and the plain export that any toolchain makes of it.

Only shapes and speed are compared on it, so its weights are random, scaled so that attention and activations are as
uneven as a trained model's. ``export`` writes node for node what ``torch.onnx`` writes for
``BertForSequenceClassification``; ``quantized`` adds what the optimum toolchain does by default (dynamic int8), which
is the form in which FlashRank publishes its models.
"""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

Weights = dict[str, NDArray[np.float32]]

TINY = {"hidden_size": 128, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 512}
EPSILON = 1e-12


def config(vocabulary: int, **changes: Any) -> dict[str, Any]:
    """Return the Hugging Face configuration of a BERT cross-encoder with one label."""
    return {
        "architectures": ["BertForSequenceClassification"],
        "model_type": "bert",
        "vocab_size": vocabulary,
        "max_position_embeddings": 512,
        "type_vocab_size": 2,
        "hidden_act": "gelu",
        "layer_norm_eps": EPSILON,
        "pad_token_id": 0,
        "num_labels": 1,
        "id2label": {"0": "LABEL_0"},
        "label2id": {"LABEL_0": 0},
        **(TINY | changes),
    }


def checkpoint(settings: dict[str, Any], seed: int = 0) -> Weights:
    """Return random weights under Hugging Face's names."""
    random = np.random.default_rng(seed)
    hidden, inner = settings["hidden_size"], settings["intermediate_size"]
    weights: Weights = {}

    def normal(name: str, *shape: int, scale: float) -> None:
        weights[name] = (random.normal(size=shape) * scale).astype(np.float32)

    def linear(name: str, inputs: int, outputs: int) -> None:
        normal(f"{name}.weight", outputs, inputs, scale=inputs**-0.5)
        normal(f"{name}.bias", outputs, scale=0.05)

    def norm(name: str) -> None:
        weights[f"{name}.weight"] = (1 + 0.1 * random.normal(size=hidden)).astype(np.float32)
        normal(f"{name}.bias", hidden, scale=0.05)

    for table, rows in (
        ("word", "vocab_size"),
        ("position", "max_position_embeddings"),
        ("token_type", "type_vocab_size"),
    ):
        scale = 1.0 if table == "word" else 0.3
        normal(f"bert.embeddings.{table}_embeddings.weight", settings[rows], hidden, scale=scale)
    norm("bert.embeddings.LayerNorm")
    for layer in range(settings["num_hidden_layers"]):
        prefix = f"bert.encoder.layer.{layer}"
        for part in ("query", "key", "value"):
            linear(f"{prefix}.attention.self.{part}", hidden, hidden)
        linear(f"{prefix}.attention.output.dense", hidden, hidden)
        norm(f"{prefix}.attention.output.LayerNorm")
        linear(f"{prefix}.intermediate.dense", hidden, inner)
        linear(f"{prefix}.output.dense", inner, hidden)
        norm(f"{prefix}.output.LayerNorm")
    linear("bert.pooler.dense", hidden, hidden)
    linear("classifier", hidden, settings["num_labels"])
    return weights


def export(settings: dict[str, Any], weights: Weights, path: Path) -> None:  # noqa: PLR0915 - one graph, in order
    """Write the plain fp32 graph: every layer whole, decomposed as the exporter does, int64 inputs, float logits."""
    hidden, heads = settings["hidden_size"], settings["num_attention_heads"]
    nodes: list[onnx.NodeProto] = []
    initializers: dict[str, onnx.TensorProto] = {}

    def constant(name: str, value: Any, dtype: type = np.float32) -> str:
        initializers.setdefault(name, numpy_helper.from_array(np.asarray(value, dtype), name))
        return name

    def node(scope: str, operator: str, *inputs: str, **attributes: Any) -> str:
        name = f"{scope}/{operator}"
        repeated = sum(known.name.startswith(name) for known in nodes)
        name += f"_{repeated}" if repeated else ""
        nodes.append(helper.make_node(operator, list(inputs), [f"{name}_output_0"], name, **attributes))
        return f"{name}_output_0"

    def linear(x: str, module: str) -> str:
        scope = "/" + module.replace(".", "/").replace("layer/", "layer.")
        weight = constant(f"onnx::MatMul_{module}", weights[f"{module}.weight"].T)
        return node(
            scope, "Add", constant(f"{module}.bias", weights[f"{module}.bias"]), node(scope, "MatMul", x, weight)
        )

    def norm(x: str, module: str) -> str:
        gain, bias = (constant(f"{module}.{part}", weights[f"{module}.{part}"]) for part in ("weight", "bias"))
        return node(
            "/" + module.replace(".", "/").replace("layer/", "layer."),
            "LayerNormalization",
            x,
            gain,
            bias,
            axis=-1,
            epsilon=EPSILON,
        )

    def gelu(x: str, scope: str) -> str:
        half = node(scope, "Erf", node(scope, "Div", x, constant("sqrt2", np.sqrt(2))))
        return node(
            scope, "Mul", node(scope, "Mul", x, node(scope, "Add", half, constant("one", 1))), constant("half", 0.5)
        )

    def split(x: str, scope: str, order: list[int]) -> str:
        shaped = node(scope, "Reshape", x, constant("heads", [0, 0, heads, hidden // heads], np.int64))
        return node(scope, "Transpose", shaped, perm=order)

    axes = constant("axes", [1, 2], np.int64)
    mask = node("/bert", "Cast", node("/bert", "Unsqueeze", "attention_mask", axes), to=TensorProto.FLOAT)
    mask = node("/bert", "Mul", node("/bert", "Sub", constant("one", 1), mask), constant("lowest", np.finfo("f").min))
    tables = {
        name: constant(
            f"bert.embeddings.{name}_embeddings.weight", weights[f"bert.embeddings.{name}_embeddings.weight"]
        )
        for name in ("word", "position", "token_type")
    }
    scope = "/bert/embeddings"
    length = node(scope, "Shape", "input_ids", start=1, end=2)
    span = [constant("zero", [0], np.int64), length, constant("last", [1], np.int64)]
    positions = node(scope, "Slice", constant("ids", [range(512)], np.int64), *span)
    x = node(
        scope,
        "Add",
        node(scope, "Gather", tables["word"], "input_ids"),
        node(scope, "Gather", tables["token_type"], "token_type_ids"),
    )
    x = norm(node(scope, "Add", x, node(scope, "Gather", tables["position"], positions)), "bert.embeddings.LayerNorm")
    for layer in range(settings["num_hidden_layers"]):
        prefix = f"bert.encoder.layer.{layer}"
        scope = f"/bert/encoder/layer.{layer}/attention/self"
        query, key, value = (
            split(linear(x, f"{prefix}.attention.self.{part}"), scope, order)
            for part, order in (("query", [0, 2, 1, 3]), ("key", [0, 2, 3, 1]), ("value", [0, 2, 1, 3]))
        )
        scores = node(scope, "Div", node(scope, "MatMul", query, key), constant("scale", np.sqrt(hidden // heads)))
        shares = node(scope, "Softmax", node(scope, "Add", scores, mask), axis=-1)
        context = node(scope, "Transpose", node(scope, "MatMul", shares, value), perm=[0, 2, 1, 3])
        context = node(scope, "Reshape", context, constant("joined", [0, 0, hidden], np.int64))
        mixed = linear(context, f"{prefix}.attention.output.dense")
        x = norm(node(scope, "Add", mixed, x), f"{prefix}.attention.output.LayerNorm")
        scope = f"/bert/encoder/layer.{layer}/intermediate"
        inner = linear(x, f"{prefix}.intermediate.dense")
        inner = gelu(inner, scope) if settings["hidden_act"] == "gelu" else node(scope, "Relu", inner)
        x = norm(node(scope, "Add", linear(inner, f"{prefix}.output.dense"), x), f"{prefix}.output.LayerNorm")
    first = node("/bert/pooler", "Gather", x, constant("first", 0, np.int64), axis=1)
    pooled = first
    for module in ("bert.pooler.dense", "classifier"):
        names = [constant(f"{module}.{part}", weights[f"{module}.{part}"]) for part in ("weight", "bias")]
        pooled = node("/" + module.replace(".", "/"), "Gemm", pooled, *names, transB=1)
        if module == "bert.pooler.dense":
            pooled = node("/bert/pooler", "Tanh", pooled)
    nodes[-1].output[0] = "logits"
    _save(nodes, list(initializers.values()), settings["num_labels"], path)


def _save(nodes: list[onnx.NodeProto], initializers: list[onnx.TensorProto], labels: int, path: Path) -> None:
    inputs = [
        helper.make_tensor_value_info(name, TensorProto.INT64, ["batch_size", "sequence_length"])
        for name in ("input_ids", "attention_mask", "token_type_ids")
    ]
    outputs = [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch_size", labels])]
    graph = helper.make_graph(nodes, "main_graph", inputs, outputs, initializers)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model)
    onnx.save(model, path)


def quantized(source: Path, target: Path) -> None:
    """Write the dynamic int8 form of ``source``, by onnxruntime's own quantiser with its defaults."""
    from onnxruntime.quantization import QuantType, quantize_dynamic

    logging.getLogger().setLevel(logging.ERROR)  # it recommends a pre-processing step, through the root logger
    quantize_dynamic(source, target, weight_type=QuantType.QInt8)


def flashrank_folder(vocabulary: Path, settings: dict[str, Any], directory: Path) -> None:
    """Write the tokenizer and configuration files that FlashRank reads beside its graph."""
    from tokenizers import BertWordPieceTokenizer

    directory.mkdir(parents=True, exist_ok=True)
    special = {
        "cls_token": "[CLS]",
        "mask_token": "[MASK]",
        "pad_token": "[PAD]",
        "sep_token": "[SEP]",
        "unk_token": "[UNK]",
    }
    tokenizer = {"do_lower_case": True, "model_max_length": 512, "tokenizer_class": "BertTokenizer", **special}
    BertWordPieceTokenizer(str(vocabulary)).save(str(directory / "tokenizer.json"))
    (directory / "vocab.txt").write_bytes(vocabulary.read_bytes())
    for name, value in (("config", settings), ("tokenizer_config", tokenizer), ("special_tokens_map", special)):
        (directory / f"{name}.json").write_text(json.dumps(value, indent=1), encoding="utf-8")
