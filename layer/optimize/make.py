"""From a BERT cross-encoder as people have it to a model directory that a function loads as it is."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

os.environ["ORT_DISABLE_TELEMETRY"] = "1"  # before onnxruntime is imported: it would write to the home directory

import onnxruntime

from handler.model import GRAPH, Manifest
from handler.wordpiece import Tokens
from layer.optimize import bert, checkpoint
from layer.optimize.calibration import calibrate
from layer.optimize.graph import EXTERNAL

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from numpy.typing import NDArray

    Feed = Mapping[str, NDArray[np.int64]]

PAIRS = Path(__file__).with_name("calibration.jsonl")
TOKENIZER_FILES = ("vocab.txt", "tokenizer.json")


class Made(NamedTuple):
    """What :func:`optimise` made: its manifest, and how far int8 is from fp32 on the calibration pairs (logits)."""

    manifest: Manifest
    largest_difference: float
    fp32_deviation: float  # standard deviation of the fp32 logits, to judge the difference by


def optimise(  # noqa: PLR0913 - keyword arguments of one call
    source: Path,
    target: Path,
    *,
    name: str,
    revision: str = "",
    pairs: Iterable[tuple[str, str]] | None = None,
    int8: bool = True,
) -> Made:
    """Write the model of ``source`` into ``target``: [CLS]-only last layer, static int8, external weights, manifest.

    ``source`` has ``config.json``, weights (``*.safetensors``, ``pytorch_model*.bin`` or an ``*.onnx`` export) and
    ``vocab.txt`` or ``tokenizer.json``. The scales of the activations are taken from ``pairs`` of query and passage,
    by default a few of our own. Raises ``checkpoint.UnsupportedModel`` for what is no such model.
    """
    model = checkpoint.read(source)
    vocabulary = next((file for file in TOKENIZER_FILES if (source / file).exists()), None)
    if vocabulary is None:
        raise checkpoint.UnsupportedModel(f"none of {', '.join(TOKENIZER_FILES)} is there")
    lowercase = bool(_json(source / "tokenizer_config.json").get("do_lower_case", True))
    tokens = Tokens(source, lowercase=lowercase)
    inputs = [feed(tokens, query, passage, model.window) for query, passage in pairs or read_pairs(PAIRS)]
    target.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        exact = Path(scratch) / GRAPH
        graph = bert.save(model, None, exact, calibrate=True)
        session = plain_session(exact)
        expected = logits(session, inputs)
        ranges = calibrate(session, graph.quantised, inputs) if int8 else None
    bert.save(model, ranges, target / GRAPH)
    difference = np.abs(logits(plain_session(target / GRAPH), inputs) - expected).max()
    shutil.copyfile(source / vocabulary, target / vocabulary)
    manifest = Manifest(
        name,
        revision or digest(target / GRAPH, target / EXTERNAL)[:12],
        window=model.window,
        max_query_tokens=model.window // 2,
        lowercase=lowercase,
        files={file: entry(target / file) for file in (GRAPH, EXTERNAL, vocabulary)},
    )
    manifest.write(target)
    return Made(manifest, float(difference), float(expected.std()))


def read_pairs(path: Path) -> Iterator[tuple[str, str]]:
    """Yield every query with each of its passages from JSON lines of ``query`` and ``passages``."""
    with path.open(encoding="utf-8") as lines:
        for line in lines:
            item = json.loads(line)
            yield from ((item["query"], passage) for passage in item["passages"])


def feed(tokens: Tokens, query: str, passage: str, window: int) -> Feed:
    """Return the unpadded inputs of one pair, int64 ``[1, tokens]``."""
    cls, sep = tokens.special_id("[CLS]"), tokens.special_id("[SEP]")
    first = [cls, *tokens.library.encode(query, add_special_tokens=False).ids[: window // 2], sep]
    room = window - len(first) - 1
    ids = [*first, *tokens.library.encode(passage, add_special_tokens=False).ids[:room], sep]
    types = [0] * len(first) + [1] * (len(ids) - len(first))
    return {
        "input_ids": np.array([ids], np.int64),
        "attention_mask": np.ones((1, len(ids)), np.int64),
        "token_type_ids": np.array([types], np.int64),
    }


def logits(session: onnxruntime.InferenceSession, feeds: Iterable[Feed]) -> NDArray[np.float32]:
    """Return the logit of every feed, run one by one: float32 ``[feeds]``."""
    names = [node.name for node in session.get_inputs()]
    rows = [session.run(["logits"], {name: each[name] for name in names})[0][0, -1] for each in feeds]
    return np.array(rows, np.float32)


def plain_session(path: Path) -> onnxruntime.InferenceSession:
    """Open a graph as the handler does: as it is written, on one thread."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def entry(path: Path) -> dict[str, int | str]:
    """Return what the manifest says of a file."""
    return {"bytes": path.stat().st_size, "sha256": digest(path)}


def digest(*paths: Path) -> str:
    """Return the SHA-256 in hexadecimal of files, one after the other."""
    return hashlib.sha256(b"".join(path.read_bytes() for path in paths)).hexdigest()


def _json(path: Path) -> dict[str, object]:
    if not path.exists():
        return {}
    value: dict[str, object] = json.loads(path.read_text(encoding="utf-8"))
    return value
