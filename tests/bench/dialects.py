"""What a wire format costs beside the scoring: ``python -m tests.bench.dialects``.

A request of 100 passages goes through ``respond`` and ``to_json`` in each dialect with its ranking at hand, so that
what is timed is everything else: the JSON, routing, detection, key, validation, log line, metrics and rendering. It is
compared with ``Ranker.rank`` on the same passages, in processor time, in turns in one process.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections import defaultdict
from hashlib import sha256
from pathlib import Path
from statistics import median
from time import process_time
from unittest.mock import patch

KEY = "a key"
os.environ.setdefault("RERANK_MODEL_DIR", str(Path(__file__).resolve().parents[2] / "layer" / "nano"))
os.environ |= {"RERANK_AUTH_MODE": "Key", "RERANK_KEY_DIGESTS": sha256(KEY.encode()).hexdigest()}

from handler import asgi, observability, runtime  # noqa: E402 - the handler reads the environment when it is imported
from handler.contract import Ranking, RankRequest  # noqa: E402
from handler.dialects import native  # noqa: E402
from handler.exchange import Call, to_json  # noqa: E402
from tests.bench.features import QUERY, passages  # noqa: E402
from tests.contract.least import least  # noqa: E402

ROUNDS = 60
PASSAGES = 100


def main() -> None:
    """Time the rounds and print a table."""
    vocabulary = (runtime.SETTINGS.model_dir / "vocab.txt").read_text(encoding="utf-8").split()
    words = [word for word in vocabulary if word.isalpha()]
    texts = [passage["text"] for passage in passages(words, PASSAGES, 70)]
    request = native.parse({"query": QUERY, "passages": texts})
    ranking = runtime.rank(request)

    def at_hand(_request: RankRequest, _remaining: object = None) -> Ranking:
        return ranking

    calls = {
        name: Call("POST", f"/{name}/rerank", {"authorization": f"Bearer {KEY}"}, json.dumps(body).encode(), "request")
        for name, body in least(QUERY, texts).items()
    }
    spent: defaultdict[str, list[float]] = defaultdict(list)
    with (
        Path(os.devnull).open("w") as nowhere,
        contextlib.redirect_stdout(nowhere),
        patch.object(asgi, "rank", at_hand),
    ):
        observability.logger.handlers[0].setStream(nowhere)  # type: ignore[attr-defined]
        for _ in range(ROUNDS):
            began = process_time()
            runtime.rank(request)
            spent["scoring"].append(process_time() - began)
            for name, call in calls.items():
                began = process_time()
                to_json(asgi.respond(call).body)
                spent[name].append(process_time() - began)
    scoring = median(spent.pop("scoring"))
    print(f"scoring {PASSAGES} passages: {scoring * 1000:.2f} ms of processor time, the median of {ROUNDS}")
    for name, times in sorted(spent.items(), key=lambda item: median(item[1])):
        print(f"{name:16} {median(times) * 1000:6.2f} ms  {median(times) / scoring:6.1%}")


if __name__ == "__main__":
    main()
