"""A batch run in S3: where its files lie, and how a part of its work becomes valid by one write.

Below the run's prefix, for each source (a version of an object, named by a digest of it):

- ``results/<source>/<start>-<end>.jsonl``, ``errors/…`` and ``trec/…`` are what lines ``[start, end)`` came to. A retry
  of the same range writes the same key.
- ``receipts/<source>/<start>.json`` makes them count. It is written only where there is none: whoever comes second
  takes over the first one's ``end`` and removes its own files.

So from the start of each range the receipts form one chain, whichever workers died, were retried, or ran twice.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field, replace
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from handler import objects
from handler.errors import CorruptObject, InvalidRequest, ObjectNotFound
from handler.objects import Pointer

if TYPE_CHECKING:
    from collections.abc import Mapping

PART_BYTES = 1024 * 1024  # of output held in memory
PART_SECONDS = 30.0  # what a killed worker loses at most
COUNTS = ("lines", "ranked", "errors", "passages", "tokens", "truncated")
KINDS = ("results", "errors", "trec")
SUFFIX = {"results": "jsonl", "errors": "jsonl", "trec": "txt"}


@dataclass(frozen=True, slots=True)
class Run:
    """What all workers of one run share; ``BatchInput`` of the map's event.

    ``bucket`` is where the items' keys are, ``owner`` the account that must own it; everything is written below
    ``output``, a bucket and a prefix that ends in a slash. ``options`` are fields of a native request, which a line's
    own fields override. ``trec`` is the tag of a TREC run to write beside the results, or None.
    """

    bucket: str | None
    owner: str | None
    output: Pointer
    options: Mapping[str, Any]
    trec: str | None
    part_seconds: float

    @classmethod
    def parse(cls, value: object) -> Run:
        """Read ``{"input"?, "output", "options"?, "trec"?, "part_seconds"?}``.

        Raises ``InvalidRequest`` naming the field, and ``Forbidden`` for a bucket that the deployment does not name.
        """
        if not isinstance(value, dict):
            raise InvalidRequest("BatchInput must be an object", "BatchInput")
        source, options, trec = value.get("input") or {}, value.get("options") or {}, value.get("trec")
        if not isinstance(source, dict) or not isinstance(options, dict):
            raise InvalidRequest("BatchInput.input and BatchInput.options must be objects", "BatchInput")
        if trec is not None and not (isinstance(trec, str) and re.fullmatch(r"\S{1,64}", trec)):
            raise InvalidRequest("trec must be a tag of 1 to 64 characters without white space", "trec")
        seconds = value.get("part_seconds", PART_SECONDS)
        if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not 0 <= seconds <= 900:
            raise InvalidRequest("part_seconds must be a number from 0 to 900", "part_seconds")
        output = Pointer.parse(value.get("output"), "output")
        if not output.key.endswith("/"):
            raise InvalidRequest("output.key must end in a slash", "output.key")
        bucket, owner = source.get("bucket"), source.get("expected_bucket_owner")
        return cls(bucket, owner, output, options, trec, float(seconds))

    def at(self, path: str) -> Pointer:
        """The object at ``path`` below the output prefix."""
        return replace(self.output, key=self.output.key + path)


@dataclass(slots=True)
class Part:
    """What the lines of ``[start, end)`` came to: counts, and the bytes of each file."""

    start: int
    end: int
    counts: dict[str, int] = field(default_factory=lambda: dict.fromkeys(COUNTS, 0))
    files: dict[str, bytearray] = field(default_factory=lambda: {kind: bytearray() for kind in KINDS})

    @property
    def size(self) -> int:
        """Bytes held."""
        return sum(map(len, self.files.values()))

    def add(self, kind: str, value: object) -> None:
        """Append ``value`` as a line of JSON."""
        self.files[kind] += to_line(value)


def source_name(pointer: Pointer) -> str:
    """A name for one version of one object, fit for a key."""
    stem = re.sub(r"[^A-Za-z0-9._-]+", "-", pointer.key.rsplit("/", 1)[-1])[:60]
    version = "\0".join((pointer.bucket, pointer.key, pointer.version_id or pointer.etag or ""))
    return f"{stem}-{sha256(version.encode()).hexdigest()[:16]}"


def receipt_key(source: str, start: int) -> str:
    """Where the receipt of the part that begins at ``start`` lies; keys sort as the offsets do."""
    return f"receipts/{source}/{start:016d}.json"


def file_key(kind: str, source: str, start: int, end: int) -> str:
    """Where a part's file of one of ``KINDS`` lies."""
    return f"{kind}/{source}/{start:016d}-{end:016d}.{SUFFIX[kind]}"


def find_receipt(run: Run, source: str, start: int) -> dict[str, Any] | None:
    """The receipt of the part that begins at ``start``, where there is one."""
    try:
        body = objects.read(run.at(receipt_key(source, start)), 0, objects.TAIL_BYTES)
    except ObjectNotFound:
        return None
    receipt: dict[str, Any] = json.loads(body)
    return receipt


def commit(run: Run, source: str, part: Part, model: Mapping[str, str]) -> dict[str, Any]:
    """Write the part's files, then its receipt, and return that; where another worker was first, return its receipt."""
    files = {kind: file_key(kind, source, part.start, part.end) for kind in KINDS if part.files[kind]}
    for kind, key in files.items():
        objects.write(run.at(key), bytes(part.files[kind]))
    receipt = {"start": part.start, "end": part.end, **part.counts, "files": files, "model": model}
    if objects.write(run.at(receipt_key(source, part.start)), to_line(receipt), once=True):
        return receipt
    first = find_receipt(run, source, part.start)
    if first is None:
        raise CorruptObject("a receipt vanished while the run was under way")
    if first["end"] != part.end:
        for key in files.values():
            objects.delete(run.at(key))
    return first


def to_line(value: object) -> bytes:
    """A line of JSON Lines. Raises ``ValueError`` for a number that is not finite."""
    return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode() + b"\n"
