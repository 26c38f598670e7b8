"""The evaluation tool on small sets, written here, in every layout that it promises to read."""

from __future__ import annotations

import gzip
import json
import os
import subprocess
from pathlib import Path

import pytest

from handler.ranker import Ranker
from tests.quality import evaluate

MODEL = Path("layer/nano")
CORPUS = {
    "volcano": "A volcano erupts when molten rock called magma rises through cracks in the crust of the Earth.",
    "bread": "Knead the dough for ten minutes, let it rise until doubled, then bake the bread in a hot oven.",
    "moon": "The Moon orbits the Earth once every 27 days and causes the ocean tides.",
    "guitar": "A guitar has six strings which are plucked or strummed to make music.",
}
QUERIES = {
    "q1": "why does a volcano erupt",
    "q2": "how long to knead bread dough",
    "q3": "what causes tides in the ocean",
}
QRELS = {"q1": "volcano", "q2": "bread", "q3": "moon"}


def write(folder: Path, *, zipped: bool = False, titles: bool = False, split: str = "test", run: bool = True) -> Path:
    """Write the set above into ``folder``."""
    (folder / "qrels").mkdir(parents=True)

    def put(name: str, lines: list[str]) -> None:
        text = "\n".join(lines) + "\n"
        if zipped:
            (folder / f"{name}.gz").write_bytes(gzip.compress(text.encode()))
        else:
            (folder / name).write_text(text)

    put(
        "corpus.jsonl",
        [json.dumps({"_id": k, "text": t} | ({"title": k} if titles else {})) for k, t in CORPUS.items()],
    )
    put("queries.jsonl", [json.dumps({"_id": k, "text": t}) for k, t in QUERIES.items()])
    judgements = [f"{q}\t{p}\t1" for q, p in QRELS.items()]
    (folder / "qrels" / f"{split}.tsv").write_text("\n".join(["query-id\tcorpus-id\tscore", *judgements]) + "\n")
    if run:
        ranked = [f"{q} Q0 {p} {r} {-r} first" for q in QUERIES for r, p in enumerate(reversed(CORPUS), 1)]
        (folder / "bm25.run").write_text("\n".join(ranked) + "\n")
    return folder


def test_a_first_stage_that_ranks_badly_is_put_right_and_the_figures_say_so(tmp_path: Path) -> None:
    folder = write(tmp_path / "set")
    out = tmp_path / "out.json"
    arguments = [str(folder), "--model", str(MODEL), "--json", str(out), "--per-query", str(tmp_path / "per.tsv")]
    assert evaluate.main(arguments) == 0
    figures = json.loads(out.read_text())["set"]
    assert figures["queries"] == len(QUERIES)
    assert figures["mrr@10"]["first_stage"] < figures["mrr@10"]["reranked"] == 1.0
    assert figures["recall@10"] == {"first_stage": 1.0, "reranked": 1.0, "p": 1.0}
    lines = (tmp_path / "per.tsv").read_text().splitlines()
    assert len(lines) == 1 + len(QUERIES) * len(evaluate.MEASURES)


@pytest.mark.parametrize(
    "layout",
    [
        {"zipped": True},
        {"titles": True},
        {"split": "dev"},
        {"split": "anything"},
        {"run": False},
        {"zipped": True, "titles": True, "run": False},
    ],
    ids=str,
)
def test_every_layout_gives_the_same_ranking(tmp_path: Path, layout: dict[str, bool | str]) -> None:
    folder = write(tmp_path / "set", **layout)  # type: ignore[arg-type]
    report = evaluate.evaluate(folder, Ranker.load(MODEL))
    assert report.mean(report.reranked, "mrr@10") == 1.0


def damage_json(folder: Path) -> None:
    lines = (folder / "corpus.jsonl").read_text().splitlines()
    (folder / "corpus.jsonl").write_text("\n".join([*lines[:2], '{"_id": "x", "text": ', *lines[2:]]))


def drop_header(folder: Path) -> None:
    path = folder / "qrels" / "test.tsv"
    path.write_text("\n".join(path.read_text().splitlines()[1:]) + "\n")


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda f: (f / "corpus.jsonl").unlink(), "neither corpus.jsonl nor corpus.jsonl.gz"),
        (lambda f: (f / "queries.jsonl").write_text("\n"), "holds no text"),
        (lambda f: (f / "queries.jsonl").write_text('{"_id": "q1"}\n'), "queries.jsonl:1: needs a JSON object"),
        (lambda f: (f / "queries.jsonl").write_text('{"_id":"q","text":"a"}\n' * 2), "queries.jsonl:2: the _id 'q'"),
        (damage_json, "corpus.jsonl:3: not JSON"),
        (drop_header, "test.tsv:1: needs the header line"),
        (lambda f: (f / "qrels" / "test.tsv").unlink(), "needs a <split>.tsv"),
        (lambda f: (f / "qrels" / "test.tsv").write_text("a\tb\tc\nq1 volcano 1\n"), "test.tsv:2: needs three"),
        (lambda f: (f / "bm25.run").write_text("q1 Q0 volcano\n"), "bm25.run:1: needs `query Q0 passage"),
        (lambda f: (f / "bm25.run").write_text("q1 Q0 nowhere 1 1 x\n"), "'nowhere' is not in corpus.jsonl"),
        (lambda f: (f / "bm25.run").write_text("other Q0 volcano 1 1 x\n"), "no query of the first stage is judged"),
        (lambda f: (f / "bm25.run").write_text("\n"), "bm25.run: holds no line"),
    ],
)
def test_what_is_missing_or_malformed_is_named_with_its_file_and_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], damage: object, said: str
) -> None:
    folder = write(tmp_path / "set")
    damage(folder)  # type: ignore[operator]
    assert evaluate.main([str(folder), "--model", str(MODEL)]) == 2
    assert said in capsys.readouterr().err


def test_a_query_without_candidates_counts_as_nothing_found(tmp_path: Path) -> None:
    folder = write(tmp_path / "set")
    (folder / "bm25.run").write_text("q1 Q0 bread 1 2 x\nq1 Q0 volcano 2 1 x\n")
    report = evaluate.evaluate(folder, Ranker.load(MODEL))
    assert report.reranked["mrr@10"] == {"q1": 1.0, "q2": 0.0, "q3": 0.0}


def test_a_folder_of_sets_is_read_as_all_of_them(tmp_path: Path) -> None:
    for name in ("one", "two"):
        write(tmp_path / name)
    (tmp_path / "notes").mkdir()
    assert [path.name for path in evaluate.sets_in(tmp_path)] == ["one", "two"]


def test_make_measures_a_folder_of_ones_own_and_leaves_the_projects_pictures_alone(tmp_path: Path) -> None:
    folder, out = write(tmp_path / "mine"), tmp_path / "out.json"
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))}
    command = ["make", "eval", f"DATA={folder}", f"JSON={out}"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "| mine | 3 |" in done.stdout
    assert json.loads(out.read_text())["mine"]["queries"] == len(QUERIES)
    assert "plots" not in done.stdout
