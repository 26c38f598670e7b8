"""The built artefacts as Lambda would lay them out: layers merged at /opt, the function at /var/task, all read-only.

Where the machine grants mount namespaces (Linux, root or unprivileged user namespaces) the places are those very ones,
and /sys/devices/system/cpu is as empty as in Lambda's own sandbox. Elsewhere the same files are used where they lie,
with their write permission taken away, and ``PYTHONPATH`` and ``RERANK_MODEL_DIR`` lead to them.
"""

from __future__ import annotations

import functools
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BUILT = ROOT / ".build" / "local"
RUNTIME_PYTHON = ROOT / ".venvs" / "lambda" / "bin" / "python"  # what Lambda's runtime ships, and nothing else

# /var is covered, because /var/task need not exist and a test must not make directories at the root of a machine.
_ENTER = """
mount --bind "$0" /opt && mount -o remount,bind,ro /opt &&
mount -t tmpfs none /var && mkdir /var/task && mount --bind "$1" /var/task && mount -o remount,bind,ro /var/task &&
mount -t tmpfs -o ro none /sys/devices/system/cpu
cd /var/task && shift && exec "$@"
"""


@dataclass(frozen=True, slots=True)
class Sandbox:
    """Where the layers and the function lie on this machine, and whether they can be put into Lambda's places."""

    opt: Path
    task: Path
    faithful: bool

    @classmethod
    def of(cls, built: Path = BUILT, **replaced: Path) -> Sandbox:
        """Merge the layers in ``built`` as Lambda does; ``replaced`` names other folders for single artefacts."""
        folders = {name: replaced.get(name, built / name) for name in ("dependencies", "model", "function")}
        opt = built / "opt"
        if replaced:
            opt = next(iter(replaced.values())).parent / "opt"
        shutil.rmtree(opt, ignore_errors=True)
        for layer in ("dependencies", "model"):
            shutil.copytree(folders[layer], opt, copy_function=os.link, dirs_exist_ok=True)
        return cls(opt, folders["function"], _can_mount())

    @property
    def seen_opt(self) -> Path:
        """Where a process inside sees the layers."""
        return Path("/opt") if self.faithful else self.opt

    def command(self, *command: str) -> list[str]:
        """The command line that runs ``command`` inside, in the function's folder."""
        if not self.faithful:
            return ["/bin/sh", "-c", 'cd "$0" && exec "$@"', str(self.task), *command]
        return [*_unshare(), "/bin/sh", "-c", _ENTER, str(self.opt), str(self.task), *command]

    def environment(self, **more: str) -> dict[str, str]:
        """The environment that Lambda gives a function, and the function's own variables ``more``."""
        minor = f"{sys.version_info.major}.{sys.version_info.minor}"
        task = "/var/task" if self.faithful else str(self.task)
        return {
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_SESSION_TOKEN": "test",
            "AWS_REGION": "eu-central-1",
            "AWS_DEFAULT_REGION": "eu-central-1",
            "AWS_EXECUTION_ENV": f"AWS_Lambda_python{minor}",
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "1769",
            "AWS_LAMBDA_FUNCTION_NAME": "rerank",
            "AWS_LAMBDA_FUNCTION_TIMEOUT": "30",
            "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
            "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
            "AWS_LAMBDA_LOG_FORMAT": "JSON",
            "AWS_LAMBDA_LOG_GROUP_NAME": "/aws/lambda/rerank",
            "AWS_LAMBDA_LOG_LEVEL": "INFO",
            "AWS_LAMBDA_LOG_STREAM_NAME": "local",
            "LAMBDA_TASK_ROOT": task,
            "LANG": "en_US.UTF-8",
            "PATH": "/usr/local/bin:/usr/bin:/bin",
            # In the order of Lambda: the function, then the layers, then what the runtime brings along.
            "PYTHONPATH": f"{task}:{self.seen_opt / 'python'}",
            "PYTHONDONTWRITEBYTECODE": "1",  # as read-only as it is, Python would not try twice; here it must not try
            "RERANK_MODEL_DIR": str(self.seen_opt / "model"),
            "TZ": ":UTC",
            **more,
        }

    def python(self, code: str, *arguments: str, **environment: str) -> str:
        """What a program prints that runs inside with the runtime's own interpreter and packages."""
        command = self.command(str(RUNTIME_PYTHON), "-c", code, *arguments)
        variables = self.environment(**environment)
        done = subprocess.run(command, env=variables, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout


def _unshare() -> list[str]:
    user = [] if os.geteuid() == 0 else ["--user", "--map-root-user"]
    return ["unshare", "--mount", *user, "--"]


@functools.cache
def _can_mount() -> bool:
    """Whether the mounts work here. They must not hide the project or the interpreter itself."""
    needed = [Path(sys.executable).resolve(), RUNTIME_PYTHON.resolve(), ROOT]
    if sys.platform != "linux" or any(path.is_relative_to(place) for path in needed for place in ("/opt", "/var")):
        return False
    if shutil.which("unshare") is None:
        return False
    probe = [*_unshare(), "/bin/sh", "-c", _ENTER, str(ROOT / "handler"), str(ROOT / "handler"), "true"]
    return subprocess.run(probe, capture_output=True, check=False).returncode == 0
