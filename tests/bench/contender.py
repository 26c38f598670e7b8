"""The contenders of the benchmark as processes that take turns."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any, Self

from layer.optimize.make import optimise
from tests.bench import reference
from tests.bench.worker import FLASHRANK_MODEL

ROOT = Path(__file__).resolve().parents[2]
NANO = ROOT / "layer" / "nano"
BUILD = ROOT / ".build" / "bench"
SLOW_SECONDS, SLOW_ROUNDS = 0.7, 3  # who takes longer than this for one answer takes part in fewer rounds
WORKER = Path(__file__).with_name("worker.py")


@dataclass(frozen=True, slots=True)
class Models:
    """The folders that the contenders load: the same random TinyBERT-shaped weights for all, and our own nano."""

    flashrank: Path  # FlashRank's cache: the reference export, dynamic int8, in its own layout
    tiny: Path  # the same weights through layer.optimize
    nano: Path

    @classmethod
    def prepare(cls, nano: Path = NANO) -> Models:
        """Make the folders anew, in a few seconds; ``nano`` is the model directory to measure as ours."""
        cache = BUILD / "flashrank"
        folder = cache / FLASHRANK_MODEL
        settings = reference.config(len((nano / "vocab.txt").read_text(encoding="utf-8").split("\n")) - 1)
        source = BUILD / "source"
        for each in (folder, source):
            reference.flashrank_folder(nano / "vocab.txt", settings, each)
        reference.export(settings, reference.checkpoint(settings), source / "model.onnx")
        reference.quantized(source / "model.onnx", folder / "flashrank-TinyBERT-L-2-v2.onnx")
        optimise(source, BUILD / "tiny", name="tiny")
        return cls(cache, BUILD / "tiny", nano)


@dataclass(slots=True)
class Contender:
    """A worker process. Entering starts it; ``skipped`` says why where it could not."""

    name: str
    python: Path
    folder: Path
    loaded: dict[str, float] = field(default_factory=dict)
    skipped: str = ""
    peak_rss_mb: float = 0.0
    _process: subprocess.Popen[str] | None = None

    def __enter__(self) -> Self:
        command = [str(self.python), str(WORKER), self.name, str(self.folder)]
        environment = {**os.environ, "PYTHONPATH": str(ROOT) if self.name.startswith("ours") else ""}
        self._process = subprocess.Popen(
            command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        try:
            self.loaded = self._answer()
        except RuntimeError as error:
            self.skipped = str(error)
        return self

    def __exit__(self, *_exception: object) -> None:
        if self._process is not None:
            self._process.stdin.close()  # type: ignore[union-attr]
            self._process.wait()
            self._process.stdout.close()  # type: ignore[union-attr]
            self._process.stderr.close()  # type: ignore[union-attr]

    def ask(self, **order: Any) -> dict[str, Any]:
        """Send one order and return its answer. Raises ``RuntimeError`` with the last line of what went wrong."""
        assert self._process is not None
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()
        return self._answer()

    def _answer(self) -> dict[str, Any]:
        assert self._process is not None
        assert self._process.stdout is not None
        assert self._process.stderr is not None
        line = self._process.stdout.readline()
        if not line:
            last = self._process.stderr.read().strip().split("\n")[-1]
            raise RuntimeError(last or f"{self.name} ended")
        answer: dict[str, Any] = json.loads(line)
        self.peak_rss_mb = answer["peak_rss_mb"]
        return answer


def interleaved(
    contenders: list[Contender], query: str, passages: list[str], rounds: int, progress: Callable[[str], None]
) -> dict[str, dict[str, Any]]:
    """Let every contender answer the same task in turn: one round to warm up, then ``rounds``, fewer of who is slow.

    Returns, by contender, the medians in milliseconds, every round, and the median of the ratios to the first
    contender's time of the same round.
    """
    turns = {}
    for contender in contenders:
        contender.ask(query=query, passages=passages)
        turns[contender.name] = rounds if contender.ask()["cpu"] < SLOW_SECONDS else min(rounds, SLOW_ROUNDS)
    times: dict[str, list[float]] = {contender.name: [] for contender in contenders}
    walls: dict[str, list[float]] = {contender.name: [] for contender in contenders}
    for number in range(rounds):
        for contender in contenders:
            if number >= turns[contender.name]:
                continue
            progress(f"round {number + 1} of {rounds}, {contender.name}")
            answer = contender.ask()
            times[contender.name].append(1000 * answer["cpu"])
            walls[contender.name].append(1000 * answer["wall"])
    first = times[contenders[0].name]
    return {
        name: {
            "ms": median(every),
            "wall_ms": median(walls[name]),
            "ratio": median(time / base for time, base in zip(every, first, strict=False)),
            "rounds_ms": every,
        }
        for name, every in times.items()
    }


def exponent(points: Mapping[int, float]) -> float:
    """Return the slope of a straight line through the logarithms of ``points`` (size -> time), by least squares."""
    from math import log

    xs, ys = [log(size) for size in points], [log(time) for time in points.values()]
    mean_x, mean_y = sum(xs) / len(xs), sum(ys) / len(ys)
    above = sum((x - mean_x) * (y - mean_y) for x, y in zip(xs, ys, strict=True))
    return above / sum((x - mean_x) ** 2 for x in xs)
