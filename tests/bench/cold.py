"""Cold start: from the start of a process to its first answer, through AWS's own runtime client.

Ours is the built function over the built layers; FlashRank is a function of five lines over a plain pip install. Its
session gets one thread like everybody's: left alone, onnxruntime takes a thread for each of the machine's cores and
binds them there, out of the one processor that the process was given. The floor is a process that imports onnxruntime
and tokenizers from that install, and nothing else. Files are dropped from the page cache one by one, so that nobody
else on the machine pays for it; where the system refuses, that part is left out. Times are of the wall and of the
processor: the second do not suffer from neighbours.
"""

from __future__ import annotations

import json
import os
import subprocess
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

from tests.bench.worker import FLASHRANK_MODEL, pin

PREFIX = "/2018-06-01/runtime"

FLASHRANK_FUNCTION = f"""
from worker import one_thread

one_thread()
from flashrank import Ranker, RerankRequest

ranker = Ranker("{FLASHRANK_MODEL}", cache_dir=__CACHE__, log_level="ERROR")


def lambda_handler(event, context):
    passages = [{{"id": i, "text": text}} for i, text in enumerate(event["passages"])]
    ranked = ranker.rerank(RerankRequest(event["query"], passages))
    return [{{"index": p["id"], "score": float(p["score"])}} for p in ranked]
"""

FLOOR = "import onnxruntime, tokenizers"
PHASES = """
import os, sys, time
stamps = [("interpreter", time.process_time())]
def stamp(name):
    stamps.append((name, time.process_time()))
import handler
import awslambdaric.bootstrap; stamp("runtime client")
import numpy; stamp("numpy")
import onnxruntime; stamp("onnxruntime")
import aws_lambda_powertools.logging, aws_lambda_powertools.metrics; stamp("powertools")
import handler.model; stamp("engine modules")
from pathlib import Path
directory = Path(os.environ["RERANK_MODEL_DIR"])
manifest = handler.model.Manifest.read(directory); handler.model.Tokens(directory, lowercase=True); stamp("vocabulary")
handler.model._session(directory / "model.onnx"); stamp("session")
began = time.process_time()
import handler.app; stamp("rest of the handler, with a second session and vocabulary")
import json
event = json.loads(sys.argv[1])
class Context:
    aws_request_id = function_name = invoked_function_arn = memory_limit_in_mb = "1"
    @staticmethod
    def get_remaining_time_in_millis(): return 30000
handler.app.lambda_handler(event, Context()); stamp("first answer")
handler.app.lambda_handler(event, Context()); stamp("second answer")
print(json.dumps([[name, 1000 * (t - stamps[i - 1][1] if i else t)] for i, (name, t) in enumerate(stamps)]))
"""


def phases(start: Start, event: Mapping[str, Any], rounds: int) -> dict[str, float]:
    """Return the processor time of each step of our cold start in milliseconds, medians over processes."""
    every = []
    for _ in range(rounds):
        command = [start.command[0], "-c", PHASES, json.dumps(event)]
        done = subprocess.run(
            command, cwd=start.folder, env=dict(start.environment), capture_output=True, text=True, check=True
        )
        every.append(json.loads(done.stdout.strip().split("\n")[-1]))
    return {every[0][step][0]: median(one[step][1] for one in every) for step in range(len(every[0]))}


@dataclass(frozen=True, slots=True)
class Start:
    """How a contender is started, and the folders whose files it reads.

    ``folder`` is where it is started, the function's own as in Lambda: Python looks there first for what it imports.
    """

    command: list[str]
    folder: Path
    environment: Mapping[str, str]
    reads: tuple[Path, ...]
    client: bool = True  # it asks the Runtime API for events; otherwise it just ends


def first_answer(start: Start, event: Mapping[str, Any]) -> dict[str, float]:
    """Start a process and wait for its answer to one event (or its end): seconds by the wall and of processor time."""
    answered = threading.Event()
    server = _runtime_api(json.dumps(event).encode(), answered)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    environment = {**start.environment, "AWS_LAMBDA_RUNTIME_API": f"127.0.0.1:{server.server_port}"}
    began = perf_counter()
    process = subprocess.Popen(
        start.command, cwd=start.folder, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    pin(process.pid)
    if start.client:
        if not answered.wait(120):
            process.kill()
            raise TimeoutError("no answer")
        wall = perf_counter() - began
        cpu = _cpu_of(process.pid)
        process.kill()
        process.wait()
    else:
        _, _, usage = os.wait4(process.pid, 0)
        process.returncode = 0
        wall, cpu = perf_counter() - began, usage.ru_utime + usage.ru_stime
    server.shutdown()
    server.server_close()
    return {"wall": wall, "cpu": cpu}


def interleaved(
    starts: Mapping[str, Start],
    event: Mapping[str, Any],
    rounds: int,
    *,
    dropped: bool,
    progress: Callable[[str], None],
) -> dict[str, Any]:
    """Start everyone in turn; with ``dropped`` after its files were put out of the page cache. Medians in ms."""
    for name, start in starts.items():
        progress(f"cold: warming {name}")
        first_answer(start, event)
    every: dict[str, list[dict[str, float]]] = {name: [] for name in starts}
    for number in range(rounds):
        for name, start in starts.items():
            progress(f"cold, page cache {'dropped' if dropped else 'warm'}: round {number + 1} of {rounds}, {name}")
            if dropped:
                drop(start.reads)
            every[name].append(first_answer(start, event))
    return {
        name: {
            "ms": 1000 * median(one["wall"] for one in all_),
            "cpu_ms": 1000 * median(one["cpu"] for one in all_),
            "rounds": all_,
        }
        for name, all_ in every.items()
    }


def drop(folders: tuple[Path, ...]) -> None:
    """Put the files under ``folders`` out of the page cache."""
    for folder in folders:
        for path in folder.rglob("*"):
            if path.is_file():
                file = os.open(path, os.O_RDONLY)
                os.posix_fadvise(file, 0, 0, os.POSIX_FADV_DONTNEED)
                os.close(file)


def _cpu_of(pid: int) -> float:
    """Return the processor seconds of all threads of a process so far, where /proc counts them."""
    try:
        tasks = list(Path(f"/proc/{pid}/task").iterdir())
        return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks) / 1e9
    except OSError:
        return float("nan")


def _runtime_api(event: bytes, answered: threading.Event) -> ThreadingHTTPServer:
    """Serve Lambda's Runtime API with one event; later requests for more wait for ever."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_about: object) -> None:
            pass

        def do_GET(self) -> None:
            if answered.is_set():
                threading.Event().wait()
            self.send_response(200)
            for name, value in (
                ("Lambda-Runtime-Aws-Request-Id", "1"),
                ("Lambda-Runtime-Deadline-Ms", "9999999999999"),
                ("Lambda-Runtime-Invoked-Function-Arn", "arn:aws:lambda:eu-central-1:123456789012:function:rerank"),
                ("Content-Type", "application/json"),  # without it the client ends in a segmentation fault
                ("Content-Length", str(len(event))),
            ):
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(event)

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if not self.path.endswith("/response"):
                raise RuntimeError(body.decode())
            answered.set()
            self.send_response(202)
            self.send_header("Content-Length", "0")
            self.end_headers()

    return _Server(("127.0.0.1", 0), Handler)


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_about: object) -> None:
        """Say nothing: a client that is killed breaks its connection, and one that fails is missed by its answer."""
