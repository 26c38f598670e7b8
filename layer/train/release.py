"""Step 6: a model directory as the layer carries it: graph, vocabulary, manifest."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path

from handler.model import GRAPH, Manifest
from layer.optimize.graph import EXTERNAL
from layer.optimize.make import entry

SIZE_LIMIT = 5_000_000
VOCABULARY = "vocab.txt"
DESCRIPTION = "English passages for questions, keywords and claims; 5 MB, the fastest here."


def release(
    graph: Path,
    vocabulary: Path,
    folder: Path,
    revision: str,
    *,
    temperature: float = 1.0,
    bias: float = 0.0,
    notes: Mapping[str, object] | None = None,
    limit: int = SIZE_LIMIT,
) -> Manifest:
    """Put graph, weights and vocabulary into ``folder`` and write its manifest.

    Raises:
        ValueError: the files are together over ``limit`` bytes.
    """
    folder.mkdir(parents=True, exist_ok=True)
    sources = {GRAPH: graph, EXTERNAL: graph.with_name(EXTERNAL), VOCABULARY: vocabulary}
    size = sum(source.stat().st_size for source in sources.values())
    if size > limit:
        raise ValueError(f"the model is {size} bytes, over {limit}")
    for name, source in sources.items():
        if source.resolve() != (folder / name).resolve():
            shutil.copyfile(source, folder / name)
    files = {name: entry(folder / name) for name in sources}
    manifest = Manifest(
        "nano",
        revision,
        temperature=round(temperature, 4),
        bias=round(bias, 4),
        description=DESCRIPTION,
        files=files,
    )
    manifest.write(folder, licence="Apache-2.0", **(notes or {}))
    return manifest
