"""The catalogue of models, ``layer/models.toml``, as values."""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

CATALOGUE = Path(__file__).resolve().parent / "models.toml"
MODEL_ROOM = (250 - 85) * 1024**2  # bytes: Lambda's limit, less the largest dependency layer and the function
SHA256 = re.compile(r"[0-9a-f]{64}")


class CatalogueError(Exception):
    """The catalogue does not know the model, or an entry says something that cannot be; one sentence."""


@dataclass(frozen=True, slots=True)
class File:
    """A file of a source repository. ``published`` says who else gives this digest, None where nobody is known to."""

    path: str
    bytes: int | None = None
    sha256: str | None = None
    published: str | None = None

    @property
    def name(self) -> str:
        """What the file is called once it is here."""
        return PurePosixPath(self.path).name


@dataclass(frozen=True, slots=True)
class Entry:
    """A model that can be had. ``scores`` tells a person how its scores are read, ``fits`` whether a layer holds it.

    ``source`` is a repository of the hub, or None for what is made here or needs no files. ``options`` go into the
    manifest's; ``labels`` are the tokens for "not relevant" and "relevant" of a T5 ranker, ``prompt`` its prompt.
    ``sha256`` is the digest of the weights of what is made here; its ``manifest.json`` has those of all its files.
    """

    name: str
    description: str
    licence: str
    languages: tuple[str, ...]
    architecture: str
    window: int
    scores: str
    memory_mb: int
    source: str | None = None
    revision: str | None = None
    aliases: tuple[str, ...] = ()
    fits: bool = True
    max_query_tokens: int | None = None
    prompt: str | None = None
    labels: tuple[str, str] | None = None
    sha256: str | None = None
    options: dict[str, Any] = field(default_factory=dict)
    files: tuple[File, ...] = ()

    @property
    def pinned(self) -> bool:
        """Whether the digest of every file is known."""
        return bool(self.revision) and all(file.sha256 for file in self.files)


def read(path: Path = CATALOGUE) -> dict[str, Entry]:
    """Return every entry by name. Raises ``CatalogueError`` naming the entry and field that cannot be."""
    return {name: _entry(name, said) for name, said in tomllib.loads(path.read_text(encoding="utf-8")).items()}


def find(name: str, path: Path = CATALOGUE) -> Entry:
    """Return the entry called ``name``, or so by an alias. Raises ``CatalogueError`` that lists what there is."""
    entries = read(path)
    for entry in entries.values():
        if name == entry.name or name in entry.aliases:
            return entry
    raise CatalogueError(f"there is no model {name!r} in the catalogue; there are: {', '.join(entries)}")


def _entry(name: str, said: dict[str, Any]) -> Entry:
    try:
        files = tuple(File(**file) for file in said.pop("files", ()))
        said = {key: tuple(value) if isinstance(value, list) else value for key, value in said.items()}
        entry = Entry(name, **said, files=files)
    except TypeError as error:
        raise CatalogueError(f"[{name}]: {error}") from error
    for file in files:
        if file.sha256 is not None and not SHA256.fullmatch(file.sha256):
            raise CatalogueError(f"[{name}]: the sha256 of {file.path} is not 64 lower-case hexadecimal digits")
        if (file.sha256 is None) != (file.published is None):
            raise CatalogueError(f"[{name}]: {file.path} needs both a sha256 and where it is published, or neither")
    if files and not (entry.source and entry.revision):
        raise CatalogueError(f"[{name}]: files need a source and a revision")
    return entry
