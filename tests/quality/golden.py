"""Golden scores: what the shipped model gives for a few pairs of ours. ``python -m tests.quality.golden`` writes them.

They change only with the model; ``test_golden.py`` finds a change of engine, tokenizer or runtime that moves them.
"""

from __future__ import annotations

import json
from pathlib import Path

from handler.contract import Passage, RankRequest
from handler.ranker import Ranker
from handler.runtime import Clock

PATH = Path(__file__).with_name("golden.json")
MODEL = Path("layer/nano")
CASES: dict[str, list[str]] = {
    "how does a vaccine work": [
        "A vaccine shows the immune system a harmless piece of a virus, so that antibodies are there in time.",
        "The library opens at nine and closes at six on weekdays.",
        "Antibodies are proteins that bind to bacteria and viruses.",
    ],
    "AWS Lambda cold start": [
        "A cold start happens when Lambda has to create a new execution environment before it can run the function.",
        "Start the car on a cold morning by turning the key halfway first.",
        "",
    ],
    "hydroxychloroquine lupus": [
        "Hydroxychloroquine lowers the number of flares in patients with systemic lupus erythematosus.",
        "Lupus is Latin for wolf.",
        "Café owners in São Paulo roast their own beans. ☕",
    ],
}


def scores() -> dict[str, list[float]]:
    """Return the logits of every case, in the order of its passages."""
    ranker = Ranker.load(MODEL)
    found = {}
    for query, texts in CASES.items():
        request = RankRequest(query, tuple(Passage(text) for text in texts), raw_scores=True)
        results = sorted(ranker.rank(request, Clock.start()).results, key=lambda result: result.index)
        found[query] = [round(result.score, 4) for result in results]
    return found


if __name__ == "__main__":
    revision = json.loads((MODEL / "manifest.json").read_text())["revision"]
    PATH.write_text(json.dumps({"revision": revision, "logits": scores()}, indent=2) + "\n")
    print(PATH.read_text())
