"""Chunks become micro-batches: sorted by length, so that little is padded, under a budget of tokens.

The budget bounds the memory and the time between two looks at the clock, whatever the size of the request.
"""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from handler.encoding import ID_BYTES, Chunk

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from numpy.typing import NDArray

    from handler.encoding import EncodedQuery

TOKEN_BUDGET = 1024
ORDERED_WINDOW = 64  # chunks sorted together when the caller's order matters: some six micro-batches of usual passages


class MicroBatch(NamedTuple):
    """Chunks scored in one run, with the model's inputs: int64 ``[chunks, tokens]``, valid until the next batch."""

    chunks: Sequence[Chunk]
    input_ids: NDArray[np.int64]
    attention_mask: NDArray[np.int64]
    token_type_ids: NDArray[np.int64]


def micro_batches(
    query: EncodedQuery, chunks: Iterable[Chunk], *, budget: int = TOKEN_BUDGET, in_order: bool = False
) -> Iterator[MicroBatch]:
    """Yield all ``chunks`` in micro-batches of at most ``budget`` tokens, padding included (a longer chunk goes alone).

    Chunks are sorted by length; with ``in_order`` only within windows of ``ORDERED_WINDOW``, so that those which come
    first in ``chunks`` are scored first, and the rest is not even tokenised where the caller's time runs out. The
    arrays of a batch are reused by the next one.
    """
    window = ORDERED_WINDOW if in_order else None
    rest = iter(chunks)
    question = len(query.ids) // ID_BYTES
    ids, mask, types = (np.empty(budget, np.int64) for _ in range(3))
    while ready := sorted(islice(rest, window), key=_bytes):
        for group in _groups(ready, budget):
            rows, tokens = len(group), group[-1].length
            if rows * tokens > len(ids):
                ids, mask, types = (np.empty(rows * tokens, np.int64) for _ in range(3))
            shape = (rows, tokens)
            batch = MicroBatch(group, *(flat[: rows * tokens].reshape(shape) for flat in (ids, mask, types)))
            batch.input_ids.fill(0)
            batch.attention_mask.fill(0)
            batch.token_type_ids.fill(0)
            for row, chunk in enumerate(group):
                sequence = np.frombuffer(chunk.ids, np.int32)
                batch.input_ids[row, : len(sequence)] = sequence
                batch.attention_mask[row, : len(sequence)] = 1
                batch.token_type_ids[row, question : len(sequence)] = 1
            yield batch


def _bytes(chunk: Chunk) -> int:
    return len(chunk.ids)


def _groups(chunks: Sequence[Chunk], budget: int) -> Iterator[Sequence[Chunk]]:
    """Cut ``chunks``, shortest first, into runs whose padded size is within ``budget``."""
    begin = 0
    for end in range(1, len(chunks) + 1):
        if end == len(chunks) or (end + 1 - begin) * chunks[end].length > budget:
            yield chunks[begin:end]
            begin = end
