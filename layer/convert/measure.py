"""What a converted model costs and how far int8 took it from float32."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import NamedTuple

import onnx

from handler.contract import Passage, RankRequest
from handler.model import GRAPH, Manifest
from handler.ranker import Ranker
from handler.runtime import Clock
from layer.optimize.graph import write
from layer.optimize.make import PAIRS, read_pairs

PASSAGES = 100
WORDS = 75  # about 100 tokens


class Measured(NamedTuple):
    """Largest difference of logits between int8 and float32, and milliseconds for 100 passages of 75 words."""

    largest_difference: float
    milliseconds_per_100: float


def differences(directory: Path, exact: Path) -> float:
    """Return the largest difference of logits between the model in ``directory`` and the graph ``exact``."""
    with tempfile.TemporaryDirectory() as scratch:
        full = Path(scratch)
        manifest = Manifest.read(directory)
        for name in manifest.files:
            if not name.startswith(GRAPH):
                shutil.copyfile(directory / name, full / name)
        write(onnx.load(exact), full / GRAPH)
        manifest._replace(files={}, options={**manifest.options, "alone": True}).write(full)
        pairs = list(read_pairs(PAIRS))
        found, wanted = ([_logit(ranker, *pair) for pair in pairs] for ranker in map(Ranker.load, (directory, full)))
    return max(abs(a - b) for a, b in zip(found, wanted, strict=True))


def time_per_100(directory: Path, rounds: int) -> float:
    """Return the median milliseconds to rank 100 passages of 75 words on one thread."""
    ranker = Ranker.load(directory)
    words = " ".join(passage for _, passage in read_pairs(PAIRS)).split()
    texts = [" ".join(words[(i * 37 + j) % len(words)] for j in range(WORDS)) for i in range(PASSAGES)]
    request = RankRequest("what makes rain form over the hills", tuple(map(Passage, texts)), raw_scores=True)
    times = []
    for _ in range(rounds):
        began = perf_counter()
        ranker.rank(request, Clock.start())
        times.append(perf_counter() - began)
    return round(median(times) * 1000, 1)


def _logit(ranker: Ranker, query: str, passage: str) -> float:
    request = RankRequest(query, (Passage(passage),), raw_scores=True)
    return ranker.rank(request, Clock.start()).results[0].score
