"""What the modules of other architectures do around a session, on graphs small enough to compute by hand."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from tokenizers import BertWordPieceTokenizer

from handler.architectures import MODULES, model_class
from handler.architectures.colbert import expansion
from handler.contract import Chunking, Passage, RankRequest
from handler.model import Manifest
from handler.ranker import Ranker
from handler.runtime import Clock

VOCABULARY = Path(__file__).resolve().parent.parent.parent.parent / "layer" / "nano" / "vocab.txt"
TOKENIZER = BertWordPieceTokenizer(str(VOCABULARY))
CLS, SEP, MASK, Q, D = (TOKENIZER.token_to_id(token) for token in ("[CLS]", "[SEP]", "[MASK]", "°", "±"))
WIDTH = 8
TABLE = np.random.default_rng(0).normal(size=(TOKENIZER.get_vocab_size(), WIDTH)).astype(np.float32)
TABLE /= np.linalg.norm(TABLE, axis=1, keepdims=True)
PASSAGES = ["rain falls on the hills", "a stock market", "snow", "the rain and the wind and the rain again"]
COLBERT = {"query_prefix": [CLS, Q], "passage_prefix": [CLS, D], "suffix": [SEP], "mask": MASK, "pad": 0}
PAIRS = {"prefix": [CLS], "joiner": [SEP, SEP], "suffix": [SEP], "segments": False, "pad": 1}


def directory(path: Path, architecture: str, nodes: list[Any], output: list[Any], **options: Any) -> Path:
    """A model directory whose graph looks ids up in ``TABLE`` and goes on as ``nodes`` say."""
    inputs = [
        helper.make_tensor_value_info(name, TensorProto.INT64, ["rows", "tokens"])
        for name in ("input_ids", "attention_mask")
    ]
    first = helper.make_node("Gather", ["table", "input_ids"], ["embeddings"])
    graph = helper.make_graph(
        [first, *nodes], "g", inputs, [helper.make_tensor_value_info(output[0], TensorProto.FLOAT, output[1])],
        [numpy_helper.from_array(TABLE, "table"), numpy_helper.from_array(np.array([1, 2], np.int64), "axes")],
    )  # fmt: skip
    path.mkdir(exist_ok=True)
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(made, path / "model.onnx")
    shutil.copyfile(VOCABULARY, path / "vocab.txt")
    Manifest("m", "1", architecture, window=64, max_query_tokens=16, options=options).write(path)
    return path


def late(path: Path, **more: Any) -> Path:
    return directory(
        path, "colbert", [], ["embeddings", ["rows", "tokens", WIDTH]], **{**COLBERT, "alone": False, **more}
    )


def scores(path: Path, passages: list[str] = PASSAGES, query: str = "where does the rain fall") -> list[float]:
    request = RankRequest(query, tuple(map(Passage, passages)), raw_scores=True)
    results = Ranker.load(path).rank(request, Clock.start()).results
    return [result.score for result in sorted(results, key=lambda result: result.index)]


def ids(text: str) -> list[int]:
    encoded: list[int] = TOKENIZER.encode(text, add_special_tokens=False).ids
    return encoded


def max_sim(query: str, passage: str) -> float:
    """MaxSim by its definition, one token after the other."""
    asked = [CLS, Q, *ids(query), SEP]
    masks = [MASK] * expansion(len(asked))
    told: NDArray[np.float32] = TABLE[[CLS, D, *ids(passage), SEP]]
    return sum(max(float(TABLE[token] @ other) for other in told) for token in asked + masks) / len(asked)


@pytest.mark.parametrize("alone", [False, True])
def test_late_interaction_is_the_mean_of_each_query_tokens_best_match(tmp_path: Path, *, alone: bool) -> None:
    expected = [max_sim("where does the rain fall", passage) for passage in PASSAGES]
    np.testing.assert_allclose(scores(late(tmp_path, alone=alone)), expected, atol=1e-5)


def test_a_passage_has_the_whole_window_in_late_interaction(tmp_path: Path) -> None:
    ranker = Ranker.load(late(tmp_path))
    whole, longer = (Passage("rain " * count) for count in (61, 62))
    results = ranker.rank(RankRequest("rain", (whole, longer)), Clock.start()).results
    assert sorted(result.chunks for result in results) == [1, 2]


def test_one_query_does_not_leave_its_embeddings_to_the_next(tmp_path: Path) -> None:
    ranker = Ranker.load(late(tmp_path))
    for query in ("rain", "a much longer question about the wind", "rain"):
        request = RankRequest(query, (Passage(PASSAGES[0]),), raw_scores=True)
        (result,) = ranker.rank(request, Clock.start()).results
        assert result.score == pytest.approx(max_sim(query, PASSAGES[0]), abs=1e-5)


@pytest.mark.parametrize(("tokens", "masks"), [(4, 8), (8, 8), (9, 7), (15, 1), (16, 8), (24, 8), (25, 7)])
def test_mask_tokens_fill_a_query_to_the_next_step(tokens: int, masks: int) -> None:
    assert expansion(tokens) == masks


def pairs(path: Path, **more: Any) -> Path:
    """Scores are the sum over the sequence of its embeddings' numbers, padding included: a pad id would show."""
    total = helper.make_node("ReduceSum", ["embeddings", "axes"], ["sums"], keepdims=0)
    return directory(path, "pairs", [total], ["sums", ["rows"]], **{**PAIRS, "alone": True, **more})


def test_a_pair_is_written_as_the_manifest_says(tmp_path: Path) -> None:
    sequence = [CLS, *ids("rain"), SEP, SEP, *ids(PASSAGES[0]), SEP]
    assert scores(pairs(tmp_path), [PASSAGES[0]], "rain") == pytest.approx([float(TABLE[sequence].sum())], abs=1e-4)


def test_sequences_run_alone_have_no_padding(tmp_path: Path) -> None:
    together, apart = scores(pairs(tmp_path)), [scores(pairs(tmp_path), [passage])[0] for passage in PASSAGES]
    np.testing.assert_allclose(together, apart, atol=1e-5)


def test_padding_has_the_id_that_the_manifest_says(tmp_path: Path) -> None:
    passages = ["rain", "rain falls on the hills"]
    short, long = ([CLS, *ids("rain"), SEP, SEP, *ids(passage), SEP] for passage in passages)
    padded = [*short, *[PAIRS["pad"]] * (len(long) - len(short))]
    found = scores(pairs(tmp_path, alone=False), passages, "rain")
    assert found == pytest.approx([float(TABLE[padded].sum()), float(TABLE[long].sum())], abs=1e-4)


def test_words_of_a_long_passage_are_those_of_its_tokenizer(tmp_path: Path) -> None:
    text = "The rain, falling; 雨は falls again. " * 12
    request = RankRequest("rain", (Passage(text),), chunking=Chunking(chunk_tokens=20, max_chunks_per_doc=50))
    (result,) = Ranker.load(pairs(tmp_path)).rank(request, Clock.start()).results
    best = result.best_chunk
    assert best is not None
    assert result.tokens_used == result.tokens_in == len(ids(text))
    assert text[best.start : best.end] == text[best.start : best.end].strip()


@pytest.mark.parametrize("name", MODULES)
def test_every_architecture_has_a_module_with_a_model(name: str) -> None:
    assert model_class(name).__module__ == f"handler.architectures.{MODULES[name]}"
