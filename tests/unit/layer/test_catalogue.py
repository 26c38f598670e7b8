"""The catalogue says all that it must, and nothing that cannot be."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from handler.architectures import MODULES
from layer import catalogue

ENTRY = """
[m]
description = ""
licence = ""
languages = ["en"]
architecture = "bert"
window = 512
scores = ""
memory_mb = 1769
"""


def test_every_model_of_the_issue_is_there() -> None:
    expected = {
        "nano", "ms-marco-TinyBERT-L-2-v2", "ms-marco-MiniLM-L-12-v2", "rank-T5-flan", "ms-marco-MultiBERT-L-12",
        "ce-esci-MiniLM-L12-v2", "miniReranker_arabic_v1", "ms-marco-MiniLM-L-4-v2", "ms-marco-MiniLM-L-6-v2",
        "bge-reranker-base", "bge-reranker-v2-m3", "mxbai-rerank-xsmall-v1", "jina-reranker-v1-tiny-en",
        "answerai-colbert-small-v1", "bedrock-rerank", "bedrock-listwise",
    }  # fmt: skip
    assert set(catalogue.read()) == expected


def test_every_architecture_is_one_that_a_function_runs() -> None:
    known = {"bert", "bedrock-rerank", "bedrock-listwise", *MODULES}
    assert {entry.architecture for entry in catalogue.read().values()} <= known


def test_names_and_aliases_are_unique() -> None:
    names = [name for entry in catalogue.read().values() for name in (entry.name, *entry.aliases)]
    assert len(names) == len(set(names))


def test_a_pinned_entry_has_a_commit_and_every_digest() -> None:
    for entry in catalogue.read().values():
        if entry.files and entry.pinned:
            assert entry.revision is not None
            assert len(entry.revision) == 40, entry.name


def test_a_model_is_found_by_its_alias() -> None:
    assert catalogue.find("small").name == "ms-marco-MiniLM-L-12-v2"


def test_an_unknown_name_is_answered_with_the_list() -> None:
    with pytest.raises(catalogue.CatalogueError, match=r"no model 'smal'.*ms-marco-MiniLM-L-12-v2"):
        catalogue.find("smal")


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ("colour = 1", "colour"),
        ('files = [{ path = "a" }]', "source and a revision"),
        ('source = "a/b"\nrevision = "c"\nfiles = [{ path = "a", sha256 = "A" }]', "64 lower-case"),
        (f'source = "a/b"\nrevision = "c"\nfiles = [{{ path = "a", sha256 = "{"a" * 64}" }}]', "where it is published"),
    ],
)
def test_an_entry_that_cannot_be_is_refused(tmp_path: Path, more: str, said: str) -> None:
    path = tmp_path / "models.toml"
    path.write_text(ENTRY + more)
    with pytest.raises(catalogue.CatalogueError, match=said):
        catalogue.read(path)


def test_the_baked_model_s_digest_is_that_of_its_manifest() -> None:
    baked = catalogue.find("nano")
    files = json.loads(Path("layer/nano/manifest.json").read_text())["files"]
    assert baked.sha256 == files["model.onnx.data"]["sha256"]
