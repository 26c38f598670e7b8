"""Step 6: a model directory as the layer carries it: graph, vocabulary, manifest."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Mapping
from pathlib import Path

from handler.model import GRAPH, Manifest

SIZE_LIMIT = 5_000_000
VOCABULARY = "vocab.txt"


def release(
    graph: Path,
    vocabulary: Path,
    folder: Path,
    revision: str,
    *,
    temperature: float = 1.0,
    bias: float = 0.0,
    notes: Mapping[str, object] | None = None,
) -> Manifest:
    """Put graph and vocabulary into ``folder`` and write its manifest.

    Raises:
        ValueError: the files are together over the limit of 5,000,000 bytes.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for source, name in ((graph, GRAPH), (vocabulary, VOCABULARY)):
        if source.resolve() != (folder / name).resolve():
            shutil.copyfile(source, folder / name)
    files = {
        name: {
            "bytes": (folder / name).stat().st_size,
            "sha256": hashlib.sha256((folder / name).read_bytes()).hexdigest(),
        }
        for name in (GRAPH, VOCABULARY)
    }
    size = sum(int(str(file["bytes"])) for file in files.values())
    if size > SIZE_LIMIT:
        raise ValueError(f"the model is {size} bytes, over {SIZE_LIMIT}")
    manifest = Manifest(
        name="nano", revision=revision, temperature=round(temperature, 4), bias=round(bias, 4), files=files
    )
    manifest.write(
        folder, licence="Apache-2.0", parameters="one 128-wide layer, soft-match head, int8", **(notes or {})
    )
    return manifest
