"""The whole of reranking, on the model that ships."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from handler import highlighting
from handler.batching import ORDERED_WINDOW_TOKENS
from handler.contract import Ranking, RankRequest, Result
from handler.dialects import native
from handler.errors import DeadlineExceeded, InvalidRequest, UnprocessableRequest
from handler.ranker import Ranker
from handler.runtime import SETTINGS, Clock

QUERY = "how does rain form over hills"
SHORT = [
    "Rain forms where moist air is lifted over hills and cools.",
    "The cathedral was finished in 1880.",
    "Clouds are made of droplets.",
    "Hills and dales.",
    "",
]
FILLER = "The committee met again and nothing at all was decided about the budget of that year. "
LONG = FILLER * 60 + SHORT[0] + " " + FILLER * 60
RANKER = Ranker.load(SETTINGS.model_dir)
WINDOW = RANKER._model.manifest.window

WORDS = st.sampled_from(
    [
        "rain",
        "hills",
        "water",
        "cloud",
        "the",
        "of",
        "and",
        "a",
        "1880",
        "cathedral",
        "droplets",
        "Été",
        "東京",
        "moist",
        "lifted",
        "!",
        "don't",
    ]
)
PASSAGES = st.lists(st.lists(WORDS, max_size=60).map(" ".join), min_size=1, max_size=12)
few = settings(max_examples=30, deadline=None)


class Looks(Clock):
    """A clock that has run out when it was looked at so many times."""

    def __init__(self, allowed: int) -> None:
        super().__init__(began=0.0, deadline=allowed)
        self.seen: list[None] = []

    def expired(self, ahead: float = 0.0) -> bool:
        self.seen.append(None)
        return len(self.seen) > (self.deadline or 0)


def rank(*passages: Any, query: str = QUERY, clock: Clock | None = None, **options: Any) -> Ranking:
    if clock is not None:
        options["deadline_ms"] = 1
    request = native.parse({"query": query, "passages": list(passages), **options})
    return RANKER.rank(request, clock or Clock.start())


def score(text: str, query: str = QUERY) -> float:
    return rank(text, query=query).results[0].score


def by_index(ranking: Ranking) -> list[Result]:
    return sorted(ranking.results, key=lambda result: result.index)


# Long passages


def test_a_passage_over_the_window_is_scored_in_chunks_and_the_best_one_is_pointed_out() -> None:
    whole, other = by_index(rank(LONG, SHORT[1]))
    assert whole.chunks > 2
    assert whole.tokens_in == whole.tokens_used > 2 * WINDOW
    best = whole.best_chunk
    assert best is not None
    assert SHORT[0] in LONG[best.start : best.end]
    assert (other.chunks, other.best_chunk) == (1, None)


def test_the_best_chunk_alone_has_the_passage_s_score() -> None:
    (result,) = rank(LONG).results
    assert result.best_chunk is not None
    assert score(LONG[result.best_chunk.start : result.best_chunk.end]) == pytest.approx(result.score, abs=1e-6)


def test_a_relevant_end_is_found_where_truncation_would_have_lost_it() -> None:
    text = FILLER * 100 + SHORT[0]
    assert rank(text).results[0].score > rank(text, chunking={"mode": "first"}).results[0].score


@pytest.mark.parametrize("mode", ["max", "mean", "top_k_mean"])
def test_the_mode_aggregates_the_chunks_logits(mode: str) -> None:
    options = {"mode": mode, "top_k": 2, "chunk_tokens": 100, "max_chunks_per_doc": 3, "overlap_tokens": 0}
    request = native.parse({"query": QUERY, "passages": [LONG], "chunking": options})
    encoder = RANKER._encoder
    query = encoder.encode_query(QUERY)
    spans = [chunk.span for chunk in encoder.chunks(query, [(0, LONG)], request.chunking)]
    alone = [rank(LONG[span[0] : span[1]], raw_scores=True).results[0].score for span in spans if span]
    expected = {"max": max(alone), "mean": sum(alone) / 3, "top_k_mean": sum(sorted(alone)[1:]) / 2}[mode]
    assert len(alone) == 3
    assert rank(LONG, chunking=options, raw_scores=True).results[0].score == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize(
    ("chunking", "chunks", "used"),
    [
        ({"max_chunks_per_doc": 1}, 1, range(WINDOW // 2, WINDOW)),
        ({"max_chunks_per_doc": 2, "chunk_tokens": 100, "overlap_tokens": 0}, 2, range(180, 201)),
        ({"max_tokens_per_doc": 100}, 1, range(90, 101)),
        ({"mode": "first", "chunk_tokens": 50}, 1, range(40, 51)),
    ],
)
def test_what_is_left_out_is_reported(chunking: dict[str, Any], chunks: int, used: range) -> None:
    ranking = rank(LONG, SHORT[0], LONG, chunking=chunking)
    result = by_index(ranking)[0]
    assert result.chunks == chunks
    assert result.tokens_used in used
    assert result.tokens_in > 2 * WINDOW
    assert ranking.usage.truncated == 2
    assert by_index(ranking)[1].tokens_used == by_index(ranking)[1].tokens_in


def test_truncation_error_refuses_the_passage_by_its_index_and_quotes_nothing() -> None:
    with pytest.raises(UnprocessableRequest, match="passage 1 has") as refused:
        rank(SHORT[0], LONG, truncation="error")
    assert refused.value.field == "passages[1]"
    assert "committee" not in str(refused.value)
    assert rank(*SHORT, truncation="error").usage.truncated == 0


@pytest.mark.parametrize("truncation", [True, False, None])
def test_truncation_true_false_and_absent_chunk_long_passages(truncation: bool | None) -> None:
    assert rank(LONG, truncation=truncation).results[0].chunks > 2


def test_a_query_over_half_the_window_is_cut_and_reported_or_refused() -> None:
    query = "rain " * WINDOW
    ranking = rank(SHORT[0], query=query)
    assert ranking.usage.query_truncated
    assert ranking.usage.tokens <= WINDOW
    assert rank(SHORT[0], query="rain " * (WINDOW // 2 - 8)).usage.query_truncated is False
    with pytest.raises(UnprocessableRequest, match="query has"):
        rank(SHORT[0], query=query, truncation="error")


# Deadlines


def many(count: int) -> list[dict[str, Any]]:
    """Passages that differ and are equally long: a year is one token."""
    return [{"text": f"{'water ' * 120}{1800 + i}", "id": i} for i in range(count)]


# The clock is read before each text of the first window of them, and then before each micro-batch.
IN_WINDOW = -(-ORDERED_WINDOW_TOKENS // rank(*many(1)).usage.tokens)
THREE_BATCHES = IN_WINDOW + 3


def test_past_the_deadline_every_passage_comes_back_the_scored_ones_first() -> None:
    ranking = rank(*many(200), clock=Looks(THREE_BATCHES))
    scored = [result for result in ranking.results if result.scored]
    unscored = ranking.results[len(scored) :]
    assert sorted(result.index for result in ranking.results) == list(range(200))
    assert ranking.partial
    assert 0 < len(scored) == 200 - ranking.unscored < 200
    assert {result.index for result in scored} < set(range(IN_WINDOW)), "the first ones given are scored first"
    assert [result.index for result in unscored] == sorted(result.index for result in unscored)
    scores = [result.score for result in ranking.results]
    assert scores == sorted(scores, reverse=True)
    assert scores[len(scored) - 1] > scores[len(scored)], "a stand-in is below every score"
    assert unscored[0].logit is unscored[0].model_score is None


def test_the_first_stage_decides_which_passages_are_scored_first_and_how_the_rest_is_ordered() -> None:
    passages = [passage | {"score": float(i)} for i, passage in enumerate(many(200))]
    ranking = rank(*passages, clock=Looks(THREE_BATCHES))
    count = 200 - ranking.unscored
    assert min(result.index for result in ranking.results[:count]) >= 200 - IN_WINDOW
    assert [r.index for r in ranking.results[count:]] == sorted(
        (r.index for r in ranking.results[count:]), reverse=True
    )


def test_no_time_at_all_still_answers() -> None:
    ranking = rank(*SHORT, clock=Looks(0))
    assert [result.index for result in ranking.results] == list(range(len(SHORT)))
    assert ranking.unscored == len(SHORT)
    body = native.render(ranking, native.parse({"query": "q", "passages": SHORT}))
    assert body["meta"] == {"partial": True, "unscored": len(SHORT)}
    assert all(result["scored"] is False and 0 < result["score"] < 1e-5 for result in body["results"])


def test_all_scores_or_none_where_the_caller_wants_that() -> None:
    with pytest.raises(DeadlineExceeded, match="unscored"):
        rank(*many(200), clock=Looks(THREE_BATCHES), on_deadline="error")


def test_equal_texts_share_a_score_also_when_time_ran_out() -> None:
    ranking = rank(SHORT[0], *many(200), SHORT[0], clock=Looks(THREE_BATCHES))
    results = by_index(ranking)
    assert results[0].scored
    assert results[-1].scored
    assert results[0].score == results[-1].score


def test_a_passage_of_which_the_time_sufficed_for_some_chunks_is_unscored() -> None:
    chunking = {"chunk_tokens": 100, "max_chunks_per_doc": 60}
    chunks = rank(LONG, chunking=chunking).results[0].chunks
    ranking = rank(LONG, chunking=chunking, clock=Looks(chunks + 1))
    assert 0 < ranking.usage.chunks < chunks
    assert ranking.unscored == 1


def test_a_real_deadline_is_kept() -> None:
    ranking = rank(*many(1000), deadline_ms=1, clock=Clock.start(1))
    assert ranking.partial
    assert len(ranking.results) == 1000


# Scores, thresholds, fusion


def test_scores_are_calibrated_probabilities_and_logits_on_request() -> None:
    manifest = RANKER._model.manifest
    scores, logits = by_index(rank(*SHORT)), by_index(rank(*SHORT, raw_scores=True))
    for probability, raw in zip(scores, logits, strict=True):
        assert 0 < probability.score < 1
        assert raw.score == raw.logit == probability.logit
        odds = probability.score / (1 - probability.score)
        assert odds == pytest.approx(2.718281828459045 ** (raw.score / manifest.temperature + manifest.bias), rel=1e-6)


def test_a_threshold_is_held_against_the_model_s_score_also_when_fused() -> None:
    scores = {result.index: result.score for result in rank(*SHORT).results}
    threshold = sorted(scores.values())[2]
    passages = [{"text": text, "score": float(i)} for i, text in enumerate(SHORT)]
    plain = rank(*SHORT, score_threshold=threshold)
    fused = rank(*passages, score_threshold=threshold, fusion={"weight": 0.9})
    expected = {index for index, value in scores.items() if value >= threshold}
    assert {r.index for r in plain.results} == {r.index for r in fused.results} == expected
    assert len(rank(*SHORT, score_threshold=1.0, min_results=2).results) == 2


def test_fusion_reorders_and_keeps_the_model_s_own_score_beside() -> None:
    passages = [{"text": text, "rank": len(SHORT) - i} for i, text in enumerate(SHORT)]
    alone, fused = rank(*SHORT), rank(*passages, fusion={"method": "weighted", "weight": 1.0})
    assert [result.index for result in fused.results] == [4, 3, 2, 1, 0]
    assert {r.index: r.score for r in alone.results} == {r.index: r.model_score for r in fused.results}
    assert all(0 < result.score < 1 for result in fused.results)


@pytest.mark.parametrize("method", ["weighted", "rrf"])
def test_fused_scores_fall_along_the_ranking(method: str) -> None:
    passages = [{"text": text, "score": float(i)} for i, text in enumerate(SHORT)]
    scores = [result.score for result in rank(*passages, fusion={"method": method}).results]
    assert scores == sorted(scores, reverse=True)


def test_fusion_with_nothing_to_fuse_is_refused() -> None:
    with pytest.raises(InvalidRequest, match='"score" or "rank"'):
        rank(*SHORT, fusion={})


# Highlights


def test_the_sentence_that_answers_is_the_best_span() -> None:
    text = f"{FILLER}😀 {SHORT[0]} {FILLER}"
    (result,) = rank(text, relevant_spans={"threshold": 0, "max_spans": 9}).results
    assert result.spans is not None
    assert len(result.spans) == 3
    best = max(result.spans, key=lambda span: span.score)
    assert SHORT[0] in text[best.start : best.end]
    assert best.score == pytest.approx(score(text[best.start : best.end]), abs=1e-6)


def test_spans_of_a_chunked_passage_lie_in_its_best_chunk() -> None:
    (result,) = rank(LONG, relevant_spans={"threshold": 0, "max_spans": 3}).results
    assert result.best_chunk is not None
    assert result.spans
    assert all(result.best_chunk.start <= span.start < span.end <= result.best_chunk.end for span in result.spans)


def test_highlights_cost_no_more_than_stated(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(highlighting, "MAX_HIGHLIGHT_TOKENS", 200)
    plain, highlighted = rank(*many(20)), rank(*many(20), relevant_spans={})
    assert 0 < highlighted.usage.tokens - plain.usage.tokens <= 200
    assert [r.index for r in plain.results] == [r.index for r in highlighted.results]
    assert highlighted.results[0].spans is not None
    assert highlighted.results[-1].spans is None


def test_disabled_spans_are_absent() -> None:
    assert rank(*SHORT, relevant_spans={"mode": "disabled"}).results[0].spans is None


# Accounting


def test_a_dry_run_counts_what_a_real_one_uses_and_scores_nothing() -> None:
    real, dry = rank(*SHORT, LONG), rank(*SHORT, LONG, dry_run=True)
    assert dry.usage == real.usage
    assert dry.results == ()
    assert dry.estimate is not None
    assert dry.estimate.milliseconds > 0
    assert 0 < dry.estimate.usd < 0.01


def test_usage_counts_equal_texts_once_and_timings_add_up() -> None:
    once, twice = rank(SHORT[0]), rank(SHORT[0], SHORT[0])
    assert once.usage.tokens == twice.usage.tokens
    assert (once.usage.passages, twice.usage.passages) == (1, 2)
    timings = rank(*SHORT, LONG, relevant_spans={}).timings
    assert 0 < timings.encode + timings.score + timings.highlight <= timings.total


# Determinism


# A float32 sum may be taken in another order where a micro-batch has other measures; nothing else is allowed to differ.
ROUNDING = 1e-6


def settled(ranking: Ranking, request: RankRequest) -> bytes:
    body = native.render(ranking, request)
    del body["timings_ms"]
    return json.dumps(body).encode()


@few
@given(PASSAGES)
def test_the_same_request_gets_the_same_bytes(texts: list[str]) -> None:
    request = native.parse({"query": QUERY, "passages": texts, "relevant_spans": {}})
    first, second = (settled(RANKER.rank(request, Clock.start()), request) for _ in range(2))
    assert first == second


@few
@given(PASSAGES, st.randoms(use_true_random=False))
def test_permuting_passages_permutes_results(texts: list[str], random: Any) -> None:
    order = list(range(len(texts)))
    random.shuffle(order)
    before, after = by_index(rank(*texts)), by_index(rank(*(texts[i] for i in order)))
    assert [before[i].score for i in order] == pytest.approx([result.score for result in after], abs=ROUNDING)


@few
@given(PASSAGES, st.integers(0, 11), st.integers(2, 4))
def test_ties_keep_input_order(texts: list[str], which: int, copies: int) -> None:
    twin = texts[which % len(texts)]
    ranking = rank(twin, *texts, *([twin] * copies))
    for before, after in zip(ranking.results, ranking.results[1:], strict=False):
        assert (before.score, -before.index) > (after.score, -after.index)


@pytest.mark.parametrize("query", ["\u200b", "\x7f", "."])
def test_a_query_without_a_word_has_scores_that_do_not_depend_on_padding_either(query: str) -> None:
    together = by_index(rank(*SHORT, LONG, query=query))
    assert [score(text, query) for text in SHORT] == pytest.approx([r.score for r in together[:-1]], abs=ROUNDING)


@few
@given(PASSAGES, st.lists(st.sampled_from([*SHORT, LONG]), max_size=5))
def test_a_passage_s_score_does_not_depend_on_its_company(texts: list[str], company: list[str]) -> None:
    together = by_index(rank(*texts, *company))
    for text, result in zip(texts, together, strict=False):
        assert score(text) == pytest.approx(result.score, abs=ROUNDING)
