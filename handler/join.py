"""The step before the map where the input is a TREC run with a corpus and queries in BEIR layout: one line per query.

Memory is bounded whatever the sizes: what the run names is kept in a SQLite file in temporary storage, and the joined
file streams from there to S3. So the run and the passages that it names must fit the function's ephemeral storage, and
the reading must fit one invocation; larger sets are joined before they come here, by what holds them.
"""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from handler import objects, runs
from handler.batch import END_UNKNOWN
from handler.contract import MAX_PASSAGES
from handler.errors import DeadlineExceeded, InvalidRequest, PayloadTooLarge
from handler.objects import Pointer
from handler.plan import batch_input

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

RESERVE_MS = 10_000
LINES_PER_LOOK = 10_000  # between two looks at the clock
CACHE_KIB = 64 * 1024

SCHEMA = f"""
PRAGMA journal_mode = OFF;
PRAGMA synchronous = OFF;
PRAGMA cache_size = -{CACHE_KIB};
CREATE TABLE query (number INTEGER PRIMARY KEY, id TEXT UNIQUE, text TEXT);
CREATE TABLE document (number INTEGER PRIMARY KEY, id TEXT UNIQUE);
CREATE TABLE passage (number INTEGER PRIMARY KEY, text TEXT);
CREATE TABLE run (
    query INTEGER, loss REAL, line INTEGER, document INTEGER, PRIMARY KEY (query, loss, line)
) WITHOUT ROWID;
"""


def join(event: Mapping[str, Any], remaining_ms: Callable[[], int]) -> dict[str, Any]:
    """Join ``settings.input`` and return ``event`` with the joined file as its input, and ``joined`` (counts).

    ``input`` is ``{"bucket", "run", "corpus", "queries", "depth"?}``: keys of a TREC run, and of ``corpus.jsonl`` and
    ``queries.jsonl`` with ``_id``, ``text`` and perhaps ``title``, each plain or ``.gz``. The candidates of a query
    are its ``depth`` best by the run's score. What the run names and the files lack is counted and left out, and
    written to ``joined-missing.jsonl``. Raises ``InvalidRequest`` naming the file and line at fault,
    ``PayloadTooLarge`` where temporary storage is too small and ``DeadlineExceeded`` where the time is.
    """
    settings = event["settings"]
    source = settings["input"]
    depth = MAX_PASSAGES if source.get("depth") is None else source["depth"]
    if type(depth) is not int or not 1 <= depth <= MAX_PASSAGES:
        raise InvalidRequest(f"input.depth must be an integer from 1 to {MAX_PASSAGES:,}", "input.depth")
    files = {name: Pointer.parse({**source, "key": source.get(name)}, f"input.{name}") for name in _FILES}
    home = runs.Run.parse(batch_input(event))

    def watch() -> None:
        if remaining_ms() < RESERVE_MS:
            raise DeadlineExceeded("the join did not fit one invocation: allow it more time, or join beforehand")

    try:
        with TemporaryDirectory() as folder, closing(sqlite3.connect(Path(folder) / "join.db")) as store:
            store.executescript(SCHEMA)
            _load_run(store, files["run"], watch)
            _load_texts(store, files["queries"], files["corpus"], watch)
            counts = _count(store, depth)
            if not counts["pairs"]:
                raise InvalidRequest("input.run names no query and passage that the other files hold", "input.run")
            objects.upload(home.at("joined-missing.jsonl"), _Stream(_missing(store)))
            objects.upload(home.at("joined.jsonl"), _Stream(_joined(store, depth, watch)))
    except sqlite3.OperationalError as error:
        if "full" not in str(error):
            raise
        raise PayloadTooLarge("the run and its passages do not fit the temporary storage: allow more of it") from None
    joined = {"bucket": home.output.bucket, "key": home.at("joined.jsonl").key}
    if home.output.owner:
        joined["expected_bucket_owner"] = home.output.owner
    return {**event, "settings": {**settings, "input": joined}, "joined": counts}


_FILES = ("run", "corpus", "queries")


def _load_run(store: sqlite3.Connection, pointer: Pointer, watch: Callable[[], None]) -> None:
    for number, line in enumerate(objects.lines(pointer, 0, END_UNKNOWN), 1):
        if number % LINES_PER_LOOK == 1:
            watch()
        if line.data is not None and not line.data.strip():
            continue
        try:
            query, _, document, _, score, _ = (line.data or b"").decode().split()
            loss = -float(score)
        except ValueError:
            message = f"input.run: line {number} is not `query Q0 document rank score tag`"
            raise InvalidRequest(message, "input.run") from None
        store.execute("INSERT OR IGNORE INTO query (id) VALUES (?)", (query,))
        store.execute("INSERT OR IGNORE INTO document (id) VALUES (?)", (document,))
        numbers = "(SELECT number FROM query WHERE id = ?), ?, ?, (SELECT number FROM document WHERE id = ?)"
        store.execute(f"INSERT INTO run VALUES ({numbers})", (query, loss, number, document))  # noqa: S608


def _load_texts(store: sqlite3.Connection, queries: Pointer, corpus: Pointer, watch: Callable[[], None]) -> None:
    for found in _texts(queries, "input.queries", watch):
        store.execute("UPDATE query SET text = ? WHERE id = ?", (found["text"], found["_id"]))
    for found in _texts(corpus, "input.corpus", watch):
        title = found.get("title")
        text = f"{title} {found['text']}" if title else found["text"]
        insert = "INSERT OR REPLACE INTO passage SELECT number, ? FROM document WHERE id = ?"
        store.execute(insert, (text, found["_id"]))


def _texts(pointer: Pointer, field: str, watch: Callable[[], None]) -> Iterator[dict[str, str]]:
    for number, line in enumerate(objects.lines(pointer, 0, END_UNKNOWN), 1):
        if number % LINES_PER_LOOK == 1:
            watch()
        if line.data is not None and not line.data.strip():
            continue
        try:
            found = json.loads(line.data or b"")
            if not (isinstance(found["_id"], str) and isinstance(found["text"], str)):
                raise TypeError
            found["text"].encode(), found["_id"].encode()
            if not isinstance(found.get("title"), str | None):
                raise TypeError
        except (ValueError, TypeError, KeyError, RecursionError):
            raise InvalidRequest(f"{field}: line {number} is not an object with _id and text", field) from None
        yield found


_RANKED = """
SELECT query.id, query.text, document.id, -run.loss, passage.text FROM run
JOIN query ON query.number = run.query JOIN document ON document.number = run.document
JOIN passage ON passage.number = run.document WHERE query.text IS NOT NULL ORDER BY run.query, run.loss, run.line
"""

_PER_QUERY = """
SELECT count(*) FROM run JOIN query ON query.number = run.query JOIN passage ON passage.number = run.document
WHERE query.text IS NOT NULL GROUP BY run.query
"""


def _count(store: sqlite3.Connection, depth: int) -> dict[str, int]:
    counted = {
        "missing_queries": "SELECT count(*) FROM query WHERE text IS NULL",
        "missing_passages": "SELECT count(*) FROM document WHERE number NOT IN (SELECT number FROM passage)",
    }
    per_query = [min(rows, depth) for (rows,) in store.execute(_PER_QUERY)]
    missing = {name: store.execute(statement).fetchone()[0] for name, statement in counted.items()}
    return {"queries": len(per_query), "pairs": sum(per_query), **missing}


def _missing(store: sqlite3.Connection) -> Iterator[bytes]:
    for (name,) in store.execute("SELECT id FROM query WHERE text IS NULL"):
        yield runs.to_line({"query": name})
    for (name,) in store.execute("SELECT id FROM document WHERE number NOT IN (SELECT number FROM passage)"):
        yield runs.to_line({"passage": name})


def _joined(store: sqlite3.Connection, depth: int, watch: Callable[[], None]) -> Iterator[bytes]:
    for (name, query), rows in groupby(store.execute(_RANKED), key=itemgetter(0, 1)):
        watch()
        passages = [{"id": document, "text": text, "score": score} for _, _, document, score, text in rows][:depth]
        yield runs.to_line({"id": name, "query": query, "passages": passages})


class _Stream:
    """A file to upload, made while it is read."""

    def __init__(self, lines: Iterator[bytes]) -> None:
        self._lines = lines
        self._rest = b""

    def read(self, size: int = -1) -> bytes:
        """The next ``size`` bytes, or fewer at the end."""
        pieces, length = [self._rest], len(self._rest)
        while size < 0 or length < size:
            line = next(self._lines, None)
            if line is None:
                break
            pieces.append(line)
            length += len(line)
        whole = b"".join(pieces)
        size = len(whole) if size < 0 else size
        self._rest = whole[size:]
        return whole[:size]
