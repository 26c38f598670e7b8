"""The worker of the Distributed Map: ranks byte ranges of S3 objects, or a batch of requests, into JSON Lines.

An event is what the map's ItemBatcher makes: ``Items``, each ``{"key", "etag"?, "version_id"?, "start", "end"}`` or a
native request, and ``BatchInput`` (``runs.Run``). The answer is the event to go on with, plus ``done`` and ``totals``.
What is finished and what is not stands in S3 (``handler.runs``), so an event may come twice, or to two workers at once.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, replace
from hashlib import sha256
from time import perf_counter
from typing import TYPE_CHECKING, Any

from handler import objects, observability, runs
from handler.dialects import native
from handler.errors import DeadlineExceeded, InternalError, InvalidRequest, ModelError, RerankError, StorageError
from handler.objects import Line, Pointer
from handler.runs import COUNTS, Part, Run
from handler.runtime import rank, ranker

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from handler.contract import Ranking

RESERVE_MS = 10_000  # kept back from the invocation for writing and committing, or a fifth of it where that is less
END_UNKNOWN = 2**53  # of a compressed object: past the end of any


@dataclass(frozen=True, slots=True)
class Source:
    """Lines to rank in ``[start, end)``: bytes of an object's version, or requests of a batch, counted from 0."""

    name: str
    start: int
    end: int
    pointer: Pointer | None
    requests: Sequence[object] = ()

    def lines(self, start: int) -> Iterator[Line]:
        """The lines from ``start`` on."""
        if self.pointer is not None:
            return objects.lines(self.pointer, start, self.end)
        requests = enumerate(self.requests[start:], start)
        return (Line(index, index + 1, json.dumps(request).encode()) for index, request in requests)


@dataclass(frozen=True, slots=True)
class Time:
    """When this invocation takes no further line, and when a line must be done, in seconds of ``perf_counter``."""

    stop: float
    limit: float

    @classmethod
    def of(cls, remaining_ms: Callable[[], int]) -> Time:
        """From the invocation's remaining time, less what writing may take."""
        remaining = remaining_ms()
        reserve = min(RESERVE_MS, remaining / 5)
        now = perf_counter()
        return cls(now + (remaining - reserve) / 1000, now + (remaining - reserve / 2) / 1000)

    def remaining_ms(self) -> int:
        """What a line may still take."""
        return max(int((self.limit - perf_counter()) * 1000), 0)


def rank_items(event: dict[str, Any], remaining_ms: Callable[[], int]) -> dict[str, Any]:
    """Rank as many of ``event``'s items as the invocation's time allows.

    Returns the event to go on with: the items that are left, the first one from where this invocation stopped;
    ``done``; and ``totals`` over all invocations so far. Raises what ``handler.errors`` names, such as
    ``CorruptObject`` and ``ObjectChanged``; what was ranked until then stays valid.
    """
    run, time = Run.parse(event.get("BatchInput")), Time.of(remaining_ms)
    totals = dict.fromkeys(COUNTS, 0) | (event.get("totals") or {})
    items: list[Any] = event["Items"]
    start = event.get("start", 0)
    worked = False
    while items:
        source = _source(run, items, start)
        reached = source.start
        for receipt in _Shift(run, source, time, idle=not worked).work():
            totals = {name: totals[name] + receipt[name] for name in COUNTS}
            reached, worked = receipt["end"], True
        if not worked and reached < source.end:
            raise DeadlineExceeded("the invocation ended before one line was ranked: allow it more time")
        if reached < source.end:
            items = [{**items[0], "start": reached}, *items[1:]] if source.pointer else items
            start = 0 if source.pointer else reached
            break
        items, start = items[1:] if source.pointer else [], 0
    return {**event, "Items": items, "start": start, "totals": totals, "done": not items}


def _source(run: Run, items: list[Any], start: object) -> Source:
    first = items[0]
    if isinstance(first, dict) and "key" in first and "query" not in first:
        pointer = Pointer.parse({"bucket": run.bucket, "expected_bucket_owner": run.owner, **first}, "Items[0]")
        begin, end = first.get("start", 0), first.get("end", END_UNKNOWN)
        if not (type(begin) is int and type(end) is int and 0 <= begin <= end <= END_UNKNOWN):
            raise InvalidRequest("Items[0].start and .end must be integers from 0 to 2^53, in order", "Items[0]")
        if not (pointer.version_id or pointer.etag):  # pin what a retry must find again
            pointer = replace(pointer, etag=str(objects.head(pointer)["ETag"]))
        return Source(runs.source_name(pointer), begin, end, pointer)
    if type(start) is not int or not 0 <= start <= len(items):
        raise InvalidRequest("start must be an index of Items", "start")
    digest = sha256(json.dumps(items, sort_keys=True).encode()).hexdigest()
    return Source(f"items-{digest[:16]}", start, len(items), None, items)


class _Shift:
    """One invocation's work on one source. ``idle`` says that the invocation has done nothing yet: then a line that
    outlasts it is at fault, and is reported, for it would outlast the next one too.
    """

    def __init__(self, run: Run, source: Source, time: Time, *, idle: bool) -> None:
        self._run = run
        self._source = source
        self._time = time
        self._idle = idle
        self._over = False  # a line could not be finished in time: the next invocation begins with it

    def work(self) -> Iterator[dict[str, Any]]:
        """Go through the source part by part, and give the receipt of each, until it ends or time is up."""
        start, position, retracing = self._source.start, -1, True
        lines: Iterator[Line] = iter(())
        while start < self._source.end and perf_counter() < self._time.stop and not self._over:
            receipt = runs.find_receipt(self._run, self._source.name, start) if retracing else None
            if receipt is None:
                retracing = False
                lines = lines if position == start else self._source.lines(start)
                part = Part(start, start)
                try:
                    self._rank(lines, part)
                except RerankError:
                    if part.end > start:
                        yield self._commit(part)
                    raise
                if part.end == start:
                    return
                position = part.end
                receipt = self._commit(part)
            yield receipt
            start, self._idle = receipt["end"], False

    def _commit(self, part: Part) -> dict[str, Any]:
        model = ranker().model_id
        receipt = runs.commit(self._run, self._source.name, part, {"name": model.name, "revision": model.revision})
        observability.record_part(self._source.name, receipt)
        return receipt

    def _rank(self, lines: Iterator[Line], part: Part) -> None:
        """Rank lines into ``part`` until they end, or the part is full, or time is up."""
        due = min(perf_counter() + self._run.part_seconds, self._time.stop)
        for line in lines:
            try:
                self._rank_line(line, part)
            except DeadlineExceeded as error:
                if not self._idle or part.counts["lines"]:
                    self._over = True
                    return
                self._report(line, part, error)
            except (ModelError, StorageError):
                raise
            except RerankError as error:
                self._report(line, part, error)
            except (KeyboardInterrupt, SystemExit, MemoryError):
                raise
            except BaseException as error:  # noqa: BLE001 - a panic in the tokenizer must not cost the other lines
                observability.record_failure(error)
                self._report(line, part, InternalError("internal error"))
            part.counts["lines"] += 1
            part.end = min(line.end, self._source.end)
            if part.size >= runs.PART_BYTES or perf_counter() >= due:
                return
        part.end = self._source.end

    def _rank_line(self, line: Line, part: Part) -> None:
        if line.data is None:
            raise InvalidRequest(f"the line must hold at most {objects.MAX_LINE_BYTES:,} bytes")
        if not line.data.strip():
            return
        given = _decode(line.data)
        request = native.parse({**self._run.options, **given})._replace(deadline_ms=None, on_deadline="error")
        query_id = _query_id(given)
        ranking = rank(request, self._time.remaining_ms)
        if self._run.trec:
            part.files["trec"] += _trec(query_id, ranking, self._run.trec)
        body = native.render(ranking, request)
        answer = {"id": query_id, "offset": line.start, "results": body["results"], "usage": body["usage"]}
        part.add("results", answer)
        part.counts["ranked"] += 1
        part.counts["passages"] += ranking.usage.passages
        part.counts["tokens"] += ranking.usage.tokens
        part.counts["truncated"] += ranking.usage.truncated

    def _report(self, line: Line, part: Part, error: RerankError) -> None:
        """A line of the errors file. ``line`` counts from the part's start, ``plan.finish`` from the object's."""
        part.counts["errors"] += 1
        key = self._source.pointer.key if self._source.pointer else None
        where = {"key": key, "offset": line.start, "line": part.counts["lines"] + 1}
        part.add("errors", {**where, "error": type(error).__name__, "reason": error.message})


def _decode(data: bytes) -> dict[str, Any]:
    try:
        given = json.loads(data.removeprefix(b"\xef\xbb\xbf"))
    except RecursionError:
        raise InvalidRequest("the line is nested too deeply") from None
    except ValueError:
        raise InvalidRequest("the line is not JSON") from None
    if not isinstance(given, dict):
        raise InvalidRequest("the line must be a JSON object")
    return given


def _query_id(given: dict[str, Any]) -> str | int | None:
    for name in ("id", "query_id", "qid"):
        value = given.get(name)
        if isinstance(value, bool) or not isinstance(value, str | int | None):
            raise InvalidRequest(f"{name} must be a string or an integer", name)
        if value is not None:
            return value
    return None


def _trec(query_id: str | int | None, ranking: Ranking, tag: str) -> bytes:
    """The lines of a TREC run: query, Q0, document, rank from 1, score, tag."""
    rows = []
    for place, result in enumerate(ranking.results, 1):
        document = result.index if result.passage.id is None else result.passage.id
        for name, word in (("id", query_id), ("passages.id", document)):
            if word is None or not re.fullmatch(r"\S+", str(word)):
                raise InvalidRequest(f"{name} must be given, without white space, for a TREC run", name)
        rows.append(f"{query_id} Q0 {document} {place} {result.score!r} {tag}\n")
    return "".join(rows).encode()
