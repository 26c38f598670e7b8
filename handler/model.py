"""A model directory, as a layer carries it: loaded, verified and run, one micro-batch of logits at a time.

The directory holds ``manifest.json`` and the files that it names: ``model.onnx`` with its external weights beside it,
and ``vocab.txt`` or ``tokenizer.json``. The graph runs exactly as it was saved: everything that onnxruntime would
otherwise rewrite at load time was done when the file was made (``layer.optimize``).
"""

from __future__ import annotations

import json
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

import onnxruntime

from handler.encoding import Encoder
from handler.errors import ModelError
from handler.wordpiece import Tokens

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from handler.batching import MicroBatch

MANIFEST = "manifest.json"
GRAPH = "model.onnx"
BERT = "bert"  # what this module runs by itself; other architectures are imported when a manifest names them


class Manifest(NamedTuple):
    """``manifest.json``: what a model directory says of itself. Keys that are not listed here are left alone.

    ``description`` tells a person what the model is good for. A relevance score is ``sigmoid(logit / temperature +
    bias)``. The query is cut to ``max_query_tokens`` tokens and the sequence ``[CLS] query [SEP] passage [SEP]`` to
    ``window``. ``files`` maps each file name to its size in bytes and its SHA-256 in hexadecimal. ``options`` are for
    the module of ``handler.architectures`` that runs the model.
    """

    name: str
    revision: str
    architecture: str = BERT
    window: int = 512
    max_query_tokens: int = 256
    lowercase: bool = True
    temperature: float = 1.0
    bias: float = 0.0
    description: str = ""
    files: Mapping[str, dict[str, Any]] = MappingProxyType({})
    options: Mapping[str, Any] = MappingProxyType({})

    @classmethod
    def read(cls, directory: Path) -> Manifest:
        """Read the manifest in ``directory``; ``ModelError`` where there is none or it lacks what it must say."""
        try:
            said = json.loads((directory / MANIFEST).read_bytes())
            return cls(**{name: said[name] for name in cls._fields if name in said})
        except (OSError, ValueError, TypeError, KeyError) as error:
            raise ModelError(
                f"Model directory {directory}: cannot read {MANIFEST} ({type(error).__name__})."
            ) from error

    def write(self, directory: Path, **more: object) -> None:
        """Write ``manifest.json`` into ``directory``; ``more`` are further keys, for people and other tools."""
        text = json.dumps({**self._asdict(), **more}, indent=2, ensure_ascii=False, default=dict)
        (directory / MANIFEST).write_text(text + "\n", encoding="utf-8")


class Model:
    """A loaded cross-encoder: its manifest, its tokenizer and its session."""

    def __init__(self, manifest: Manifest, tokens: Tokens, session: onnxruntime.InferenceSession) -> None:
        self.manifest = manifest
        self.tokens = tokens
        self._session = session
        self._inputs = [node.name for node in session.get_inputs()]
        self._outputs = [session.get_outputs()[0].name]

    def logits(self, batch: MicroBatch) -> NDArray[np.float32]:
        """Score ``batch``: float32 logits ``[rows]``. The logit of a row does not depend on the other rows."""
        feed = {name: getattr(batch, name) for name in self._inputs}
        (output,) = self._session.run(self._outputs, feed)
        logits: NDArray[np.float32] = output.reshape(len(batch.chunks), -1)[:, -1]
        return logits

    def encoder(self) -> Encoder:
        """Make the encoder that writes this model's inputs."""
        return Encoder(self)


def load(directory: Path) -> Model:
    """Load the model in ``directory``; ``ModelError``, in one line, where a file is missing or corrupt."""
    manifest = Manifest.read(directory)
    kind = Model if manifest.architecture == BERT else _architecture(directory, manifest.architecture)
    for name, entry in manifest.files.items():
        path = directory / name
        if not path.is_file() or path.stat().st_size != entry["bytes"]:
            raise ModelError(f"Model directory {directory}: {name} is missing or not {entry['bytes']} bytes long.")
    try:
        return kind(manifest, Tokens(directory, lowercase=manifest.lowercase), _session(directory / GRAPH))
    except Exception as error:  # onnxruntime and tokenizers raise bare Exception and RuntimeError
        raise ModelError(f"Model directory {directory}: cannot load the model ({type(error).__name__}).") from error


def _architecture(directory: Path, name: str) -> type[Model]:
    from handler.architectures import MODULES, model_class

    if name not in MODULES:
        raise ModelError(f"Model directory {directory}: unknown architecture {name!r}.")
    return model_class(name)


def _session(path: Path) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1  # one vCPU: no pool, hence nothing that spins
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
