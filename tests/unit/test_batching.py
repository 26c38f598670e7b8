"""Every chunk is in one micro-batch, no batch is over its budget, and what is allocated follows the tokens."""

from __future__ import annotations

import tracemalloc
from array import array

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from handler.batching import AHEAD, ORDERED_WINDOW_TOKENS, TOKEN_BUDGET, micro_batches
from handler.encoding import Chunk, EncodedQuery

QUERY = EncodedQuery(array("i", [101, 7, 8, 102]).tobytes(), 2, truncated=False)
LENGTHS = st.lists(st.integers(5, 512), max_size=80)


def chunks(lengths: list[int]) -> list[Chunk]:
    """Return a chunk of every length: the query's tokens, then the chunk's number again and again."""
    made = []
    for index, length in enumerate(lengths):
        ids = QUERY.ids + array("i", [1000 + index] * (length - 4)).tobytes()
        made.append(Chunk(index, ids, length, length))
    return made


@given(lengths=LENGTHS, budget=st.integers(64, 2048), in_order=st.booleans())
def test_every_chunk_is_in_one_batch_and_no_batch_is_over_budget(
    lengths: list[int], budget: int, in_order: bool
) -> None:
    batches = list(micro_batches(QUERY, chunks(lengths), budget=budget, in_order=in_order))
    assert sorted(chunk.passage for batch in batches for chunk in batch.chunks) == list(range(len(lengths)))
    assert all(batch.input_ids.size <= budget or len(batch.chunks) == 1 for batch in batches)


@given(lengths=LENGTHS)
def test_the_inputs_are_the_ids_their_mask_and_their_segments(lengths: list[int]) -> None:
    for batch in micro_batches(QUERY, chunks(lengths)):
        for chunk, ids, mask, types in zip(
            batch.chunks, batch.input_ids, batch.attention_mask, batch.token_type_ids, strict=True
        ):
            length, padding = chunk.length, len(ids) - chunk.length
            assert ids.tolist() == array("i", chunk.ids).tolist() + [0] * padding
            assert mask.tolist() == [1] * length + [0] * padding
            assert types.tolist() == [0] * 4 + [1] * (length - 4) + [0] * padding


def test_little_is_padded() -> None:
    lengths = np.clip(np.random.default_rng(0).lognormal(np.log(100), 0.35, 300), 16, 512).astype(int).tolist()
    padded = sum(batch.input_ids.size for batch in micro_batches(QUERY, chunks(lengths)))
    assert padded <= 1.03 * sum(lengths)


def test_in_order_the_first_chunks_come_first() -> None:
    lengths = [100 + number % 37 for number in range(400)]
    order = [chunk.passage for batch in micro_batches(QUERY, chunks(lengths), in_order=True) for chunk in batch.chunks]
    most = ORDERED_WINDOW_TOKENS // 100 + 1
    assert all(passage - place <= most for place, passage in enumerate(order))


def test_what_is_not_asked_for_is_not_even_encoded() -> None:
    taken = []

    def encoded() -> object:
        for chunk in chunks([120] * 1000):
            taken.append(chunk.passage)
            yield chunk

    next(iter(micro_batches(QUERY, encoded(), in_order=True)))  # type: ignore[arg-type]
    assert len(taken) <= 2 * ORDERED_WINDOW_TOKENS // 120


@pytest.mark.parametrize("count", [200, 1000])
def test_memory_is_bounded_by_the_budget_and_not_by_the_request(count: int) -> None:
    every = chunks([250] * count)
    tracemalloc.start()
    for batch in micro_batches(QUERY, every):
        del batch
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    arrays = AHEAD * 3 * 8 * TOKEN_BUDGET  # three int64 inputs of every batch that is written ahead
    assert most < 2.5 * arrays + 64 * count
