"""Which model names are taken for the one served where names are strict."""

from __future__ import annotations

import pytest

from handler.aliases import ALIASES, check_model
from handler.errors import ModelNotFound


def test_every_alias_is_written_as_it_is_compared() -> None:
    names = [name for group in ALIASES.values() for name in group]
    assert len(set(names)) == len(names)
    assert names == [name.lower() for name in names]
    for name in names:
        check_model(name, "nano")


@pytest.mark.parametrize("name", ["nano", "Nano", "vendor/nano", "BAAI/bge-reranker-v2-m3", "RERANK-V3.5"])
def test_case_and_vendor_do_not_matter(name: str) -> None:
    check_model(name, "nano")


@pytest.mark.parametrize("name", ["unknown-secret", "nano/unknown", "rerank-v3.5/"])
def test_any_other_is_refused_without_being_repeated(name: str) -> None:
    with pytest.raises(ModelNotFound) as raised:
        check_model(name, "nano")
    assert name not in raised.value.message
