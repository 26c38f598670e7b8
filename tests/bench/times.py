"""How long the shipped model and the shapes of published ones take on this core: `.build/times.json` for the pictures.

Time follows from the shape, so the others carry random weights, in the plain fp32 export that any toolchain makes.
They are timed at their best: inference alone, on one batch of ten sequences of one length, ten times that. Ours is the
whole of a request, tokenising included. Rounds are interleaved, times are the process's own (neighbours on a shared
machine lengthen them little), medians are reported; use the ratios.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import tomllib
from collections.abc import Callable
from pathlib import Path
from statistics import median
from time import process_time

import numpy as np
import onnxruntime
from tqdm import tqdm

from handler.contract import Passage, RankRequest
from handler.ranker import Ranker
from handler.runtime import Clock
from tests.bench.reference import checkpoint, config, export
from tests.bench.texts import QUERY, passages, words_of

PASSAGES, TOKENS, ROWS, ROUNDS = 100, 100, 10, 7
PUBLISHED = Path(__file__).parents[1] / "quality" / "published.toml"


def ours(model: Path) -> Callable[[], object]:
    """Return a request of 100 different passages of 100 tokens each, beside their query, on a loaded model."""
    ranker = Ranker.load(model)
    texts = passages(words_of(model / "vocab.txt"), PASSAGES, TOKENS, spread=0)
    request = RankRequest(QUERY, tuple(Passage(text) for text in texts))
    return lambda: ranker.rank(request, Clock.start())


def theirs(shape: dict[str, int], folder: Path) -> Callable[[], object]:
    """Return a tenth of the same work, on a graph of ``shape``."""
    settings = config(30522, **shape)
    path = folder / "model.onnx"
    export(settings, checkpoint(settings), path)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    ids = np.random.default_rng(0).integers(1000, 30000, (ROWS, TOKENS))
    feed = {"input_ids": ids, "attention_mask": np.ones_like(ids), "token_type_ids": np.zeros_like(ids)}
    return lambda: session.run(None, feed)


def main() -> None:
    """Time everything and write the medians in milliseconds."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, default=Path("layer/nano"))
    parser.add_argument("--json", type=Path, default=Path(".build/times.json"))
    given = parser.parse_args()
    work = {"ours": ours(given.model)}
    for model in tomllib.loads(PUBLISHED.read_text(encoding="utf-8"))["models"]:
        shape = {"num_hidden_layers": model["layers"], "hidden_size": model["width"]}
        shape |= {"num_attention_heads": 2 if model["width"] == 128 else 12, "intermediate_size": 4 * model["width"]}
        with tempfile.TemporaryDirectory() as folder:
            work[model["name"]] = theirs(shape, Path(folder))
    times: dict[str, list[float]] = {name: [] for name in work}
    for _ in tqdm(range(ROUNDS), desc="timing", unit="round"):
        for name, run in work.items():
            began = process_time()
            run()
            times[name].append((process_time() - began) * 1000 * (1 if name == "ours" else PASSAGES // ROWS))
    medians = {name: round(median(values), 1) for name, values in times.items()}
    for name, milliseconds in medians.items():
        print(f"{name}: {milliseconds} ms, {milliseconds / medians['ours']:.1f} times ours")
    given.json.parent.mkdir(parents=True, exist_ok=True)
    given.json.write_text(json.dumps({"passages": PASSAGES, "tokens": TOKENS, "ms": medians}, indent=1) + "\n")


if __name__ == "__main__":
    main()
