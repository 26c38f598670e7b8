"""What conversion refuses and what it reads of a folder, with no library but those that a function has."""

from __future__ import annotations

import json
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper
from tokenizers import BertWordPieceTokenizer, Tokenizer, models, pre_tokenizers, processors

from handler.contract import Passage, RankRequest
from handler.errors import ModelError
from handler.model import Manifest, load
from handler.ranker import Ranker
from handler.runtime import Clock
from layer.convert import source as sources
from layer.convert import surgery
from layer.convert.make import convert
from layer.convert.source import UnsupportedSource

ROOT = Path(__file__).resolve().parent.parent.parent.parent
VOCABULARY = ROOT / "layer" / "nano" / "vocab.txt"
CLS, SEP = (VOCABULARY.read_text(encoding="utf-8").split("\n").index(token) for token in ("[CLS]", "[SEP]"))
CONFIG = {"model_type": "electra", "pad_token_id": 0, "max_position_embeddings": 128}


def graph(
    columns: int = 1, inputs: tuple[str, ...] = ("input_ids", "attention_mask"), rank: int = 2
) -> onnx.ModelProto:
    """A graph whose logits are the sum of a row's ids, the same less one, and so on: ``[rows, columns]``."""
    shape = ["rows", *(["tokens"] if rank == 3 else []), columns]
    steps = np.arange(columns, dtype=np.float32)[None]
    nodes = [
        helper.make_node("Cast", ["input_ids"], ["ids"], to=TensorProto.FLOAT),
        helper.make_node("Cast", ["attention_mask"], ["seen"], to=TensorProto.FLOAT),
        helper.make_node("Mul", ["ids", "seen"], ["masked"]),
        helper.make_node("ReduceMean", ["masked"], ["sums"], axes=[1], keepdims=1),
        helper.make_node("Div", ["sums", "scale"], ["scaled"]),
        helper.make_node("Mul", ["scaled", "steps"], ["logits"]),
    ]
    constants = [
        helper.make_tensor("scale", TensorProto.FLOAT, [], [10_000.0]),
        helper.make_tensor("steps", TensorProto.FLOAT, steps.shape, (steps + 1).ravel()),
    ]
    given = [helper.make_tensor_value_info(name, TensorProto.INT64, ["rows", "tokens"]) for name in inputs]
    output = helper.make_tensor_value_info("logits", TensorProto.FLOAT, shape)
    made = helper.make_graph(nodes, "g", given, [output], constants)
    return helper.make_model(made, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def folder(path: Path, model: onnx.ModelProto | None = None, **config: Any) -> Path:
    """A folder in FlashRank's layout: everything at its top."""
    path.mkdir(parents=True, exist_ok=True)
    (path / "config.json").write_text(json.dumps({**CONFIG, **config}))
    tokenizer = BertWordPieceTokenizer(str(VOCABULARY))
    tokenizer.save(str(path / "tokenizer.json"))
    onnx.save(model or graph(), path / "flashrank-small_Q.onnx")
    return path


def scores(directory: Path) -> list[float]:
    request = RankRequest("rain", (Passage("rain falls"), Passage("the hills are high")), raw_scores=True)
    results = Ranker.load(directory).rank(request, Clock.start()).results
    return [result.score for result in sorted(results, key=lambda result: result.index)]


def test_a_folder_in_flashranks_layout_becomes_a_model_directory(tmp_path: Path) -> None:
    made = convert(folder(tmp_path / "m"), tmp_path / "out", name="m", int8=False, rounds=1)
    assert made.manifest.architecture == "pairs"
    assert made.manifest.options["prefix"] == [CLS]
    assert made.manifest.options["joiner"] == made.manifest.options["suffix"] == [SEP]
    assert all(np.isfinite(scores(tmp_path / "out")))
    assert Manifest.read(tmp_path / "out") == made.manifest


def test_of_two_logits_the_second_less_the_first_is_the_score(tmp_path: Path) -> None:
    one = convert(folder(tmp_path / "1"), tmp_path / "out1", name="m", int8=False, rounds=1)
    two = convert(folder(tmp_path / "2", graph(columns=2)), tmp_path / "out2", name="m", int8=False, rounds=1)
    np.testing.assert_allclose(scores(tmp_path / "out2"), scores(tmp_path / "out1"), rtol=1e-6)
    assert one.manifest.revision != two.manifest.revision


def test_a_long_passage_is_cut_to_the_models_window(tmp_path: Path) -> None:
    convert(folder(tmp_path / "m"), tmp_path / "out", name="m", int8=False, rounds=1)
    (result,) = (
        Ranker.load(tmp_path / "out").rank(RankRequest("rain", (Passage("rain " * 500),)), Clock.start()).results
    )
    assert result.chunks > 1


@pytest.mark.parametrize(
    ("model", "said"),
    [
        (graph(columns=3), "3 logits a pair"),
        (graph(inputs=("input_ids", "attention_mask", "pixel_values")), "an input 'pixel_values'"),
        (graph(columns=9, rank=3), "no labels are known"),
    ],
)
def test_a_graph_of_another_kind_is_refused(tmp_path: Path, model: onnx.ModelProto, said: str) -> None:
    with pytest.raises(UnsupportedSource, match=said):
        convert(folder(tmp_path / "m", model), tmp_path / "out", name="m")


@pytest.mark.parametrize(
    ("missing", "said"), [("config.json", "config.json"), ("tokenizer.json", "neither tokenizer.json nor vocab.txt")]
)
def test_a_folder_that_lacks_something_says_what(tmp_path: Path, missing: str, said: str) -> None:
    (folder(tmp_path / "m") / missing).unlink()
    with pytest.raises(UnsupportedSource, match=said):
        convert(tmp_path / "m", tmp_path / "out", name="m")


def test_weights_alone_say_what_they_need(tmp_path: Path) -> None:
    (folder(tmp_path / "m") / "flashrank-small_Q.onnx").unlink()
    with pytest.raises(UnsupportedSource, match="EXPORT=1"):
        convert(tmp_path / "m", tmp_path / "out", name="m")


def test_a_decoder_gets_its_start_token_within_the_graph(tmp_path: Path) -> None:
    model = graph(inputs=("input_ids", "attention_mask", "decoder_input_ids"))
    model.graph.node.insert(0, helper.make_node("Cast", ["decoder_input_ids"], ["start"], to=TensorProto.FLOAT))
    model.graph.node.append(helper.make_node("Add", ["logits", "start"], ["shifted"]))
    model.graph.output[0].name = "shifted"
    source = sources.read(folder(tmp_path / "m", model, decoder_start_token_id=7))
    made = surgery.normalise(tmp_path / "m" / "flashrank-small_Q.onnx", source)
    session = onnxruntime.InferenceSession(made.SerializeToString(), providers=["CPUExecutionProvider"])
    ids = np.zeros((2, 3), np.int64)
    assert {node.name for node in session.get_inputs()} == {"input_ids", "attention_mask"}
    np.testing.assert_allclose(session.run(None, {"input_ids": ids, "attention_mask": ids})[0], [[7.0], [7.0]])


def test_what_stands_around_a_pair_comes_from_the_tokenizers_post_processor(tmp_path: Path) -> None:
    tokenizer = Tokenizer(models.WordLevel({"<s>": 0, "<pad>": 1, "</s>": 2, "a": 3, "b": 4}, "a"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", pair="<s> $A </s> </s> $B </s>", special_tokens=[("<s>", 0), ("</s>", 2)]
    )
    tokenizer.save(str(folder(tmp_path / "m", model_type="xlm-roberta", pad_token_id=1) / "tokenizer.json"))
    options = sources.read(tmp_path / "m").options
    expected = {"prefix": [0], "joiner": [2, 2], "suffix": [2], "segments": False, "pad": 1}
    assert options == expected
    assert sources.read(tmp_path / "m").window == 126


def test_an_architecture_that_nobody_knows_is_refused_when_it_is_loaded(tmp_path: Path) -> None:
    Manifest("m", "1", "mamba").write(tmp_path)
    with pytest.raises(ModelError, match="unknown architecture 'mamba'"):
        load(tmp_path)


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "layer.convert", *arguments], cwd=ROOT, capture_output=True, text=True, check=False
    )


def test_the_command_takes_a_zip_and_prints_what_it_made(tmp_path: Path) -> None:
    inside = folder(tmp_path / "my-model")
    with zipfile.ZipFile(tmp_path / "my-model.zip", "w") as archive:
        for path in inside.iterdir():
            archive.write(path, f"my-model/{path.name}")
    done = run("--path", str(tmp_path / "my-model.zip"), "--out", str(tmp_path / "out"), "--fp32")
    assert done.returncode == 0, done.stderr
    assert "my-model" in done.stdout
    assert "ms" in done.stdout
    assert all(np.isfinite(scores(tmp_path / "out")))


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--name", "none"], "there is no model 'none' in the catalogue"),
        (["--name", "medium"], "not pinned"),
        (["--name", "nano"], "make train"),
        (["--path", "/nowhere"], "no such folder or zip"),
    ],
)
def test_the_command_says_in_one_line_what_is_wrong(arguments: list[str], said: str) -> None:
    done = run(*arguments)
    assert done.returncode == 1
    assert said in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_the_command_makes_the_model_directory_of_a_service(tmp_path: Path) -> None:
    assert run("--name", "bedrock-rerank", "--out", str(tmp_path)).returncode == 0
    manifest = Manifest.read(tmp_path)
    assert (manifest.architecture, manifest.options["model"]) == ("bedrock-rerank", "amazon.rerank-v1:0")
