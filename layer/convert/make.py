"""Makes a model directory out of a source folder: graph, int8, tokenizer, manifest, measured."""

from __future__ import annotations

import logging
import os
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

os.environ["ORT_DISABLE_TELEMETRY"] = "1"  # before onnxruntime is imported: it would write to the home directory

import onnx
import onnxruntime
from onnxruntime.quantization import QuantType, quantize_dynamic

from handler.model import BERT, GRAPH, Manifest
from layer.convert import source as sources
from layer.convert import surgery
from layer.convert.export import export
from layer.convert.measure import Measured, differences, time_per_100
from layer.optimize import make as bert
from layer.optimize.checkpoint import UnsupportedModel
from layer.optimize.graph import EXTERNAL, write

if TYPE_CHECKING:
    from layer.catalogue import Entry
    from layer.convert.source import Source

# Slower than what it replaces: 320 against 90 µs on 510 rows (layer.optimize.graph).
NOT_FUSED = ["SkipLayerNormFusion"]


class Converted(NamedTuple):
    """A model directory's manifest and what was measured of it."""

    manifest: Manifest
    measured: Measured


def convert(  # noqa: PLR0913 - keyword arguments of one call
    folder: Path,
    target: Path,
    *,
    name: str,
    revision: str = "",
    entry: Entry | None = None,
    int8: bool = True,
    rounds: int = 5,
) -> Converted:
    """Write the reranker in ``folder`` to ``target`` as a model directory and measure it.

    A BERT cross-encoder gets the hand-built graph of ``layer.optimize``. Any other model keeps its graph, optimised
    offline and, with ``int8``, dynamically quantised; its sequences are then run one by one, so that a score does not
    depend on its company. Its speed is the median of ``rounds``. Raises ``UnsupportedSource``.
    """
    source = sources.read(folder, entry)
    target.mkdir(parents=True, exist_ok=True)
    if source.architecture == BERT:
        try:
            made = bert.optimise(folder, target, name=name, revision=revision, int8=int8)
        except UnsupportedModel as error:
            print(f"The graph is kept as it is: {error}")
        else:
            return _finish(target, made.manifest, entry, made.largest_difference, rounds)
    manifest, difference = _keep_graph(source, target, name, revision, int8=int8)
    return _finish(target, manifest, entry, difference, rounds)


def _keep_graph(source: Source, target: Path, name: str, revision: str, *, int8: bool) -> tuple[Manifest, float]:
    with tempfile.TemporaryDirectory() as scratch:
        plain, exact, small = (Path(scratch) / file for file in ("plain.onnx", "exact.onnx", "small.onnx"))
        published = sources.graph(source.folder)
        if published is None:
            export(source, plain)
        model = surgery.normalise(published or plain, source)
        dynamic = surgery.is_quantised(model)
        write(model, plain, shapes=True)
        _optimise(plain, exact)
        quantised = int8 and not dynamic
        if quantised:
            _quantise(exact, small)
        manifest = Manifest(
            name=name,
            revision=revision,
            architecture="pairs" if source.architecture == BERT else source.architecture,
            window=source.window,
            max_query_tokens=source.window // 2,
            lowercase=source.lowercase,
            options={**source.options, "alone": dynamic or quantised},
        )
        write(onnx.load(small if quantised else exact), target / GRAPH)
        manifest = _with_files(
            manifest,
            target,
            [file for file in (GRAPH, EXTERNAL) if (target / file).exists()],
            _tokenizer(source, target),
        )
        difference = differences(target, exact) if quantised else 0.0
    return manifest, difference


def _with_files(manifest: Manifest, target: Path, graph: list[str], tokenizer: str) -> Manifest:

    entries = {file: bert.entry(target / file) for file in (*graph, tokenizer)}
    revision = manifest.revision or bert.digest(*(target / file for file in graph))[:12]
    manifest = manifest._replace(revision=revision, files=entries)
    manifest.write(target)
    return manifest


def _finish(target: Path, manifest: Manifest, entry: Entry | None, difference: float, rounds: int) -> Converted:
    measured = Measured(difference, time_per_100(target, rounds))
    more: dict[str, Any] = {"measured": measured._asdict()}
    if entry is not None:
        manifest = _described(manifest, entry)
        more |= {
            "licence": entry.licence,
            "languages": list(entry.languages),
            "source": {"repository": entry.source, "revision": entry.revision},
            "scores": entry.scores,
            "memory_mb": entry.memory_mb,
        }
    manifest.write(target, **more)
    return Converted(manifest, measured)


def _described(manifest: Manifest, entry: Entry) -> Manifest:

    asked = entry.max_query_tokens or manifest.max_query_tokens
    return manifest._replace(description=entry.description, max_query_tokens=asked)


def _tokenizer(source: Source, target: Path) -> str:
    """Copy the tokenizer: BERT's vocabulary where it is one, which loads faster."""
    wordpiece = source.architecture in {BERT, "colbert"} and (source.folder / "vocab.txt").exists()
    name = "vocab.txt" if wordpiece else "tokenizer.json"
    shutil.copyfile(source.folder / name, target / name)
    return name


def _optimise(plain: Path, exact: Path) -> None:
    """Do offline what onnxruntime would do at every load."""
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
    options.optimized_model_filepath = str(exact)
    options.log_severity_level = 3
    options.add_session_config_entry("session.optimized_model_external_initializers_file_name", exact.name + ".data")
    onnxruntime.InferenceSession(str(plain), options, providers=["CPUExecutionProvider"], disabled_optimizers=NOT_FUSED)


def _quantise(exact: Path, small: Path) -> None:
    """Quantise weights and tables to int8 within ±63, which gives the same sums on every host."""
    model = onnx.load(exact)
    del model.graph.value_info[:]  # shapes that the optimiser left behind, not all of them true any more
    logging.disable(logging.WARNING)  # it asks for the preprocessing that was done
    try:
        quantize_dynamic(
            model, small, weight_type=QuantType.QInt8, reduce_range=True, per_channel=True,
            extra_options={"DefaultTensorType": onnx.TensorProto.FLOAT},
        )  # fmt: skip
    finally:
        logging.disable(logging.NOTSET)
