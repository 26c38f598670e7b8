"""What a dry run foretells."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from handler import estimate
from handler.encoding import Chunk
from handler.estimate import Rate, usd
from handler.ranker import Ranker
from handler.runtime import SETTINGS

PRICES = tomllib.loads((Path(__file__).parents[2] / "infra" / "prices.toml").read_text())["lambda"]


def test_the_function_and_the_cost_table_know_the_same_prices() -> None:
    assert PRICES["per_gb_second"] == estimate.USD_PER_GB_SECOND
    assert PRICES["per_million_requests"] / 1e6 == pytest.approx(estimate.USD_PER_REQUEST)


@pytest.mark.parametrize(("machine", "architecture"), [("aarch64", "arm64"), ("arm64", "arm64"), ("x86_64", "x86_64")])
def test_a_second_of_a_gigabyte_costs_its_price_and_that_of_the_request(machine: str, architecture: str) -> None:
    expected = PRICES["per_gb_second"][architecture] + PRICES["per_million_requests"] / 1e6
    assert usd(1000, 1024, machine) == pytest.approx(expected)


def test_memory_is_that_of_the_function(monkeypatch: pytest.MonkeyPatch) -> None:
    ranker = Ranker.load(SETTINGS.model_dir)
    model, query = ranker._model, ranker._encoder.encode_query("a question")
    monkeypatch.setenv("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "512")
    told = estimate.estimate(model, query, [Chunk(0, query.ids * 9, 30, 30)], 1.5)
    assert told.memory_mb == 512
    assert told.milliseconds > 1.5
    assert told.usd == usd(told.milliseconds, 512)


def test_longer_sequences_cost_more_a_token() -> None:
    chunk = Chunk(0, bytes(400), 98, 98)
    assert Rate(token=0.01, pair=0.0001).milliseconds([chunk, chunk]) == pytest.approx(2 * 100 * (0.01 + 0.01))
