"""One contender in its own process: `python worker.py NAME FOLDER`, spoken to in JSON lines.

A task ``{"query", "passages"}`` is loaded once and answered again and again; an answer is the time that one reranking
took by the process's own clock of processor time, which a neighbour does not lengthen, and by the wall's. Everyone gets
one thread on one processor. This file runs in foreign environments: it needs the standard library and the contender.
"""

from __future__ import annotations

import json
import logging
import os
import resource
import sys
from pathlib import Path
from time import perf_counter, process_time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

os.environ.update(ORT_DISABLE_TELEMETRY="1", TOKENIZERS_PARALLELISM="false", OMP_NUM_THREADS="1", HF_HUB_OFFLINE="1")
FLASHRANK_MODEL = "ms-marco-TinyBERT-L-2-v2"


def ours(folder: Path) -> tuple[Callable[[str, list[str]], Any], Callable[[str, list[str]], dict[str, float]]]:
    """Return the service's own ranking of a parsed request, and its parts."""
    from handler.batching import micro_batches
    from handler.contract import Chunking
    from handler.dialects import native
    from handler.ranker import Ranker
    from handler.runtime import Clock

    ranker = Ranker.load(folder)
    model, encoder = ranker._model, ranker._encoder

    def rerank(query: str, passages: list[str]) -> Any:
        request = native.parse({"query": query, "passages": passages})
        return native.render(ranker.rank(request, Clock.start()), request)

    def parts(query: str, passages: list[str]) -> dict[str, float]:
        times = dict.fromkeys(("tokenise", "tokenise_from_empty", "score", "batch", "parse", "render"), 0.0)
        began = process_time()
        request = native.parse({"query": query, "passages": passages})
        times["parse"] = process_time() - began
        for name, tokenizer in (("tokenise_from_empty", model.encoder()), ("tokenise", encoder)):
            began = process_time()
            asked = tokenizer.encode_query(query)
            chunks = list(tokenizer.chunks(asked, enumerate(passages), Chunking()))
            times[name] = process_time() - began
        batches = micro_batches(asked, chunks)
        while True:
            began = process_time()
            batch = next(batches, None)
            ready = process_time()
            times["batch"] += ready - began
            if batch is None:
                break
            model.logits(batch)
            times["score"] += process_time() - ready
        ranking = ranker.rank(request, Clock.start())
        began = process_time()
        native.render(ranking, request)
        times["render"] = process_time() - began
        times["tokens"] = float(sum(chunk.length for chunk in chunks))
        times["squares"] = float(sum(chunk.length**2 for chunk in chunks))
        return times

    return rerank, parts


def flashrank(folder: Path) -> Callable[[str, list[str]], Any]:
    """Return FlashRank's reranking; ``folder`` is its cache, with the model under FlashRank's own name for it."""
    one_thread()
    from flashrank import Ranker, RerankRequest

    ranker = Ranker(FLASHRANK_MODEL, cache_dir=str(folder), log_level="ERROR")
    return lambda query, passages: ranker.rerank(
        RerankRequest(query, [{"id": i, "text": text} for i, text in enumerate(passages)])
    )


def fastembed(folder: Path) -> Callable[[str, list[str]], Any]:
    """Return fastembed's cross-encoder over the same graph as FlashRank's."""
    from fastembed.common.model_description import ModelSource
    from fastembed.rerank.cross_encoder import TextCrossEncoder

    model = folder / FLASHRANK_MODEL
    file = next(model.glob("*.onnx")).name
    TextCrossEncoder.add_custom_model(model="bench/tiny", model_file=file, sources=ModelSource(hf="bench/tiny"))
    encoder = TextCrossEncoder("bench/tiny", specific_model_path=str(model), threads=1)
    return lambda query, passages: list(encoder.rerank(query, passages))


def sentence_transformers(folder: Path) -> Callable[[str, list[str]], Any]:
    """Return sentence-transformers' cross-encoder on its ONNX backend, over the same graph as FlashRank's."""
    one_thread()
    import torch
    from sentence_transformers import CrossEncoder

    torch.set_num_threads(1)
    model = folder / FLASHRANK_MODEL
    file = next(model.glob("*.onnx")).name
    encoder = CrossEncoder(str(model), backend="onnx", model_kwargs={"file_name": file}, device="cpu")
    return lambda query, passages: encoder.rank(query, passages, show_progress_bar=False)


def one_thread() -> None:
    """Make every session of onnxruntime that is opened from now on use one thread."""
    import onnxruntime

    plain = onnxruntime.InferenceSession

    class OneThread(plain):  # type: ignore[misc, valid-type]
        def __init__(self, path: Any, sess_options: Any = None, *arguments: Any, **more: Any) -> None:
            options = sess_options or onnxruntime.SessionOptions()
            options.intra_op_num_threads = options.inter_op_num_threads = 1
            more.setdefault("providers", ["CPUExecutionProvider"])
            super().__init__(path, options, *arguments, **more)

    onnxruntime.InferenceSession = OneThread


CONTENDERS = {f.__name__: f for f in (flashrank, fastembed, sentence_transformers)}


def pin(process: int = 0) -> None:
    """Keep a process, or this one, on one processor, where the system lets us: Lambda's 1,769 MB are one vCPU."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(process, {min(os.sched_getaffinity(process))})


def peak_rss_mb() -> float:
    """Return the most memory that this process held; what it was forked from does not count where Linux tells."""
    try:
        lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) * 1024 / 1e6
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1e6 if sys.platform == "darwin" else 1e3)


def main() -> None:
    """Answer lines until there are no more."""
    pin()
    logging.disable(logging.CRITICAL)
    name, folder = sys.argv[1], Path(sys.argv[2])
    answers, sys.stdout = sys.stdout, sys.stderr  # libraries print
    parts = None
    began = perf_counter(), process_time()
    if name.startswith("ours"):
        rerank, parts = ours(folder)
    else:
        rerank = CONTENDERS[name](folder)
    task: dict[str, Any] = {}
    said: dict[str, Any] = {"load": perf_counter() - began[0], "load_cpu": process_time() - began[1]}
    while True:
        said["peak_rss_mb"] = peak_rss_mb()
        print(json.dumps(said), file=answers, flush=True)
        line = sys.stdin.readline()
        if not line:
            return
        order = json.loads(line)
        if "query" in order:
            task, said = order, {}
            continue
        wall, cpu = perf_counter(), process_time()
        if order.get("parts") and parts:
            said = {"parts": parts(task["query"], task["passages"])}
        else:
            rerank(task["query"], task["passages"])
            said = {"cpu": process_time() - cpu, "wall": perf_counter() - wall}


if __name__ == "__main__":
    main()
