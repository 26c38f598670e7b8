"""The figures as pictures: SVG from the JSON that `make bench`, `make eval` and `make two-stage` write.

Drawn the same from the same numbers, byte for byte: no date, no random ids; text stays text, so that it can be read,
searched and scaled. The paper behind them is light, so they read the same on a light page and on a dark one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import matplotlib as mpl

mpl.use("svg")

import matplotlib.pyplot as plt
from matplotlib.axes import Axes

PAPER, INK, SOFT, LINE, OURS = "#fffefb", "#1d1b17", "#6f695d", "#dcd7cb", "#d9661f"
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
