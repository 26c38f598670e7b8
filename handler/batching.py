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

# Scoring 100 passages of 100 tokens took 43.8, 43.3, 40.5, 40.6, 43.2 and 44.4 ms under 192, 256, 384, 512, 768 and
# 1,024 tokens on a core with 2 MB of second-level cache, which the widest tensors of 512 tokens just fit.
TOKEN_BUDGET = 512
# Micro-batches written before the first of them runs. A run drives Python's and numpy's code out of the cache, so that
# to write the next one after it takes 150 µs; sixteen at once take 15 µs each.
AHEAD = 16
# Tokens that are sorted together: many, so that little is padded, and few where the caller's order decides what a short
# deadline leaves out. No window is tokenised before the one in front of it is scored.
WINDOW_TOKENS = 65_536
ORDERED_WINDOW_TOKENS = 8_192


class MicroBatch(NamedTuple):
    """Chunks scored in one run, with the model's inputs: int64 ``[chunks, tokens]``, of one query in every row."""

    chunks: Sequence[Chunk]
    input_ids: NDArray[np.int64]
    attention_mask: NDArray[np.int64]
    token_type_ids: NDArray[np.int64]


def micro_batches(
    query: EncodedQuery, chunks: Iterable[Chunk], *, budget: int = TOKEN_BUDGET, in_order: bool = False
) -> Iterator[MicroBatch]:
    """Yield all ``chunks`` in micro-batches of at most ``budget`` tokens, padding included (a longer chunk goes alone).

    Chunks are sorted by length within windows of ``WINDOW_TOKENS``, or with ``in_order`` of ``ORDERED_WINDOW_TOKENS``,
    so that those which come first in ``chunks`` are scored first, and the rest is not even tokenised where the caller's
    time runs out.
    """
    window = ORDERED_WINDOW_TOKENS if in_order else WINDOW_TOKENS
    question = len(query.ids) // ID_BYTES
    rest = iter(chunks)
    # Two chunks of more than half the budget never share a micro-batch. They stay in order, so that those of a long
    # passage are scored one after the other: a deadline then leaves few passages half scored.
    alone = (budget // 2 + 1) * ID_BYTES
    while ready := sorted(_window(rest, window), key=lambda chunk: min(len(chunk.ids), alone)):
        groups = _groups(ready, budget)
        while ahead := [_micro_batch(group, question) for group in islice(groups, AHEAD)]:
            yield from ahead


def _micro_batch(chunks: Sequence[Chunk], question: int) -> MicroBatch:
    """Write the model's inputs for ``chunks``, the longest last, whose first ``question`` tokens are the query's."""
    rows, tokens = len(chunks), chunks[-1].length
    ids, mask, types = np.empty((3, rows, tokens), np.int64)
    # Padding is 0 and ids are packed, so that a whole batch is one string of bytes.
    packed = b"".join([chunk.ids.ljust(tokens * ID_BYTES, b"\0") for chunk in chunks])
    ids[:] = np.frombuffer(packed, np.int32).reshape(rows, tokens)
    mask[:] = np.arange(tokens) < np.array([[chunk.length] for chunk in chunks])
    types[:] = mask
    types[:, :question] = 0
    return MicroBatch(chunks, ids, mask, types)


def _window(chunks: Iterator[Chunk], tokens: int) -> Iterator[Chunk]:
    """Yield the next of ``chunks`` until they hold ``tokens``."""
    left = tokens * ID_BYTES
    for chunk in chunks:
        yield chunk
        left -= len(chunk.ids)
        if left <= 0:
            return


def _groups(chunks: Sequence[Chunk], budget: int) -> Iterator[Sequence[Chunk]]:
    """Cut ``chunks``, sorted as above, into runs whose padded size is within ``budget``."""
    begin = 0
    for end in range(1, len(chunks) + 1):
        if end == len(chunks) or (end + 1 - begin) * chunks[end].length > budget:
            yield chunks[begin:end]
            begin = end
