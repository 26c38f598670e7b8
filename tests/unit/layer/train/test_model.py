"""The student and its graph. They need torch, which the test environment leaves out: `make train` has it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

torch = pytest.importorskip("torch", reason="torch is in the training environment alone")

import onnxruntime  # noqa: E402 - after torch is known to be there

from layer.train import export  # noqa: E402
from layer.train.distill import Recipe, Scored, losses, score  # noqa: E402
from layer.train.lexical import stems  # noqa: E402
from layer.train.model import EARLY, EMBEDDING, Match, Nano  # noqa: E402
from layer.train.sampler import Batch, exact_counts, rows  # noqa: E402
from layer.train.schedule import rate_at  # noqa: E402
from layer.train.tokens import SPECIAL_TOKENS, VOCABULARY_SIZE, Ids, Tokens  # noqa: E402

INPUTS = ("input_ids", "attention_mask", "token_type_ids")
RNG = np.random.default_rng(5)


def ids(count: int) -> Ids:
    return RNG.integers(1000, VOCABULARY_SIZE, count).astype(np.int32)


QUERIES = [ids(6), ids(3)]
PASSAGES = [np.concatenate([QUERIES[0][1:4], ids(20)]), ids(5), np.concatenate([ids(2), QUERIES[1]]), ids(40)]


@pytest.fixture(scope="module")
def net() -> Nano:
    torch.manual_seed(1)
    net = Nano(
        torch.randn(VOCABULARY_SIZE, EMBEDDING), torch.rand(VOCABULARY_SIZE) * 8, torch.arange(VOCABULARY_SIZE) // 2
    )
    net.segment.data.normal_()
    net.importance.weight.data.normal_(std=0.05)
    net.offer.weight.data.normal_(std=0.05)
    net.eval()
    return net


def forward(net: Nano, batch: tuple[NDArray[np.int64], ...]) -> NDArray[np.float32]:
    with torch.inference_mode():
        logits: NDArray[np.float32] = net(*map(torch.from_numpy, batch))[:, 0].numpy()
    return logits


def batch() -> Batch:
    n, m = len(QUERIES), len(PASSAGES)
    teacher = RNG.random((n, m), np.float32)
    vectors = [np.eye(k, 384, dtype=np.float32) for k in (n, m)]
    positive = np.zeros((n, m), np.bool_)
    positive[0, 0] = True
    return Batch(QUERIES, PASSAGES, teacher, teacher, vectors[0], vectors[1], positive, np.zeros((n, m), np.bool_))


def test_scoring_a_batch_crosswise_gives_what_each_pair_gives_alone(net: Nano) -> None:
    with torch.inference_mode():
        scored = score(net, QUERIES, PASSAGES)
    expected = np.stack([forward(net, rows(query, [PASSAGES[i] for i in scored.order])) for query in QUERIES])
    # The crosswise match is computed in bfloat16, whose steps are 2^-8 of a value.
    assert np.abs(scored.logits.numpy() - expected).max() < 0.05


def test_the_float32_graph_computes_what_the_student_computes(net: Nano, tmp_path: Path) -> None:
    export.export(net, None, tmp_path / "model.onnx")
    session = onnxruntime.InferenceSession(tmp_path / "model.onnx", providers=["CPUExecutionProvider"])
    inputs = rows(QUERIES[0], PASSAGES)
    (found,) = session.run(None, dict(zip(INPUTS, inputs, strict=True)))
    assert np.abs(found[:, 0] - forward(net, inputs)).max() < 1e-5


def test_the_int8_graph_stays_near_the_student(net: Nano, tmp_path: Path) -> None:
    inputs = rows(QUERIES[0], PASSAGES)
    exact = forward(net, inputs)
    ranges = export.calibrate(net, [tuple(map(torch.from_numpy, inputs))])
    export.export(net, ranges, tmp_path / "model.onnx")
    session = onnxruntime.InferenceSession(tmp_path / "model.onnx", providers=["CPUExecutionProvider"])
    (found,) = session.run(None, dict(zip(INPUTS, inputs, strict=True)))
    assert 0 < np.abs(found[:, 0] - exact).max() < 0.2


def test_match_has_the_gradient_of_its_formula() -> None:
    torch.manual_seed(2)
    queries = torch.nn.functional.normalize(torch.randn(4, 16), dim=-1).bfloat16().float().requires_grad_()
    passages = torch.nn.functional.normalize(torch.randn(3, 5, 16) + 0.5, dim=-1).bfloat16().float().requires_grad_()

    def plain() -> Any:
        match = torch.einsum("id,mjd->imj", queries, passages)
        return match.amax(-1).clamp(min=0), (match - 0.5).relu().sum(-1)

    found = []
    for best, soft in (Match.apply(queries, passages), plain()):
        (best.square().sum() + soft.sum()).backward()
        found.append([best, soft, queries.grad.clone(), passages.grad.clone()])
        queries.grad = passages.grad = None
    for one, two in zip(*found, strict=True):
        assert torch.allclose(one, two, atol=0.1)


def test_inflections_of_a_word_are_one_stem(tmp_path: Path) -> None:
    pieces = [*SPECIAL_TOKENS, "s", "tide", "##s", "tides", "rise", "rising", "##ing", "news", "new"]
    (tmp_path / "vocab.txt").write_text("\n".join(pieces) + "\n")
    found = stems(Tokens(tmp_path / "vocab.txt"))
    assert {pieces[i]: pieces[stem] for i, stem in enumerate(found) if i != stem} == {"tides": "tide", "rising": "rise"}


def test_exact_counts_see_repeats_and_neighbours() -> None:
    query, other = np.array([11, 12, 13], np.int32), np.array([12], np.int32)
    passages = [np.array([12, 13, 12], np.int32), np.array([11, 13, 12], np.int32)]
    counts, (right, left, early) = exact_counts([query, other], passages)
    assert counts.tolist() == [[0, 1], [2, 1], [1, 1], [2, 1]]
    assert right.tolist() == [[0, 0], [1, 0], [0, 0], [0, 0]]
    assert left.tolist() == [[0, 0], [0, 0], [1, 0], [0, 0]]
    fading = np.exp(-np.arange(3) / EARLY)
    assert np.allclose(early, [[0, 1], [1, fading[2]], [fading[1], fading[1]], [1, fading[2]]])


def test_every_part_of_the_loss_is_a_number_and_falls_to_nothing_for_the_teacher_itself(net: Nano) -> None:
    made = batch()
    teacher = torch.from_numpy(made.teacher)
    vectors = map(torch.from_numpy, (made.query_vectors, made.passage_vectors))
    scored = Scored([*range(len(PASSAGES))], 15 * teacher, teacher[..., None].expand(-1, -1, 2), *vectors)
    parts = losses(scored, made, Recipe(10))
    assert all(value.ndim == 0 and bool(value.isfinite()) for value in parts.values())
    assert max(float(parts[name]) for name in ("kl", "margin", "cosine", "vector")) < 1e-5


def test_the_learning_rate_warms_up_holds_and_decays() -> None:
    rates = [rate_at(step, 1000, warmup=100, decay=0.4) for step in range(1000)]
    assert rates[0] < rates[50] < rates[100] == rates[500] == 1.0
    assert rates[599] == 1.0 > rates[700] > rates[990] >= 0.02
