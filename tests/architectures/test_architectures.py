"""Every architecture, converted by our code and ranked by our Ranker, scores as its reference library does.

The models are small and random, so int8 is judged by the properties that it must keep, not by its rounding: what a
real model loses is measured at conversion and written into its manifest.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from numpy.typing import NDArray

from handler.contract import Chunking, Passage, RankRequest
from handler.ranker import Ranker
from handler.runtime import Clock

NEEDED = "needs PyTorch, transformers and rerankers: make test-family"
torch = pytest.importorskip("torch", reason=NEEDED)
reference = pytest.importorskip("tests.architectures.reference", reason=NEEDED)
conversion = pytest.importorskip("layer.convert.make", reason=NEEDED)

TOLERANCE = 1e-4
QUERY = "what makes rain form over the hills"
PASSAGES = [
    *[text for text in reference.texts() if len(text) > 40][:8],
    "short", "雨はなぜ丘の上に降るのか。", "Où pleut-il le plus ?", "tab\tand\nnewline  double",
    "weiß – naïve №5 ﬁn 🙂",
]  # fmt: skip
TABLE: list[str] = []


class Made(NamedTuple):
    folder: Path
    expected: NDArray[np.float64]
    exact: Any
    small: Any


@pytest.fixture(scope="module", params=reference.FAMILIES)
def made(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Made:
    family = reference.FAMILIES[request.param]
    folder = tmp_path_factory.mktemp(request.param)
    torch.manual_seed(1)
    family.make(folder / "source")
    expected = family.score(folder / "source", QUERY, PASSAGES)
    exact = conversion.convert(folder / "source", folder / "fp32", name=request.param, int8=False, rounds=1)
    small = conversion.convert(folder / "source", folder / "int8", name=request.param, rounds=1)
    return Made(folder, expected, exact, small)


def scores(directory: Path, passages: list[str], *, raw: bool = True) -> NDArray[np.float64]:
    request = RankRequest(QUERY, tuple(map(Passage, passages)), raw_scores=raw)
    results = Ranker.load(directory).rank(request, Clock.start()).results
    return np.array([result.score for result in sorted(results, key=lambda result: result.index)])


def test_scores_equal_the_reference_librarys(made: Made, request: pytest.FixtureRequest) -> None:
    name = request.node.callspec.params["made"]
    family = reference.FAMILIES[name]
    found = scores(made.folder / "fp32", PASSAGES, raw=not family.probability)
    difference = float(np.abs(found - made.expected).max())
    milliseconds = [converted.measured.milliseconds_per_100 for converted in (made.exact, made.small)]
    row = f"{name:<16} {family.library:<26} {difference:>9.1e} {milliseconds[0]:>9.0f} {milliseconds[1]:>9.0f}"
    TABLE.append(row)
    assert made.expected.std() > 100 * TOLERANCE  # or equality would show nothing
    assert difference < TOLERANCE


@pytest.mark.parametrize("precision", ["fp32", "int8"])
def test_a_score_does_not_depend_on_its_company(made: Made, precision: str) -> None:
    together = scores(made.folder / precision, PASSAGES)
    alone = np.concatenate([scores(made.folder / precision, [text]) for text in PASSAGES])
    np.testing.assert_allclose(together, alone, atol=TOLERANCE)


def test_int8_is_smaller(made: Made) -> None:
    sizes = [sum(file["bytes"] for file in each.manifest.files.values()) for each in (made.exact, made.small)]
    assert sizes[1] < sizes[0]


def test_a_long_passage_is_scored_in_chunks_cut_between_words(made: Made) -> None:
    ranker = Ranker.load(made.folder / "fp32")
    text = " ".join(PASSAGES) * 8
    request = RankRequest(QUERY, (Passage(text),), chunking=Chunking(chunk_tokens=48))
    (result,) = ranker.rank(request, Clock.start()).results
    assert result.chunks > 1
    best = result.best_chunk
    assert best is not None
    assert text[best.start : best.end].strip()
    assert best.start == 0 or not (text[best.start - 1].isalnum() and text[best.start].isalnum())


def test_a_query_over_half_the_window_is_cut_and_reported(made: Made) -> None:
    ranking = Ranker.load(made.folder / "fp32").rank(RankRequest("rain " * 400, (Passage("rain"),)), Clock.start())
    assert ranking.usage.query_truncated
    assert ranking.results[0].scored


def test_the_manifest_names_the_architecture_that_runs_it(made: Made) -> None:
    assert made.exact.manifest.architecture == made.small.manifest.architecture
    assert made.exact.manifest.name in reference.FAMILIES


@pytest.fixture(scope="module", autouse=True)
def table(request: pytest.FixtureRequest) -> object:
    yield
    head = f"{'architecture':<16} {'reference':<26} {'largest':>9} {'fp32':>9} {'int8':>9}"
    under = f"{'':<16} {'':<26} {'diff.':>9} {'ms / 100':>9} {'ms / 100':>9}"
    reporter: Any = request.config.pluginmanager.get_plugin("terminalreporter")
    capture: Any = request.config.pluginmanager.get_plugin("capturemanager")
    with capture.global_and_fixture_disabled():  # or the table would go where passed tests' output goes
        reporter.write_line("\n" + "\n".join([head, under, *TABLE]))
