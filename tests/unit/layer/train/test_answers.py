"""The lists of sentences, and the cross-encoder that judges them. They need torch, which `make train` has."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is in the training environment alone")

from safetensors.torch import save_file  # noqa: E402 - after torch is known to be there

from layer.train import answers, minilm  # noqa: E402
from layer.train.answers import Answers, Lists, agree, collect  # noqa: E402
from layer.train.cross_encoder import CrossEncoder, learn, rows, score  # noqa: E402
from layer.train.distill import answer_loss  # noqa: E402
from layer.train.model import EMBEDDING, Nano  # noqa: E402
from layer.train.prepare import SENTENCE_ENDS, World  # noqa: E402
from layer.train.tokens import Ids  # noqa: E402
from layer.train.wheel import LAYERS, WEIGHTS, WIDTH  # noqa: E402

WORDS = 1200
STOP = SENTENCE_ENDS[0]


def ids(*values: int) -> Ids:
    return np.array(values, np.int32)


def sentence(start: int) -> Ids:
    return ids(*range(start, start + 6), STOP)


def world() -> World:
    """Thirty passages of two sentences; query i asks for the second sentence of passage i."""
    passages = [np.concatenate([sentence(100 + 20 * i), sentence(110 + 20 * i)]) for i in range(30)]
    queries = [ids(110 + 20 * i, 111 + 20 * i) for i in range(30)]
    return World(passages, ["own"] * 30, 30, queries, ["own"] * 30, [*range(30)], [[i] for i in range(30)])


def stems(text: Ids) -> list[str]:
    return [str(i) for i in text if i != STOP]


@pytest.fixture(scope="module")
def lists() -> Lists:
    return collect(world(), stems, seed=1)


def test_a_list_holds_the_labelled_sentences_near_ones_and_the_best_by_bm25(lists: Lists) -> None:
    assert len(lists.queries) == 29  # the first is kept aside
    for query, members, labelled, shares in zip(
        lists.queries, lists.members, lists.labelled, lists.lexical, strict=True
    ):
        assert labelled.sum() == 2
        assert len(set(members.tolist())) == len(members) > answers.NEAR
        best = lists.sentences[members[int(np.argmax(shares))]]
        assert best[0] == query[0]
        assert shares[labelled].any()
        assert not shares[~labelled].any()


def test_the_answer_that_cosine_words_and_label_agree_on_is_the_teachers_best(lists: Lists) -> None:
    nothing = [np.zeros(len(members), np.float32) for members in lists.members]
    vectors = np.zeros((len(lists.queries), 4), np.float16), np.zeros((len(lists.sentences), 4), np.float16)
    for logits, shares in zip(agree(lists, nothing, *vectors), lists.lexical, strict=True):
        assert np.argmax(logits) == np.argmax(shares)


def test_what_is_drawn_is_judged_in_its_own_list_alone(lists: Lists) -> None:
    logits = [np.full(len(members), 1.0, np.float32) for members in lists.members]
    queries, sentences, target = Answers(lists, logits).draw(np.random.default_rng(0))
    assert target.shape == (len(queries), len(sentences)) == (answers.DRAWN, len(sentences))
    assert ((target == 1).sum(0) == 1).all()
    assert set(np.unique(target)) == {1.0, np.float32(answers.ELSEWHERE)}


def test_the_student_is_held_to_the_teacher_of_each_list(lists: Lists) -> None:
    torch.manual_seed(1)
    net = Nano(torch.randn(WORDS, EMBEDDING), torch.rand(WORDS), torch.arange(WORDS))
    logits = [np.zeros(len(members), np.float32) for members in lists.members]
    loss = answer_loss(net, Answers(lists, logits), np.random.default_rng(0))
    loss.backward()
    assert loss.item() > 0
    assert net.need.weight.grad is not None


def test_pairs_are_laid_out_as_bert_reads_them() -> None:
    found = rows([(ids(7, 8), ids(9)), (ids(7), ids(9, 10, 11))])
    assert found[0].tolist() == [
        [minilm.CLS, 7, 8, minilm.SEP, 9, minilm.SEP, 0],
        [minilm.CLS, 7, minilm.SEP, 9, 10, 11, minilm.SEP],
    ]
    assert found[1].sum(1).tolist() == [6, 7]
    assert found[2].tolist() == [[0, 0, 0, 0, 1, 1, 0], [0, 0, 0, 1, 1, 1, 1]]


@pytest.fixture
def teacher(tmp_path: Path) -> Path:
    """A folder with an untrained MiniLM of few words."""
    torch.manual_seed(3)
    shapes = {
        "word_embeddings.weight": (WORDS, WIDTH),
        "position_embeddings.weight": (160, WIDTH),
        "token_type_embeddings.weight": (2, WIDTH),
    }
    weights = {f"embeddings.{name}": 0.05 * torch.randn(shape) for name, shape in shapes.items()}
    norms = ["embeddings.LayerNorm"]
    linear: dict[str, tuple[int, int]] = {}
    for layer in range(LAYERS):
        name = f"encoder.layer.{layer}"
        norms += [f"{name}.attention.output.LayerNorm", f"{name}.output.LayerNorm"]
        linear |= {f"{name}.attention.self.{part}": (WIDTH, WIDTH) for part in ("query", "key", "value")}
        linear |= {
            f"{name}.attention.output.dense": (WIDTH, WIDTH),
            f"{name}.intermediate.dense": (4 * WIDTH, WIDTH),
            f"{name}.output.dense": (WIDTH, 4 * WIDTH),
        }
    for name in norms:
        weights |= {f"{name}.weight": torch.ones(WIDTH), f"{name}.bias": torch.zeros(WIDTH)}
    for name, shape in linear.items():
        weights |= {f"{name}.weight": 0.05 * torch.randn(shape), f"{name}.bias": torch.zeros(shape[0])}
    (tmp_path / WEIGHTS).parent.mkdir(parents=True)
    save_file(weights, tmp_path / WEIGHTS)
    return tmp_path


def test_the_cross_encoder_learns_goes_on_from_its_checkpoint_and_scores_every_sentence(
    lists: Lists, teacher: Path, tmp_path: Path
) -> None:
    checkpoint = tmp_path / "answering.ckpt"
    learn(CrossEncoder(teacher), lists, 2, 1, checkpoint)
    resumed = CrossEncoder(teacher)
    learn(resumed, lists, 2, 1, checkpoint)  # nothing is left to do
    state = torch.load(checkpoint, weights_only=True)
    assert state["step"] == 2
    assert all(torch.equal(value, state["net"][name]) for name, value in resumed.state_dict().items())
    logits = score(resumed, lists)
    assert [len(one) for one in logits] == [len(members) for members in lists.members]
    assert np.isfinite(np.concatenate(logits)).all()
