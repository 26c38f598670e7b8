"""The figures as pictures: SVG from the JSON that `make bench`, `make eval` and `make two-stage` write.

    python -m tests.bench.plots FOLDER [--out FOLDER]

Drawn the same from the same numbers, byte for byte: no date, no random ids; text stays text, so that it can be read,
searched and scaled. The paper behind them is light, so they read the same on a light page and on a dark one.
"""

from __future__ import annotations

import argparse
import json
import sys
import tomllib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("svg")

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.patches import Patch
from matplotlib.ticker import NullLocator

ROOT = Path(__file__).resolve().parents[2]
PAPER, INK, SOFT, LINE, OURS = "#fffefb", "#1d1b17", "#6f695d", "#dcd7cb", "#d9661f"
COLD_PHASES = (
    "interpreter", "runtime client", "numpy", "onnxruntime", "engine modules", "powertools", "vocabulary", "session",
)  # fmt: skip
TICKS = (2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10000)
OTHERS = ("#3f6ea3", "#5d8f5a", "#8a63a8", "#9b8a5a", "#b5536b")

plt.rcParams.update({
    "svg.hashsalt": "lambda-rerank", "svg.fonttype": "none", "font.family": "sans-serif", "font.size": 10,
    "figure.facecolor": PAPER, "axes.facecolor": PAPER, "axes.edgecolor": LINE, "axes.labelcolor": SOFT,
    "axes.titlecolor": INK, "axes.titlesize": 11, "axes.titleweight": "bold", "axes.titlelocation": "left",
    "axes.spines.top": False, "axes.spines.right": False, "axes.axisbelow": True, "axes.grid": True,
    "grid.color": LINE, "grid.linewidth": 0.6, "xtick.color": SOFT, "ytick.color": SOFT, "text.color": INK,
    "legend.frameon": False,
})  # fmt: skip


@contextmanager
def picture(path: Path, width: float, height: float, columns: int = 1) -> Iterator[list[Axes]]:
    """Yield the axes of a new picture of so many inches, and write it to ``path`` afterwards."""
    figure, axes = plt.subplots(1, columns, figsize=(width, height), layout="constrained", squeeze=False)
    figure.get_layout_engine().set(w_pad=0.12, h_pad=0.12)
    yield list(axes[0])
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, metadata={"Date": None, "Creator": None})
    plt.close(figure)


def two_stage(name: str, stages: Mapping[str, Mapping[str, float]], path: Path) -> None:
    """Draw each first stage before and after reranking, a line a measure, for `make two-stage`."""
    first = [stage for stage in stages if not stage.endswith(", reranked")]
    with picture(path, 8, 3.4, len(first)) as every:
        for axes, stage in zip(every, first, strict=True):
            before, after = stages[stage], stages[f"{stage}, reranked"]
            measures = list(before)[::-1]
            for row, measure in enumerate(measures):
                low, high = before[measure], after[measure]
                axes.annotate(
                    "",
                    (high, row),
                    (low, row),
                    arrowprops={"arrowstyle": "-|>", "color": OURS, "lw": 2, "shrinkA": 0, "shrinkB": 0},
                )
                axes.plot(low, row, "o", color=SOFT, markersize=6)
                side = -1 if high < low else 1
                axes.annotate(
                    f"{high:.3f}", (high, row), (6 * side, 0), textcoords="offset points", va="center",
                    ha="left" if side > 0 else "right", color=INK, fontsize=9,
                )  # fmt: skip
            axes.set_yticks(range(len(measures)), measures)
            axes.set_title(f"{stage} → reranked")
            axes.set_xlim(0, 1)
            axes.set_ylim(-0.6, len(measures) - 0.4)
        every[0].set_xlabel(f"{name}: grey before, arrow after")


def growth(found: Mapping[str, Mapping[str, Any]], path: Path) -> None:
    """Draw time against passages and against tokens, a line an engine, for `make bench`."""
    with picture(path, 9, 3.8, 2) as every:
        for axes, over in zip(every, ("passages", "tokens"), strict=True):
            for (name, grown), colour in zip(found.items(), (OTHERS[1], OURS, *OTHERS), strict=False):
                points = [(int(count), milliseconds) for count, milliseconds in grown[over].items()]
                axes.plot(*zip(*points, strict=True), "o-", color=colour, markersize=4, label=name)
            axes.set(xscale="log", yscale="log")
            axes.set_xticks([int(count) for count in found[next(iter(found))][over]])
            axes.xaxis.set_minor_locator(NullLocator())
            for axis in (axes.xaxis, axes.yaxis):
                axis.set_major_formatter("{x:,g}")
            axes.set_xlabel("passages of 100 tokens" if over == "passages" else "tokens a passage, 100 passages")
            axes.set_title(f"ms against {over}")
        every[0].legend(fontsize=9)


def cold(found: Mapping[str, Any], path: Path) -> None:
    """Draw what a cold start is made of: ours by phase, the others whole, for `make bench`.

    What the phases leave of the whole that was measured is the rest of the handler and the answer.
    """
    whole = {name: times["cpu_ms"] for name, times in found["warm"].items() if name != "our imports"}
    phases = {name: value for name, value in found["phases_ms"].items() if name in COLD_PHASES}
    rest = max(whole["ours, nano"] - sum(phases.values()), 0.0)
    bars = {
        "floor: import onnxruntime, tokenizers": {"whole": whole["floor"]},
        "ours, nano": {**phases, "handler, HTTP, answer": rest},
        "FlashRank": {"whole": whole["flashrank"]},
    }
    colours = dict(
        zip((*COLD_PHASES, "handler, HTTP, answer"), (*OTHERS, "#6aa6a6", "#c9a227", "#8d8677", OURS), strict=True)
    )
    with picture(path, 9, 2.9) as (axes,):
        for row, parts in enumerate(reversed(bars.values())):
            left = 0.0
            for phase, milliseconds in parts.items():
                axes.barh(row, milliseconds, left=left, height=0.55, color=colours.get(phase, "#c9c3b5"))
                left += milliseconds
            axes.annotate(f"{left:.0f} ms", (left, row), xytext=(6, 0), textcoords="offset points", va="center")
        axes.set_yticks(range(len(bars)), list(bars)[::-1])
        axes.grid(visible=False, axis="y")
        axes.margins(x=0.12)
        axes.set_title("Process start to first answer, ms of processor time")
        patches = [Patch(color=colour, label=phase) for phase, colour in colours.items()]
        axes.legend(
            handles=[*patches, Patch(color="#c9c3b5", label="not split")],
            loc="upper left",
            bbox_to_anchor=(1, 1),
            fontsize=8,
        )


def parameters(layers: int, width: int, vocabulary: int = 30522) -> float:
    """Return the millions of weights of a BERT cross-encoder of this shape."""
    return ((vocabulary + 512 + 2) * width + layers * (12 * width**2 + 13 * width) + width**2) / 1e6


def quality(evaluation: Mapping[str, Any], times: Mapping[str, Any], path: Path) -> None:
    """Draw nDCG@10 against size and against time, with published models as labelled points, for `make eval`."""
    published = tomllib.loads((ROOT / "tests" / "quality" / "published.toml").read_text(encoding="utf-8"))
    figures = evaluation[published["set"]]["ndcg@10"]
    size = sum(file.stat().st_size for file in (ROOT / "layer" / "nano").glob("model.onnx*")) / 1e6
    points: list[tuple[Any, ...]] = [("nano", size, times["ms"]["ours"], figures["reranked"])]
    points += [
        (model["name"], parameters(model["layers"], model["width"]), times["ms"][model["name"]], model["ndcg10"])
        for model in published["models"]
    ]
    with picture(path, 9, 3.8, 2) as every:
        labels = (
            "size, MB at a byte a weight",
            f"ms for {times['passages']} passages of {times['tokens']} tokens, one core",
        )
        for column, (axes, label) in enumerate(zip(every, labels, strict=True), 1):
            smallest, largest = min(point[column] for point in points), max(point[column] for point in points)
            axes.axhline(figures["first_stage"], color=SOFT, linestyle="--", linewidth=1)
            axes.annotate("BM25", (0.98, figures["first_stage"]), xycoords=("axes fraction", "data"), xytext=(0, 4),
                          textcoords="offset points", ha="right", fontsize=9, color=SOFT)  # fmt: skip
            for point in points:
                own = point[0] == "nano"
                axes.plot(point[column], point[3], "o", color=OURS if own else OTHERS[0], markersize=11 if own else 7)
                left = point[0] == "MiniLM-L-6"  # as good as its neighbour to the right
                axes.annotate(
                    point[0],
                    (point[column], point[3]),
                    xytext=(-8 if left else 8, 0),
                    textcoords="offset points",
                    ha="right" if left else "left",
                    va="center",
                    fontsize=9,
                    fontweight="bold" if own else "normal",
                )
            axes.set(xscale="log", xlabel=label)
            axes.set_xticks([tick for tick in TICKS if tick / smallest > 0.6 and tick / largest < 2.6])
            axes.set_xlim(smallest * 0.6, largest * 2.6)
            axes.xaxis.set_major_formatter("{x:,g}")
            axes.xaxis.set_minor_locator(NullLocator())
            axes.margins(y=0.15)
        every[0].set_title("nDCG@10 on TREC DL 2019: ours measured, blue as published")


def main() -> int:
    """Draw a picture of every result in the folder that there is one for; returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="make figures", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "figures")
    given = parser.parse_args()
    found = {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in sorted(given.folder.glob("*.json"))}
    drawn = []
    bench = found.get("bench", {})
    if "warm" in bench:
        growth(bench["warm"]["growth"], given.out / "growth.svg")
        drawn.append("growth.svg")
    if "cold" in bench:
        cold(bench["cold"], given.out / "cold.svg")
        drawn.append("cold.svg")
    if "eval" in found and "times" in found:
        quality(found["eval"], found["times"], given.out / "quality.svg")
        drawn.append("quality.svg")
    for data, result in found.get("two-stage", {}).items():
        two_stage(data, result["stages"], given.out / f"two-stage-{data}.svg")
        drawn.append(f"two-stage-{data}.svg")
    print("\n".join(f"{given.out}/{name}" for name in drawn) or f"{given.folder}: no result to draw yet")
    return 0 if drawn else 2


if __name__ == "__main__":
    sys.exit(main())
