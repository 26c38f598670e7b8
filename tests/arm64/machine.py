"""An arm64 Lambda sandbox on any Linux machine with apt: Debian's own Python 3.13 for arm64, run by qemu-user.

Packages are fetched through the machine's own Debian mirror into a private folder; nothing is installed. The root file
system has no /sys/devices/system/cpu, and the /proc/cpuinfo of a Graviton2 function, as on Lambda: what is missing
there made older versions of onnxruntime abort at import.
"""

from __future__ import annotations

import json
import os
import platform
import shutil
import subprocess
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
BUILT = ROOT / ".build" / "arm64"
WORK = ROOT / ".build" / "arm64-machine"
SUITE = "trixie"  # the Debian release with Python 3.13
KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")

# One of a Graviton2 function's two processors, as printed in microsoft/onnxruntime#10038.
CPUINFO = """processor\t: 0
BogoMIPS\t: 243.75
Features\t: fp asimd evtstrm aes pmull sha1 sha2 crc32 atomics fphp asimdhp cpuid asimdrdm lrcpc dcpop asimddp ssbs
CPU implementer\t: 0x41
CPU architecture: 8
CPU variant\t: 0x3
CPU part\t: 0xd0c
CPU revision\t: 1

"""

_ENTER = """
mount --bind "$1" "$0/opt" && mount --bind "$2" "$0/var/task" && mount --rbind /proc "$0/proc" &&
mount --bind "$3" "$0/proc/cpuinfo" && shift 3 && exec chroot "$0" "$@"
"""


class NotHereError(Exception):
    """This machine cannot run arm64 programs, or cannot get them; the message says what it lacks."""


def prepare() -> Path:
    """Return the root file system, made at the first call. Raises ``NotHereError``."""
    for tool in ("apt-get", "dpkg-deb", "unshare", "chroot"):
        if shutil.which(tool) is None:
            raise NotHereError(f"there is no {tool} on this machine")
    root = WORK / "root"
    if not (WORK / "ready").exists():
        shutil.rmtree(WORK, ignore_errors=True)
        _unpack(root, "arm64", SUITE, "python3.13-minimal", "python3.13", "libstdc++6")
        for folder in ("opt", "var/task", "proc", "tmp", "dev"):
            (root / folder).mkdir(parents=True, exist_ok=True)
        (WORK / "cpuinfo").write_text(CPUINFO)
        shutil.copy2(_qemu(), root / "qemu")
        (WORK / "ready").touch()
    return root


def _qemu() -> Path:
    """A statically linked emulator: the machine's own, else Debian's for this architecture."""
    if platform.machine() == "aarch64":
        return Path("/bin/true")  # nothing to emulate
    if found := shutil.which("qemu-aarch64-static"):
        return Path(found)
    names = {"x86_64": "amd64"}
    if platform.machine() not in names:
        raise NotHereError(f"no emulator is known for {platform.machine()}")
    _unpack(WORK / "emulator", names[platform.machine()], "bookworm", "qemu-user-static")
    return WORK / "emulator" / "usr" / "bin" / "qemu-aarch64-static"


def _unpack(into: Path, architecture: str, suite: str, *packages: str) -> None:
    """Fetch packages with all that they depend on, by apt with a configuration of its own, and unpack them."""
    if not KEYRING.exists():
        raise NotHereError("Debian's archive keys are not on this machine")
    apt = WORK / f"apt-{architecture}"
    for folder in ("lists/partial", "cache/archives/partial"):
        (apt / folder).mkdir(parents=True, exist_ok=True)
    (apt / "status").touch()
    (apt / "sources.list").write_text(f"deb [arch={architecture} signed-by={KEYRING}] {_mirror()} {suite} main\n")
    (apt / "apt.conf").write_text(
        f'Dir::Etc::SourceList "{apt / "sources.list"}";\nDir::Etc::SourceParts "/dev/null";\n'
        f'Dir::State::Lists "{apt / "lists"}";\nDir::State::status "{apt / "status"}";\nDir::Cache "{apt / "cache"}";\n'
        f'APT::Architecture "{architecture}";\nAPT::Architectures "{architecture}";\nAPT::Sandbox::User "";\n'
        'APT::Install-Recommends "false";\nAcquire::Languages "none";\nDebug::NoLocking "true";\n'
    )
    environment = os.environ | {"APT_CONFIG": str(apt / "apt.conf")}
    for command in (["update", "-qq"], ["install", "-qq", "--yes", "--download-only", *packages]):
        done = subprocess.run(["apt-get", *command], env=environment, capture_output=True, text=True, check=False)
        if done.returncode:
            raise NotHereError(f"apt-get {command[0]} for {architecture} failed: {done.stderr.strip()[-200:]}")
    into.mkdir(parents=True, exist_ok=True)
    for package in sorted((apt / "cache" / "archives").glob("*.deb")):
        _extract(package, into)


def _extract(package: Path, into: Path) -> None:
    """Unpack one package, through the /lib and /bin links of a merged /usr."""
    for name in ("bin", "lib", "sbin", "lib64"):
        link = into / name
        if not link.is_symlink():
            (into / "usr" / name).mkdir(parents=True, exist_ok=True)
            link.symlink_to(f"usr/{name}")
    tar = subprocess.run(["dpkg-deb", "--fsys-tarfile", str(package)], capture_output=True, check=True).stdout
    subprocess.run(["tar", "-x", "--keep-directory-symlink", "-C", str(into)], input=tar, check=True)


def _mirror() -> str:
    """The Debian mirror that this machine is set up for."""
    command = ["apt-get", "indextargets", "--format", "$(REPO_URI)", "Origin: Debian", "Created-By: Packages"]
    found = subprocess.run(command, capture_output=True, text=True, check=False).stdout.split()
    mirrors = [line for line in found if line.rstrip("/").endswith("/debian")]
    if not mirrors:
        raise NotHereError("this machine has no Debian mirror configured (apt-get update may be due)")
    return mirrors[0]


def run(program: str, *arguments: str, cpu: str = "max") -> Any:
    """Run a Python program inside and return the JSON that it prints last; a failure shows its stderr."""
    root, opt = prepare(), BUILT / "opt"
    python = ["/usr/bin/python3.13", "-c", program, *arguments]
    command = python if platform.machine() == "aarch64" else ["/qemu", *python]
    user = [] if os.geteuid() == 0 else ["--user", "--map-root-user"]
    places = [str(root), str(opt), str(BUILT / "function"), str(WORK / "cpuinfo")]
    done = subprocess.run(
        ["unshare", "--mount", *user, "--", "/bin/sh", "-c", _ENTER, *places, *command],
        env={
            "PATH": "/usr/bin:/usr/sbin",
            "LANG": "C.UTF-8",
            "PYTHONPATH": "/var/task:/opt/python",
            "PYTHONDONTWRITEBYTECODE": "1",
            "QEMU_CPU": cpu,
            "AWS_EXECUTION_ENV": "AWS_Lambda_python3.13",
            "RERANK_MODEL_DIR": "/opt/model",
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"exit status {done.returncode}: {done.stderr[-2000:]}"
    return json.loads(done.stdout.strip().splitlines()[-1])
