"""Make the nano model: ``make train``, or ``python -m layer.train --help``.

Every step keeps what it made in the work folder and is skipped where that is there already; distillation resumes from
its last checkpoint. Delete a step's file, or the folder, to make it again. On a CPU with bfloat16 matrix units (AMX)
the whole takes some two hours on one core, most of it distillation.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import scipy.sparse as sp
import torch

from layer.train import lexical, prepare
from layer.train.beir import DataError
from layer.train.calibrate import fit
from layer.train.distill import Recipe, distill
from layer.train.export import calibrate, export
from layer.train.minilm import VOCABULARY, MiniLM, fetch
from layer.train.model import Nano
from layer.train.release import release
from layer.train.sampler import Sampler
from layer.train.start import principal_components
from layer.train.tokens import VOCABULARY_SIZE, Tokens

STEPS, ROUNDING_STEPS = 4000, 300


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


def train(folders: list[Path], work: Work, out: Path, revision: str, seed: int, steps: int) -> None:
    """Run all steps, from data sets to a model directory.

    Raises:
        DataError: a data set is missing a file or is malformed.
    """
    torch.manual_seed(seed)
    teacher_folder = fetch(work.folder / "teacher")
    tokens = Tokens(teacher_folder / VOCABULARY)
    world = prepare.load(
        work.step("world.pkl", lambda path: prepare.save(prepare.prepare(folders, tokens, seed), path))
    )

    def embed(texts: list[np.ndarray], what: str) -> Callable[[Path], None]:
        def make(path: Path) -> None:
            with path.open("wb") as file:
                np.save(file, MiniLM(teacher_folder).embed(texts, what))

        return make

    query_vectors = np.load(work.step("queries.npy", embed(world.queries, "queries")))
    passage_vectors = np.load(work.step("passages.npy", embed(world.passages, "passages")))
    entries = [np.array([i], np.int32) for i in range(VOCABULARY_SIZE)]
    vocabulary_vectors = np.load(work.step("vocabulary.npy", embed(entries, "vocabulary")))

    words = lexical.Words(tokens)
    passage_words = [words.of(ids) for ids in world.passages]
    lexicon = lexical.learn(passage_words)

    def matrix(
        make: Callable[[list[list[str]], lexical.Lexicon], sp.csr_matrix], texts: list[list[str]]
    ) -> Callable[[Path], None]:
        def save(path: Path) -> None:
            with path.open("wb") as file:
                sp.save_npz(file, make(texts, lexicon))

        return save

    passage_terms = sp.load_npz(work.step("passage_terms.npz", matrix(lexical.passage_matrix, passage_words)))
    query_terms = sp.load_npz(
        work.step("query_terms.npz", matrix(lexical.query_matrix, [words.of(ids) for ids in world.queries]))
    )

    sampler = Sampler(world, query_vectors, passage_vectors, query_terms, passage_terms, seed)
    frequency = prepare.token_frequency(world.passages, VOCABULARY_SIZE)
    start = principal_components(vocabulary_vectors, np.sqrt(frequency + 1).astype(np.float32))
    net = Nano(start, torch.from_numpy(prepare.idf(frequency, len(world.passages))))

    def learn(path: Path) -> None:
        torch.save(distill(net, sampler, Recipe(steps), work.folder / "distil.ckpt").state_dict(), path)

    net.load_state_dict(torch.load(work.step("student.pt", learn), weights_only=True))

    def rounded(path: Path) -> None:
        net.ranges = calibrate(net, sampler.pairs(60))
        recipe = Recipe(min(ROUNDING_STEPS, steps), rate=1e-4, embedding_rate=5e-5)
        averaged = distill(net, sampler, recipe, work.folder / "rounding.ckpt")
        torch.save({"net": averaged.state_dict(), "ranges": net.ranges}, path)

    state = torch.load(work.step("rounded.pt", rounded), weights_only=True)
    net.load_state_dict(state["net"])
    net.ranges = state["ranges"]
    graph = work.step("model.onnx", lambda path: export(net, net.ranges, path))
    calibration = fit(graph, sampler)
    release(
        graph,
        teacher_folder / VOCABULARY,
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
    parser.add_argument("--steps", type=int, default=STEPS)
    given = parser.parse_args()
    folders = [
        set_
        for data in given.data
        for set_ in ([data] if (data / "qrels").exists() else sorted(p for p in data.glob("*") if p.is_dir()))
    ]
    try:
        if not folders:
            raise DataError(f"{given.data[0]}: holds no set in BEIR layout")
        train(folders, Work(given.work), given.out, given.revision, given.seed, given.steps)
    except DataError as error:
        print(f"train: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
