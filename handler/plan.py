"""The steps around the map: ``plan`` cuts the input into shards, ``finish`` adds up what became of them.

``plan`` lists the objects, without reading them, and writes ``shards.jsonl``, which the map reads: each line
``{"ranges": [...]}`` of about ``range_bytes`` bytes, be it a piece of a large object or many small ones. The map's own
JSON Lines reader would end the whole run at one broken line, and a line may be larger than the 256 KiB that a child
workflow is given.
"""

from __future__ import annotations

import json
import re
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from tempfile import SpooledTemporaryFile
from typing import IO, TYPE_CHECKING, Any

from handler import objects, runs
from handler.batch import END_UNKNOWN
from handler.dialects import native
from handler.errors import InvalidRequest, RunConflict
from handler.objects import Pointer
from handler.runs import COUNTS, KINDS, Run

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

SUFFIXES = (".jsonl", ".ndjson", ".jsonl.gz", ".ndjson.gz")
RANGES_PER_SHARD = 500  # of some 200 bytes each: a child workflow is given 256 KiB at most
SPOOL_BYTES = 8 * 1024 * 1024
READERS = 16

# Name, default, least, most; a number in bytes, child workflows, percent.
NUMBERS: tuple[tuple[str, int, int, int], ...] = (
    ("range_bytes", 16 * 1024 * 1024, 1, 2**40),
    ("concurrency", 100, 1, 10_000),
    ("tolerated_failure_percentage", 0, 0, 100),
)


def plan(event: Mapping[str, Any]) -> dict[str, Any]:
    """Cut ``settings.input`` into shards.

    ``event`` is ``{"settings", "run"}``, with ``input`` (``bucket``, and ``key`` or ``prefix``) and ``output``
    (``bucket``, ``prefix``) among the settings; the others have defaults.
    Returns what the map needs: ``shards`` (their number), ``manifest`` (bucket and key of their list), ``batch`` (the
    workers' ``BatchInput``), ``concurrency`` and ``tolerated_failure_percentage``. Raises ``InvalidRequest`` naming
    the setting, ``RunConflict`` where a run of this name was begun with other input or settings.
    """
    settings = event["settings"]
    numbers = {name: _number(settings, name, *limits) for name, *limits in NUMBERS}
    batch = batch_input(event)
    run = Run.parse(batch)
    with SpooledTemporaryFile(SPOOL_BYTES) as manifest:
        digest, shards, size = sha256(), 0, 0
        for ranges in _shards(_ranges(settings.get("input"), run, numbers["range_bytes"]), numbers["range_bytes"]):
            line = runs.to_line({"ranges": ranges})
            manifest.write(line)
            digest.update(line)
            shards, size = shards + 1, size + sum(r["end"] - r["start"] for r in ranges if r["end"] != END_UNKNOWN)
        # Tolerance and concurrency may change between attempts at a run; what decides the results may not.
        said = {"batch": batch, "shards": shards, "bytes": size, "manifest_sha256": digest.hexdigest()}
        _claim(run, runs.to_line(said))
        manifest.seek(0)
        objects.upload(run.at("shards.jsonl"), manifest)
    return {
        "shards": shards,
        "bytes": size,
        "manifest": {"bucket": run.output.bucket, "key": run.at("shards.jsonl").key},
        "batch": batch,
        "concurrency": numbers["concurrency"],
        "tolerated_failure_percentage": numbers["tolerated_failure_percentage"],
    }


def _number(settings: Mapping[str, Any], name: str, default: int, least: int, most: int) -> int:
    value = settings.get(name)
    if value is None:
        return default
    if type(value) is not int or not least <= value <= most:
        raise InvalidRequest(f"{name} must be an integer from {least:,} to {most:,}", name)
    return value


def batch_input(event: Mapping[str, Any]) -> dict[str, Any]:
    """The workers' ``BatchInput`` (``runs.Run``) from a run's name and settings. Raises ``InvalidRequest``."""
    settings, name = event["settings"], event.get("run")
    if not (isinstance(name, str) and re.fullmatch(r"[A-Za-z0-9._-]{1,80}", name)):
        raise InvalidRequest("run must be 1 to 80 letters, digits, dots, dashes and underscores", "run")
    source, output = settings.get("input"), settings.get("output")
    if not isinstance(source, dict) or not isinstance(output, dict):
        raise InvalidRequest("input and output must be objects", "input" if isinstance(output, dict) else "output")
    prefix = output.get("prefix") or ""
    if not isinstance(prefix, str) or len(prefix) > 512:
        raise InvalidRequest("output.prefix must be a string of at most 512 characters", "output.prefix")
    options = {name: settings[name] for name in ("top_n", "model") if settings.get(name) is not None}
    more = settings.get("options") or {}
    if not isinstance(more, dict):
        raise InvalidRequest("options must be an object", "options")
    native.parse({"query": "q", "passages": ["p"], **options, **more})  # better refused now than on every line
    owned = {k: v for k, v in source.items() if k in {"bucket", "expected_bucket_owner"}}
    home = prefix.strip("/") + "/" if prefix.strip("/") else ""
    return {
        "input": owned,
        "output": {**{k: v for k, v in output.items() if k != "prefix"}, "key": f"{home}{name}/"},
        "options": {**options, **more},
        "trec": settings.get("trec") or None,
        "part_seconds": runs.PART_SECONDS if settings.get("part_seconds") is None else settings["part_seconds"],
    }


def _claim(run: Run, said: bytes) -> None:
    """Take the run's name, or find that it was taken with the very same words: a retry, or a run to be resumed."""
    if objects.write(run.at("run.json"), said, once=True):
        return
    if objects.read(run.at("run.json"), 0, objects.PIECE_BYTES) != said:
        raise RunConflict("a run of this name was begun with other input or settings: give it another name", "run")


def _ranges(source: Mapping[str, Any], run: Run, range_bytes: int) -> Iterator[dict[str, Any]]:
    for item, size in _objects(source, run):
        if item["key"].endswith(".gz"):
            yield {**item, "start": 0, "end": END_UNKNOWN}
            continue
        for start in range(0, size, range_bytes):
            yield {**item, "start": start, "end": min(start + range_bytes, size)}


def _objects(source: Mapping[str, Any], run: Run) -> Iterator[tuple[dict[str, Any], int]]:
    """What identifies each object, and its size in bytes; empty ones hold nothing to rank."""
    if "key" in source:
        pointer = Pointer.parse(source, "input")
        found = objects.head(pointer)
        item = {"key": pointer.key, "etag": found["ETag"]}
        if pointer.version_id:
            item["version_id"] = pointer.version_id
        if found["ContentLength"]:
            yield item, found["ContentLength"]
        return
    prefix = Pointer.parse({**source, "key": source.get("prefix") or "/"}, "input")
    prefix = Pointer(prefix.bucket, source.get("prefix") or "", owner=prefix.owner)
    if run.output.bucket == prefix.bucket and run.output.key.startswith(prefix.key):
        raise InvalidRequest("output.prefix must not lie under input.prefix: results would be read as input", "output")
    for found in objects.keys(prefix):
        if found["Size"] and found["Key"].endswith(SUFFIXES):
            yield {"key": found["Key"], "etag": found["ETag"]}, found["Size"]


def _shards(ranges: Iterable[dict[str, Any]], range_bytes: int) -> Iterator[list[dict[str, Any]]]:
    """Pack ranges in order: small objects share a shard, up to ``range_bytes``."""
    shard: list[dict[str, Any]] = []
    size = 0
    for piece in ranges:
        weight = range_bytes if piece["end"] == END_UNKNOWN else piece["end"] - piece["start"]
        if shard and (size + weight > range_bytes or len(shard) == RANGES_PER_SHARD):
            yield shard
            shard, size = [], 0
        shard.append(piece)
        size += weight
    if shard:
        yield shard


def finish(event: Mapping[str, Any]) -> dict[str, Any]:
    """Follow the receipts through every planned range, and say what the run came to.

    ``event`` is what ``plan`` returned. Writes ``parts.jsonl`` (every part that counts, in input order, with the
    number of its first line), ``errors.jsonl`` (every bad line, numbered from the first line of its object) and
    ``summary.json``; removes files that no receipt names. Returns the summary: counts, parts, model, ``complete``,
    and the first of the ranges that are ``missing`` where the map tolerated failures.
    """
    run = Run.parse(event["batch"])
    summary: dict[str, Any] = dict.fromkeys(COUNTS, 0) | {"parts": 0, "removed": 0, "models": [], "missing": []}
    missing = 0
    listed = {kind: _listed(run, kind) for kind in ("receipts", *KINDS)}
    with SpooledTemporaryFile(SPOOL_BYTES) as parts, SpooledTemporaryFile(SPOOL_BYTES) as errors:
        for key, source, ranges in _sources(run):
            line: int | None = 1  # of the object, as long as no part is missing before it
            named: set[str] = set()
            for receipt in _chain(run, source, listed["receipts"].get(source, []), ranges):
                if "receipt" not in receipt:
                    missing += 1
                    summary["missing"] = [*summary["missing"], {"key": key, **receipt}][:100]
                    line = None
                    continue
                part = receipt["receipt"]
                named.update(part["files"].values())
                parts.write(runs.to_line({"key": key, "first_line": line, **part}))
                _number_errors(run, part, line, errors)
                for name in COUNTS:
                    summary[name] += part[name]
                summary["parts"] += 1
                if part["model"] not in summary["models"]:
                    summary["models"].append(part["model"])
                line = line and line + part["lines"]
            strays = {key for kind in KINDS for key in listed[kind].get(source, [])} - named
            for stray in strays:
                objects.delete(run.at(stray))
            summary["removed"] += len(strays)
        for name, file in (("parts.jsonl", parts), ("errors.jsonl", errors)):
            file.seek(0)
            objects.upload(run.at(name), file)
    summary |= {"complete": not missing, "missing_ranges": missing}
    summary["output"] = {"bucket": run.output.bucket, "prefix": run.output.key}
    objects.write(run.at("summary.json"), json.dumps(summary, indent=2).encode() + b"\n")
    return summary


def _sources(run: Run) -> Iterator[tuple[str, str, list[tuple[int, int]]]]:
    """Each planned object: key, source name, and its ranges. A plan lists the ranges of an object one after another."""
    key, name = "", ""
    ranges: list[tuple[int, int]] = []
    for line in objects.lines(run.at("shards.jsonl"), 0, END_UNKNOWN):
        for item in json.loads(line.data or b"{}")["ranges"]:
            pointer = Pointer(str(run.bucket), item["key"], item.get("version_id"), item.get("etag"))
            if (found := runs.source_name(pointer)) != name and name:
                yield key, name, ranges
                ranges = []
            key, name = item["key"], found
            ranges.append((item["start"], item["end"]))
    if name:
        yield key, name, ranges


def _listed(run: Run, kind: str) -> dict[str, list[str]]:
    """The keys of one kind below the run's prefix, by source: a request for every thousand files, however spread."""
    found: dict[str, list[str]] = {}
    for item in objects.keys(run.at(f"{kind}/")):
        key = item["Key"].removeprefix(run.output.key)
        found.setdefault(key.split("/")[1], []).append(key)
    return found


def _chain(run: Run, source: str, receipts: list[str], ranges: list[tuple[int, int]]) -> Iterator[dict[str, Any]]:
    """``{"receipt"}`` of each part, and ``{"start", "end"}`` of each stretch that has none."""
    starts = [int(re.findall(r"(\d+)\.json$", key)[0]) for key in receipts]
    with ThreadPoolExecutor(READERS) as pool:
        found = dict(zip(starts, pool.map(lambda start: runs.find_receipt(run, source, start), starts), strict=True))
    for begin, end in ranges:
        position = begin
        while position < end:
            receipt = found.get(position)
            if receipt is None:
                yield {"start": position, "end": end}
                break
            yield {"receipt": receipt}
            position = receipt["end"]


def _number_errors(run: Run, part: Mapping[str, Any], first_line: int | None, errors: IO[bytes]) -> None:
    """Append the part's bad lines, numbered from the start of the object; null after a missing part."""
    if "errors" not in part["files"]:
        return
    for line in objects.lines(run.at(part["files"]["errors"]), 0, END_UNKNOWN):
        said = json.loads(line.data or b"{}")
        errors.write(runs.to_line({**said, "line": first_line and first_line + said["line"] - 1}))
