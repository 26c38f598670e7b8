"""Graph surgery keeps what a model computes, int8 stays within its bound, and a score owes nothing to its company."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from numpy.typing import NDArray
from onnx import helper, numpy_helper
from safetensors.numpy import save_file

from handler.batching import micro_batches
from handler.contract import Chunking
from handler.model import load
from layer.optimize import bert, checkpoint, make
from layer.optimize.calibration import least_error
from layer.optimize.graph import EXTERNAL_BYTES, TABLE_LIMIT, WEIGHT_LIMIT, Range
from tests.bench import reference

VOCABULARY = [
    "[PAD]",
    "[UNK]",
    "[CLS]",
    "[SEP]",
    "[MASK]",
    *"abcdefghijklmnopqrstuvwxyz",
    *(f"##{c}" for c in "abcdefghijklmnopqrstuvwxyz"),
]
SHAPES = {
    "TinyBERT": reference.TINY,
    "one layer": reference.TINY | {"num_hidden_layers": 1},
    "narrow heads": {"hidden_size": 96, "num_hidden_layers": 3, "num_attention_heads": 6, "intermediate_size": 192},
}
# Static int8 of random weights, as a share of the deviation of the fp32 logits: largest and root mean square.
LARGEST_ERROR, USUAL_ERROR = 0.35, 0.12

NANO = Path(__file__).resolve().parents[2] / "layer" / "nano"

Feed = dict[str, NDArray[np.int64]]


def write_source(directory: Path, **shape: Any) -> tuple[dict[str, Any], reference.Weights]:
    """Write a Hugging Face checkpoint folder of a random cross-encoder."""
    directory.mkdir(parents=True, exist_ok=True)
    settings = reference.config(len(VOCABULARY), **shape)
    weights = reference.checkpoint(settings)
    save_file(weights, directory / "model.safetensors")
    (directory / "config.json").write_text(json.dumps(settings), encoding="utf-8")
    (directory / "vocab.txt").write_text("\n".join(VOCABULARY) + "\n", encoding="utf-8")
    return settings, weights


def feeds(count: int, seed: int = 0) -> list[Feed]:
    """Return unpadded inputs of 8 to 160 tokens, all of one query."""
    random = np.random.default_rng(seed)
    query = random.integers(5, len(VOCABULARY), 4)
    made: list[Feed] = []
    for length in random.integers(8, 160, count):
        ids = random.integers(5, len(VOCABULARY), (1, length))
        ids[0, 0], ids[0, 1:5], ids[0, 5], ids[0, -1] = 2, query, 3, 3
        types = (np.arange(length)[None] > 5).astype(np.int64)
        made.append({"input_ids": ids, "attention_mask": np.ones_like(ids), "token_type_ids": types})
    return made


def padded(rows: list[Feed], tokens: int) -> Feed:
    """Join feeds into one batch; what stands at the padding is noise, since a mask must hide it."""
    random = np.random.default_rng(1)
    batch = {name: np.zeros((len(rows), tokens), np.int64) for name in rows[0]}
    batch["input_ids"][:] = random.integers(5, len(VOCABULARY), (len(rows), tokens))
    for row, feed in enumerate(rows):
        for name, value in feed.items():
            batch[name][row, : value.shape[1]] = value[0]
    return batch


def run(session: onnxruntime.InferenceSession, feed: Feed) -> NDArray[np.float32]:
    logits: NDArray[np.float32] = session.run(["logits"], feed)[0][:, 0]
    return logits


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A TinyBERT-shaped checkpoint folder and the model directory made of it."""
    root = tmp_path_factory.mktemp("tiny")
    write_source(root / "source")
    made = make.optimise(
        root / "source", root / "model", name="tiny", pairs=[("a bc", "de fgh " * n) for n in range(1, 20)]
    )
    assert made.largest_difference < LARGEST_ERROR * max(made.fp32_deviation, 0.05)
    return root / "source", root / "model"


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
@pytest.mark.parametrize("activation", ["gelu", "relu"])
def test_the_rewritten_graph_computes_what_the_plain_export_does(
    shape: dict[str, int], activation: str, tmp_path: Path
) -> None:
    settings, weights = write_source(tmp_path, **shape, hidden_act=activation)
    reference.export(settings, weights, tmp_path / "plain.onnx")
    bert.save(checkpoint.read(tmp_path), None, tmp_path / "model.onnx")
    plain, rewritten = make.plain_session(tmp_path / "plain.onnx"), make.plain_session(tmp_path / "model.onnx")
    batch = padded(feeds(6), 170)
    np.testing.assert_allclose(run(rewritten, batch), run(plain, batch), atol=1e-5)


def test_int8_stays_within_its_bound(tiny: tuple[Path, Path], tmp_path: Path) -> None:
    source, model = tiny
    bert.save(checkpoint.read(source), None, tmp_path / "model.onnx")
    rows = feeds(60)
    exact, int8 = (make.logits(make.plain_session(folder / "model.onnx"), rows) for folder in (tmp_path, model))
    error = (int8 - exact) / exact.std()
    assert np.abs(error).max() < LARGEST_ERROR
    assert np.sqrt((error**2).mean()) < USUAL_ERROR


def test_a_score_is_the_same_alone_in_any_batch_and_in_any_order(graph: Path) -> None:
    session = make.plain_session(graph)
    rows = feeds(24)
    alone = np.concatenate([run(session, row) for row in rows])
    random = np.random.default_rng(2)
    for size in (2, 3, 7, 24):
        order = random.permutation(len(rows))
        for begin in range(0, len(rows), size):
            picked = order[begin : begin + size]
            together = [rows[i] for i in picked]
            longest = max(row["input_ids"].shape[1] for row in together)
            scores = run(session, padded(together, longest + size))
            np.testing.assert_allclose(scores, alone[picked], rtol=0, atol=2e-6)


@pytest.fixture(params=["tiny", "nano"])
def graph(request: pytest.FixtureRequest, tiny: tuple[Path, Path]) -> Path:
    """The graph of a TinyBERT-shaped model made here, and the one that ships."""
    return (tiny[1] if request.param == "tiny" else NANO) / "model.onnx"


def test_no_weight_can_saturate_the_kernels_of_an_older_host(graph: Path) -> None:
    found = onnx.load(graph).graph
    looked_up = {node.input[0] for node in found.node if node.op_type == "Gather"}
    limits = {
        t.name: int(np.abs(numpy_helper.to_array(t).astype(np.int16)).max())
        for t in found.initializer
        if t.data_type == onnx.TensorProto.INT8
    }
    assert len(limits) > 8
    assert all(limit <= (TABLE_LIMIT if name in looked_up else WEIGHT_LIMIT) for name, limit in limits.items())


def test_few_nodes_are_executed_and_none_that_is_slow(graph: Path) -> None:
    nodes = [node.op_type for node in onnx.load(graph, load_external_data=False).graph.node]
    assert len(nodes) <= (48 if graph.parent != NANO else 203)
    assert sum("MatMul" in node for node in nodes) <= 30
    slow = {"SkipLayerNormalization", "MultiHeadAttention", "DynamicQuantizeMatMul", "DynamicQuantizeLinear", "Split"}
    assert not slow & set(nodes)


def test_onnxruntime_has_nothing_left_to_load_but_what_is_written(graph: Path) -> None:
    """Large weights are beside the graph, which is small, and no constant is computed at load."""
    found = onnx.load(graph, load_external_data=False).graph
    assert graph.stat().st_size < 131_072
    sizes = {t.name: np.prod(t.dims) * helper.tensor_dtype_to_np_dtype(t.data_type).itemsize for t in found.initializer}
    assert all(t.external_data for t in found.initializer if sizes[t.name] >= EXTERNAL_BYTES)
    assert not any(node.op_type == "Constant" for node in found.node)


@pytest.mark.parametrize("quantised", [False, True], ids=["fp32 export", "dynamic int8 export"])
def test_an_onnx_export_gives_the_model_of_its_checkpoint(quantised: bool, tmp_path: Path) -> None:
    settings, weights = write_source(tmp_path)
    (tmp_path / "model.safetensors").unlink()
    reference.export(settings, weights, tmp_path / "plain.onnx")
    if quantised:
        reference.quantized(tmp_path / "plain.onnx", tmp_path / "int8.onnx")
        (tmp_path / "plain.onnx").unlink()
    found = checkpoint.read(tmp_path)
    for name, weight in weights.items():
        assert np.abs(found[name.removeprefix("bert.")] - weight).max() <= (
            np.abs(weight).max() / 100 if quantised else 0
        ), name


def test_two_logits_become_their_difference(tmp_path: Path) -> None:
    settings, weights = write_source(tmp_path, num_labels=2)
    reference.export(settings, weights, tmp_path / "plain.onnx")
    bert.save(checkpoint.read(tmp_path), None, tmp_path / "model.onnx")
    batch = padded(feeds(6), 170)
    plain = make.plain_session(tmp_path / "plain.onnx").run(["logits"], batch)[0]
    np.testing.assert_allclose(
        run(make.plain_session(tmp_path / "model.onnx"), batch), plain[:, 1] - plain[:, 0], atol=1e-5
    )


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"model_type": "t5"}, "model_type is 't5'"),
        ({"hidden_act": "silu"}, "hidden_act is 'silu'"),
        ({"num_labels": 3}, "one logit or two"),
        ({"position_embedding_type": "relative_key"}, "absolute position"),
    ],
)
def test_a_model_that_cannot_be_rewritten_is_refused_with_the_reason(
    change: dict[str, Any], reason: str, tmp_path: Path
) -> None:
    write_source(tmp_path, **change)
    with pytest.raises(checkpoint.UnsupportedModel, match=reason):
        make.optimise(tmp_path, tmp_path / "model", name="x")


def test_a_folder_without_weights_or_vocabulary_is_refused_with_the_reason(tmp_path: Path) -> None:
    write_source(tmp_path)
    (tmp_path / "vocab.txt").unlink()
    with pytest.raises(checkpoint.UnsupportedModel, match=r"vocab.txt, tokenizer.json"):
        make.optimise(tmp_path, tmp_path / "model", name="x")
    (tmp_path / "model.safetensors").unlink()
    with pytest.raises(checkpoint.UnsupportedModel, match=r"no \*.safetensors"):
        make.optimise(tmp_path, tmp_path / "model", name="x")


def test_a_few_outliers_do_not_coarsen_every_step() -> None:
    values = np.random.default_rng(0).normal(size=1_000_000).astype(np.float32)
    values[:3] = 12.0
    found = least_error(values)
    assert 3.0 < found.high < 10.0
    assert -5.0 < found.low < -3.0
    assert least_error(np.zeros(10, np.float32)) == Range(0.0, 0.0)


def test_the_handler_scores_what_was_made_within_the_window(tiny: tuple[Path, Path]) -> None:
    model = load(tiny[1])
    encoder = model.encoder()
    query = encoder.encode_query("ab " * 400)
    assert query.truncated
    chunks = list(encoder.chunks(query, enumerate(["cd", "ef " * 600]), Chunking()))
    batches = list(micro_batches(query, chunks))
    assert 0.8 * model.manifest.window < max(chunk.length for chunk in chunks) <= model.manifest.window
    assert np.isfinite(np.concatenate([model.logits(batch) for batch in batches])).all()
