"""The whole of reranking: a query and its passages become chunks, micro-batches, logits, and a ranking."""

from __future__ import annotations

from itertools import takewhile
from math import isfinite
from time import perf_counter
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from handler import scoring
from handler.batching import micro_batches
from handler.contract import Chunking, ModelId, Ranking, RankRequest, Timings, Usage
from handler.errors import DeadlineExceeded, InvalidRequest, ModelError, UnprocessableRequest
from handler.model import Model, load
from handler.results import ranked_results

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from handler.contract import Highlighting, Passage, Result
    from handler.encoding import Chunk, EncodedQuery
    from handler.runtime import Clock
    from handler.scoring import Floats


# Kept back of the time allowed for each passage's place in the answer: results, and rendering them as JSON. A third
# more than it takes (``make bench-features``), since an answer that comes late is thrown away.
FINISHING_SECONDS = 8e-6


class Run(NamedTuple):
    """The chunks that were scored in time, their logits, and the seconds spent in the model."""

    chunks: list[Chunk]
    logits: list[float]
    seconds: float

    @property
    def tokens(self) -> int:
        """Tokens put through the model, padding left out."""
        return sum(chunk.length for chunk in self.chunks)


class Ranker:
    """Ranks passages with one model. It keeps no state between requests but the tokenizer's word cache."""

    def __init__(self, model: Model) -> None:
        self._model = model
        self._encoder = model.encoder()
        self.model_id = ModelId(model.manifest.name, model.manifest.revision)

    @classmethod
    def load(cls, directory: Path) -> Ranker:
        """A ranker over the model in ``directory``. Raises ``ModelError``."""
        return cls(load(directory))

    def rank(self, request: RankRequest, clock: Clock) -> Ranking:
        """Score every passage of ``request`` and order them, best first; ties keep input order.

        Where the clock runs out, the passages scored by then come first and the others after them. Raises
        ``DeadlineExceeded`` where the request wants all scores or none, ``UnprocessableRequest`` where it refuses
        the truncation that it would need, ``InvalidRequest`` for fusion with nothing to fuse, and ``ModelError``
        where the model gives a score that is not finite.
        """
        query = self._encoder.encode_query(request.query)
        prior = scoring.first_stage(request.passages)
        if request.fusion is not None and prior is None:
            raise InvalidRequest('fusion needs the "score" or "rank" that the first stage gave the passages', "fusion")
        same = _first_of_same(request.passages)
        chunks = self._chunks(request, query, same, prior)
        if request.dry_run:
            return self._foretell(query, list(chunks), same, clock)

        in_order = request.deadline_ms is not None
        run = self._score(query, chunks, clock, finishing=len(same) * FINISHING_SECONDS, in_order=in_order)
        scored_at = perf_counter()
        found = scoring.evidence(run.chunks, run.logits, request.chunking)
        unscored = sum(first not in found for first in same)
        if unscored and request.on_deadline == "error":
            raise DeadlineExceeded(f"the time allowed ran out with {unscored} passages unscored")
        results = ranked_results(request, [found.get(first) for first in same], prior, self._model.manifest)
        highlights = Run([], [], 0.0)
        if request.highlighting is not None:
            results, highlights = self._highlight(results, request.highlighting, query, clock)
        return Ranking(
            results=results,
            model=self.model_id,
            usage=_usage(query, run.chunks, same, highlights.tokens),
            timings=Timings(
                encode=(scored_at - clock.began - run.seconds) * 1000,
                score=run.seconds * 1000,
                highlight=highlights.seconds * 1000,
                total=(perf_counter() - clock.began) * 1000,
            ),
            unscored=unscored,
        )

    def _chunks(
        self, request: RankRequest, query: EncodedQuery, same: Sequence[int], prior: Floats | None
    ) -> Iterable[Chunk]:
        """The chunks of the distinct passages, the first stage's best first, tokenised as they are asked for."""
        whole = request.truncation == "error"
        if whole and query.truncated:
            raise UnprocessableRequest(f"query has {query.tokens} tokens and would be truncated", "query")
        order = range(len(same)) if prior is None else scoring.descending(prior, None).tolist()
        texts = ((index, request.passages[index].text) for index in order if same[index] == index)
        chunks = self._encoder.chunks(query, texts, request.chunking, whole=whole)
        return list(chunks) if whole else chunks  # whether a request is refused must not depend on the clock

    def _score(
        self,
        query: EncodedQuery,
        chunks: Iterable[Chunk],
        clock: Clock,
        *,
        finishing: float = 0.0,
        in_order: bool = False,
    ) -> Run:
        """Score as many of ``chunks`` as the clock allows, with ``finishing`` seconds kept back for what comes after.

        The clock is read before each text is tokenised, and before each micro-batch, which has to fit in if it takes
        as long as the slowest one so far.
        """
        if clock.deadline is not None:
            chunks = takewhile(lambda _: not clock.expired(finishing), chunks)
        scored: list[Chunk] = []
        logits: list[float] = []
        seconds = slowest = 0.0
        for batch in micro_batches(query, chunks, in_order=in_order):
            if clock.expired(finishing + slowest):
                break
            began = perf_counter()
            values = self._model.logits(batch)
            taken = perf_counter() - began
            seconds, slowest = seconds + taken, max(slowest, taken)
            scored += batch.chunks
            logits += values.tolist()
        if not all(map(isfinite, logits)):
            raise ModelError("the model gave a score that is not finite")
        return Run(scored, logits, seconds)

    def _highlight(
        self, results: tuple[Result, ...], wanted: Highlighting, query: EncodedQuery, clock: Clock
    ) -> tuple[tuple[Result, ...], Run]:
        """Score the sentences of the results by the same model, within the budget that ``highlighting`` states."""
        from handler import highlighting

        sentences = highlighting.candidates(results)
        texts = ((place, results[s.place].passage.text[s.start : s.end]) for place, s in enumerate(sentences))
        chunks = highlighting.within_budget(self._encoder.chunks(query, texts, Chunking()))
        run = self._score(query, chunks, clock, finishing=len(results) * FINISHING_SECONDS, in_order=True)
        found = scoring.evidence(run.chunks, run.logits, Chunking())
        logits = np.array([evidence.logit for evidence in found.values()])
        scores = dict(zip(found, scoring.calibrated(logits, self._model.manifest).tolist(), strict=True))
        return highlighting.with_spans(results, sentences, scores, wanted), run

    def _foretell(self, query: EncodedQuery, chunks: list[Chunk], same: Sequence[int], clock: Clock) -> Ranking:
        """The answer to a dry run: tokens counted, time and price estimated, nothing scored."""
        from handler.estimate import estimate

        encode = (perf_counter() - clock.began) * 1000
        foretold = estimate(self._model, query, chunks, encode)
        timings = Timings(encode=encode, score=0.0, total=(perf_counter() - clock.began) * 1000)
        return Ranking((), self.model_id, _usage(query, chunks, same), timings, estimate=foretold)


def _first_of_same(passages: Sequence[Passage]) -> list[int]:
    """For each passage the first one with the same text, so that equal texts are scored once and equally."""
    first: dict[str, int] = {}
    return [first.setdefault(passage.text, index) for index, passage in enumerate(passages)]


def _usage(query: EncodedQuery, chunks: Sequence[Chunk], same: Sequence[int], more_tokens: int = 0) -> Usage:
    cut = {chunk.passage for chunk in chunks if chunk.used < chunk.tokens}
    return Usage(
        passages=len(same),
        tokens=sum(chunk.length for chunk in chunks) + more_tokens,
        chunks=len(chunks),
        truncated=sum(first in cut for first in same) if cut else 0,
        query_truncated=query.truncated,
    )
