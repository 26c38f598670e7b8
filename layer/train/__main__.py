"""Make the nano model: ``make train``, or ``python -m layer.train --help``.

Every step keeps what it made in the work folder and is skipped where that is there already; imitation, distillation and
the cross-encoder resume from their last checkpoint. Delete a step's file, or the folder, to make it again. One core
with bfloat16 instructions takes some five hours for the whole: half an hour for the teacher's embeddings, as long to
imitate them, an hour and a half for the cross-encoder and what it scores, and the rest for distillation.
A GPU is used for what the teacher and the cross-encoder do; the student's steps are small and stay on the CPU.
"""

from __future__ import annotations

import argparse
import copy
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from tqdm import tqdm

from handler.model import GRAPH
from layer.train import answers, cross_encoder, lexical, own, prepare, vocabulary
from layer.train.answers import Answers, Lists
from layer.train.beir import DataError
from layer.train.calibrate import fit
from layer.train.distill import Recipe, distill
from layer.train.export import calibrate as ranges_of
from layer.train.export import export
from layer.train.imitate import Texts, imitate
from layer.train.minilm import MiniLM
from layer.train.model import Nano
from layer.train.release import VOCABULARY as OWN_VOCABULARY
from layer.train.release import release
from layer.train.sampler import Sampler
from layer.train.start import principal_components, start_joint
from layer.train.tokens import Ids, Tokens, Translation, learn_vocabulary
from layer.train.vocabulary import Embedded
from layer.train.wheel import VOCABULARY, fetch

CALIBRATION_QUERIES = 60
FEWEST = 500
OWN_SHARE = 0.15
LINES = 2  # the mean of two networks with one start ranks better than either
# The mean then goes on learning, more by the labels and now from the answers too, in two stages. The mean of what they
# leave ranks single sentences nearly as well as the second, and whole passages as well as the first.
SETTLING = (
    Recipe(500, rate=3e-4, embedding_rate=2e-4, warmup=30, decay=0.9, label=1.2, answer=1.0),
    Recipe(800, rate=4e-4, embedding_rate=2.4e-4, warmup=30, decay=0.9, label=1.2, answer=2.0),
)


@dataclass(frozen=True, slots=True)
class Plan:
    """Steps of the phases of learning: of distillation in each line, of settling in each stage."""

    imitation: int
    distillation: int
    settling: list[int]


class Work:
    """The work folder: each step's product is a file in it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    def step(self, name: str, make: Callable[[Path], None]) -> Path:
        """Make ``name`` unless it is there; it appears only when complete."""
        path = self.folder / name
        if path.is_file():
            print(f"{name}: there already")
        else:
            print(f"{name}: making", flush=True)
            partial = path.with_name(f"partial-{name}")
            make(partial)
            partial.rename(path)
        return path


@dataclass(frozen=True, slots=True)
class Lessons:
    """All that the student learns from, in ids of its own vocabulary, with the teacher's embeddings."""

    vocabulary: Path
    world: prepare.World
    query_vectors: NDArray[np.float16]
    passage_vectors: NDArray[np.float16]
    piece_vectors: NDArray[np.float16]
    short: Embedded
    sampler: Sampler
    answers: Answers


def gather(folders: list[Path], work: Work, seed: int) -> Lessons:
    """Read the data sets, learn the vocabulary and have the teacher embed everything.

    Raises:
        DataError: a data set is missing a file or is malformed.
    """
    teacher = fetch(work.folder / "teacher")
    tokens = Tokens(teacher / VOCABULARY)
    world = prepare.load(
        work.step("world.pkl", lambda path: prepare.save(prepare.prepare(folders, tokens, seed), path))
    )
    if len(world.passages) < FEWEST or len(world.queries) < FEWEST:
        raise DataError(f"{folders[0].parent}: needs at least {FEWEST} passages to learn from")

    def embeddings(name: str, texts: list[Ids]) -> NDArray[np.float16]:
        def make(path: Path) -> None:
            with path.open("wb") as file:
                np.save(file, MiniLM(teacher).embed(texts, name))

        vectors: NDArray[np.float16] = np.load(work.step(f"{name}.npy", make))
        return vectors

    query_vectors = embeddings("queries", world.queries)
    passage_vectors = embeddings("passages", world.passages)
    entry_vectors = embeddings("entries", [np.array([i], np.int32) for i in range(len(tokens.pieces))])
    short = vocabulary.write(tokens, entry_vectors, seed)
    short_vectors = embeddings("short", short)

    def learnt(path: Path) -> None:
        texts = [*world.passages[: world.whole], *world.labelled_queries()]
        learn_vocabulary((word for ids in texts for word in tokens.join(ids)), path)

    learner = Tokens(vocabulary_file := work.step(OWN_VOCABULARY, learnt))
    piece_vectors = embeddings("pieces", [tokens.piece(piece) for piece in learner.pieces])

    words = lexical.Words(tokens)
    passage_words = [words.of(ids) for ids in tqdm(world.passages, desc="stemming")]
    lexicon = lexical.learn(passage_words)
    query_terms = lexical.query_matrix([words.of(ids) for ids in world.queries], lexicon)
    passage_terms = lexical.passage_matrix(passage_words, lexicon)

    lists = answers.collect(world, words.of, seed)
    answer_logits = answers.agree(
        lists,
        cross_encoded(lists, teacher, work, seed),
        query_vectors[lists.asked],
        embeddings("sentences", lists.sentences),
    )

    translate = Translation(tokens, learner)
    world = replace(world, passages=translate(world.passages), queries=translate(world.queries))
    sampler = Sampler(world, query_vectors, passage_vectors, query_terms, passage_terms, seed)
    return Lessons(
        vocabulary_file,
        world,
        query_vectors,
        passage_vectors,
        piece_vectors,
        Embedded(translate(short), short_vectors),
        sampler,
        Answers(replace(lists, queries=translate(lists.queries), sentences=translate(lists.sentences)), answer_logits),
    )


def cross_encoded(lists: Lists, teacher: Path, work: Work, seed: int) -> list[NDArray[np.float32]]:
    """Return the logits that a cross-encoder, made of the teacher and trained on the lists, gives their sentences."""

    def learnt(path: Path) -> None:
        net = cross_encoder.CrossEncoder(teacher)
        cross_encoder.learn(net, lists, len(lists.queries) // cross_encoder.LISTS, seed, work.folder / "answering.ckpt")
        torch.save(net.cpu().state_dict(), path)

    weights = work.step("answering.pt", learnt)

    def scored(path: Path) -> None:
        net = cross_encoder.CrossEncoder(teacher)
        net.load_state_dict(torch.load(weights, weights_only=True))
        with path.open("wb") as file:
            np.save(file, np.concatenate(cross_encoder.score(net, lists)))

    flat: NDArray[np.float32] = np.load(work.step("answers.npy", scored))
    return np.split(flat, np.cumsum([len(members) for members in lists.members])[:-1])


def begin(lessons: Lessons) -> Nano:
    """Return the student before any training."""
    world = lessons.world
    frequency = prepare.token_frequency(world.passages, len(lessons.piece_vectors))
    start = principal_components(lessons.piece_vectors, np.sqrt(frequency + 1).astype(np.float32))
    stems = lexical.stems(Tokens(lessons.vocabulary))
    together = np.minimum(np.bincount(stems, frequency), len(world.passages))
    idf = prepare.idf(together[stems], len(world.passages))
    return Nano(start, torch.from_numpy(idf), torch.from_numpy(stems))


def imitation_texts(lessons: Lessons) -> list[Texts]:
    """Return what is imitated; our own texts, and what was made from them, far more often than their number would have.

    Of the vocabulary's short texts every other one is taken as a query.
    """
    world, short = lessons.world, lessons.short
    ours = [i for i, origin in enumerate(world.origin) if origin == own.NAME]
    asked = [i for i, passage in enumerate(world.about) if world.origin[passage] == own.NAME]
    return [
        Texts(world.queries, lessons.query_vectors, 0, 0.23),
        Texts(world.passages, lessons.passage_vectors, 1, 0.32),
        Texts([world.queries[i] for i in asked], lessons.query_vectors[asked], 0, OWN_SHARE),
        Texts([world.passages[i] for i in ours], lessons.passage_vectors[ours], 1, OWN_SHARE),
        *(Texts(short.texts[i::2], short.vectors[i::2], i, 0.075) for i in (0, 1)),
    ]


def distilled(net: Nano, lessons: Lessons, work: Work, name: str, recipe: Recipe, seed: int) -> dict[str, Tensor]:
    """Return the weights that a run of distillation makes of ``net``, which stays as it is."""

    def learn(path: Path) -> None:
        checkpoint = work.folder / f"{name}.ckpt"
        averaged = distill(
            copy.deepcopy(net), lessons.sampler, lessons.short, lessons.answers, recipe, seed, checkpoint
        )
        torch.save(averaged.state_dict(), path)

    weights: dict[str, Tensor] = torch.load(work.step(f"{name}.pt", learn), weights_only=True)
    return weights


def mean(networks: list[dict[str, Tensor]]) -> dict[str, Tensor]:
    """Return the mean of the weights of several networks (https://arxiv.org/abs/2203.05482)."""
    return {name: torch.stack([one[name] for one in networks]).float().mean(0) for name in networks[0]}


def train(folders: list[Path], work: Work, out: Path, revision: str, seed: int, plan: Plan) -> None:
    """Run all steps, from data sets to a model directory.

    Raises:
        DataError: a data set is missing a file or is malformed.
    """
    torch.manual_seed(seed)
    lessons = gather(folders, work, seed)
    net, sampler = begin(lessons), lessons.sampler

    def imitated(path: Path) -> None:
        texts = imitation_texts(lessons)
        start_joint(net, texts[0], texts[1], seed)
        imitate(net, texts, plan.imitation, seed, work.folder / "imitate.ckpt")
        torch.save(net.state_dict(), path)

    net.load_state_dict(torch.load(work.step("imitated.pt", imitated), weights_only=True))
    recipe = Recipe(plan.distillation)
    lines = [distilled(net, lessons, work, f"line-{i}", recipe, seed + i) for i in range(LINES)]
    net.load_state_dict(mean(lines))
    stages = []
    for i, (stage, steps) in enumerate(zip(SETTLING, plan.settling, strict=True)):
        stages.append(distilled(net, lessons, work, f"settled-{i}", replace(stage, steps=steps), seed + LINES + i))
        net.load_state_dict(stages[-1])
    net.load_state_dict(mean(stages))
    graph = work.folder / "graph" / GRAPH
    export(net, ranges_of(net, sampler.pairs(CALIBRATION_QUERIES)), graph)
    calibration = fit(graph, sampler)
    release(
        graph,
        lessons.vocabulary,
        out,
        revision,
        temperature=calibration.temperature,
        bias=calibration.bias,
        notes=calibration.as_notes(),
    )
    print(f"{out}: revision {revision}, {calibration}")


def main() -> int:
    """Parse the command line and train; returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="make train", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "data", type=Path, nargs="+", help="a set in BEIR layout, or a folder of such sets; several may be given"
    )
    parser.add_argument("--work", type=Path, default=Path(".build/train"))
    parser.add_argument("--out", type=Path, default=Path(".build/train/nano"))
    parser.add_argument("--revision", default="local")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--imitation", type=int, default=12_000, help="steps")
    parser.add_argument("--distillation", type=int, default=2_000, help="steps of each line")
    parser.add_argument(
        "--settling", type=int, nargs=len(SETTLING), default=[stage.steps for stage in SETTLING], help="of their mean"
    )
    given = parser.parse_args()
    folders = [
        set_
        for data in given.data
        for set_ in ([data] if (data / "qrels").exists() else sorted(p for p in data.glob("*") if p.is_dir()))
    ]
    plan = Plan(given.imitation, given.distillation, given.settling)
    try:
        if not folders:
            raise DataError(f"{given.data[0]}: holds no set in BEIR layout")
        train(folders, Work(given.work), given.out, given.revision, given.seed, plan)
    except DataError as error:
        print(f"train: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
