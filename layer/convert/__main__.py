"""Make a model directory: ``python -m layer.convert (--name NAME | --path FOLDER-OR-ZIP) [--out DIRECTORY]``.

``make model NAME=…`` fetches a model of the catalogue, ``make model PATH=…`` takes one that is already here.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from handler.model import Manifest
from layer import catalogue, fetch
from layer.catalogue import MODEL_ROOM
from layer.convert.source import UnsupportedSource

if TYPE_CHECKING:
    from layer.catalogue import Entry

MODELS = Path(__file__).resolve().parent.parent.parent / ".build" / "models"
BACKENDS = ("bedrock-rerank", "bedrock-listwise")


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(prog="python -m layer.convert", description=__doc__)
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument("--name", help="a model of the catalogue, or `list`")
    which.add_argument("--path", type=Path, help="folder or zip in Hugging Face's or FlashRank's layout")
    parser.add_argument("--out", type=Path, help="model directory to write (default: .build/models/NAME)")
    parser.add_argument("--fp32", action="store_true", help="keep float32")
    asked = parser.parse_args()
    try:
        if asked.name == "list":
            _list()
        elif asked.name:
            _from_catalogue(catalogue.find(asked.name), asked.out, int8=not asked.fp32)
        else:
            _from_path(asked.path, asked.out, int8=not asked.fp32)
    except (catalogue.CatalogueError, fetch.FetchError, UnsupportedSource) as error:
        sys.exit(f"{asked.name or asked.path}: {error}")


def _list() -> None:
    for entry in catalogue.read().values():
        state = "pinned" if entry.pinned else "unpinned" if entry.files else "nothing to fetch"
        room = "" if entry.fits else ", too large for a layer"
        print(f"{entry.name:<28} {entry.architecture:<16} {state}{room}\n    {entry.description}")


def _from_catalogue(entry: Entry, out: Path | None, *, int8: bool) -> None:
    target = out or MODELS / entry.name
    if entry.architecture in BACKENDS:
        _backend(entry, target)
        return
    if not entry.files:
        raise catalogue.CatalogueError("it is made here (make train) and lies in layer/nano: there is nothing to fetch")
    downloads = MODELS / "downloads" / entry.name
    paths = fetch.fetch(entry, downloads, allow_unpinned=os.environ.get("ALLOW_UNPINNED") == "1")
    with tempfile.TemporaryDirectory() as scratch:
        folder = downloads
        for path in paths:
            if path.suffix == ".zip":
                folder = fetch.extract(path, Path(scratch) / "unpacked")
        _convert(folder, target, entry.name, entry, int8=int8)


def _from_path(path: Path, out: Path | None, *, int8: bool) -> None:
    if not path.exists():
        raise UnsupportedSource("there is no such folder or zip")
    target = out or MODELS / path.stem
    if path.is_dir():
        _convert(path, target, path.name, None, int8=int8)
        return
    with tempfile.TemporaryDirectory() as scratch:
        _convert(fetch.extract(path, Path(scratch) / "unpacked"), target, path.stem, None, int8=int8)


def _convert(folder: Path, target: Path, name: str, entry: Entry | None, *, int8: bool) -> None:
    from layer.convert.make import convert

    with tempfile.TemporaryDirectory(dir=_parent(target)) as scratch:  # a failure leaves an older model as it was
        made = convert(
            folder,
            Path(scratch) / "model",
            name=name,
            revision=(entry and entry.revision) or "",
            entry=entry,
            int8=int8,
        )
        shutil.rmtree(target, ignore_errors=True)
        (Path(scratch) / "model").rename(target)
    size = sum(file["bytes"] for file in made.manifest.files.values())
    print(f"{target}: {made.manifest.name} {made.manifest.revision}, {made.manifest.architecture}, {size / 1e6:.1f} MB")
    print(f"  100 passages of 75 words on one thread: {made.measured.milliseconds_per_100:.0f} ms")
    print(f"  largest difference of int8 to float32: {made.measured.largest_difference:.4f} logits")
    if size > MODEL_ROOM:
        print(f"  too large for a layer, which has {MODEL_ROOM / 1e6:.0f} MB left for models", file=sys.stderr)
    print(f"Build with it: make build MODEL={os.path.relpath(target)}")


def _backend(entry: Entry, target: Path) -> None:
    """Write the model directory of a service: a manifest and nothing else."""
    target.mkdir(parents=True, exist_ok=True)
    manifest = Manifest(
        entry.name,
        entry.options["model"],
        entry.architecture,
        window=entry.window,
        description=entry.description,
        options=dict(entry.options),
    )
    manifest.write(target, licence=entry.licence, languages=list(entry.languages), scores=entry.scores)
    print(f"{target}: {entry.description}\nBuild with it: make build MODEL={os.path.relpath(target)}")


def _parent(target: Path) -> Path:
    target.parent.mkdir(parents=True, exist_ok=True)
    return target.parent


if __name__ == "__main__":
    main()
