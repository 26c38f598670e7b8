"""Read question-passage sets in BEIR layout, plain or gzipped.

A set is a folder with ``corpus.jsonl[.gz]`` and ``queries.jsonl[.gz]`` (``_id``, ``text``, sometimes ``title``)
and ``qrels/<split>.tsv`` (``query-id``, ``corpus-id``, ``score``, with a header line).
Layout: https://github.com/beir-cellar/beir/wiki/Load-your-custom-dataset
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO


class DataError(ValueError):
    """A data set that cannot be read; the message names the file, and the line where there is one."""


@dataclass(frozen=True, slots=True)
class BeirSet:
    """One set: texts by id, and graded relevance by query id and passage id."""

    name: str
    corpus: dict[str, str]
    queries: dict[str, str]
    qrels: dict[str, dict[str, int]]


def open_text(path: Path) -> IO[str]:
    """Open a file for reading as UTF-8, through gzip where its name ends in ``.gz``."""
    return gzip.open(path, "rt", encoding="utf-8") if path.suffix == ".gz" else path.open(encoding="utf-8")


def find(folder: Path, name: str) -> Path:
    """Return ``folder/name`` or ``folder/name.gz``, whichever is there.

    Raises:
        DataError: neither is.
    """
    for path in (folder / name, folder / f"{name}.gz"):
        if path.is_file():
            return path
    raise DataError(f"{folder}: neither {name} nor {name}.gz is there")


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    try:
        with open_text(path) as lines:
            for number, line in enumerate(lines, 1):
                if line.strip():
                    yield number, line
    except (OSError, EOFError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: cannot be read ({error})") from error


def read_texts(path: Path) -> dict[str, str]:
    """Read a ``.jsonl`` of ``{_id, text, title?}`` into texts by id; a title is put before its text.

    Raises:
        DataError: a line is not a JSON object with a string ``text`` and an ``_id``, or an ``_id`` comes twice.
    """
    texts: dict[str, str] = {}
    for number, line in _lines(path):
        try:
            row = json.loads(line)
        except json.JSONDecodeError as error:
            raise DataError(f"{path}:{number}: not JSON ({error.msg})") from error
        if (
            not isinstance(row, dict)
            or not isinstance(row.get("_id"), str | int)
            or not isinstance(row.get("text"), str)
        ):
            raise DataError(f"{path}:{number}: needs a JSON object with `_id` and a string `text`")
        key = str(row["_id"])
        if key in texts:
            raise DataError(f"{path}:{number}: the _id {key!r} comes a second time")
        title = row.get("title")
        texts[key] = f"{title} {row['text']}".strip() if isinstance(title, str) and title else row["text"]
    if not texts:
        raise DataError(f"{path}: holds no text")
    return texts


def read_qrels(path: Path) -> dict[str, dict[str, int]]:
    """Read ``query-id<TAB>corpus-id<TAB>score`` lines below a header.

    Raises:
        DataError: the header is missing, or a line has not three fields ending in a whole number.
    """
    qrels: dict[str, dict[str, int]] = {}
    for row, (number, line) in enumerate(_lines(path)):
        fields = line.rstrip("\r\n").split("\t")
        if row == 0:
            if len(fields) == 3 and fields[2].strip().lstrip("-").isdigit():
                raise DataError(f"{path}:{number}: needs the header line `query-id<TAB>corpus-id<TAB>score`")
            continue
        try:
            query, passage, score = fields
            qrels.setdefault(query, {})[passage] = int(score)
        except ValueError as error:
            raise DataError(f"{path}:{number}: needs three tab-separated fields ending in a whole number") from error
    if not qrels:
        raise DataError(f"{path}: holds no judgement")
    return qrels


def find_qrels(folder: Path) -> Path:
    """Return the judgements of a set: ``test``, ``dev`` or ``train`` where there are several, else the only file.

    Raises:
        DataError: there is none, or several without such a name.
    """
    there = sorted(path for path in (folder / "qrels").glob("*") if path.name.removesuffix(".gz").endswith(".tsv"))
    if len(there) == 1:
        return there[0]
    for split in ("test", "dev", "train"):
        for path in there:
            if path.name.split(".")[0] == split:
                return path
    raise DataError(f"{folder / 'qrels'}: needs a <split>.tsv")


def read_set(folder: Path) -> BeirSet:
    """Read one set.

    Raises:
        DataError: a file is missing or malformed.
    """
    if not folder.is_dir():
        raise DataError(f"{folder}: no such folder")
    return BeirSet(
        name=folder.name,
        corpus=read_texts(find(folder, "corpus.jsonl")),
        queries=read_texts(find(folder, "queries.jsonl")),
        qrels=read_qrels(find_qrels(folder)),
    )
