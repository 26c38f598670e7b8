"""README.md as data: its code blocks, the commands in them, and which block is the output of which.

A block is fenced with its language, or indented by four spaces, which stands for ``sh``. A ``text`` or ``json`` block
right after an ``sh`` block is what its last command prints; a line of ``…`` in it stands for any lines.
"""

from __future__ import annotations

import json
import re
import shlex
from dataclasses import dataclass
from math import isclose
from pathlib import Path
from typing import Any

README = Path(__file__).resolve().parents[2] / "README.md"
VARYING = {"id", "created", "revision", "timings_ms"}  # of a JSON answer


@dataclass(frozen=True, slots=True)
class Block:
    """A code block: its language, its text, the line it begins on, and whether only blank lines came before it since
    the last block.
    """

    language: str
    text: str
    line: int
    follows: bool


@dataclass(frozen=True, slots=True)
class Command:
    """A shell command with the output that the README shows for it, where it does."""

    text: str
    line: int
    output: Block | None = None


def blocks(markdown: str) -> list[Block]:
    """Return the code blocks in their order."""
    found: list[Block] = []
    lines, number, prose = markdown.splitlines(), 0, True
    while number < len(lines):
        line, first = lines[number], number + 1
        fence = re.fullmatch(r"```(\w*)", line)
        indented = line.startswith("    ") and (not number or not lines[number - 1].strip())
        body: list[str] = []
        if fence:
            number += 1
            while number < len(lines) and lines[number] != "```":
                body.append(lines[number])
                number += 1
            number += 1
        elif indented:
            while number < len(lines) and (lines[number].startswith("    ") or not lines[number].strip()):
                body.append(lines[number][4:])
                number += 1
        else:
            prose = prose or bool(line.strip())
            number += 1
            continue
        found.append(Block(fence[1] if fence else "sh", "\n".join(body).strip() + "\n", first, follows=not prose))
        prose = False
    return found


def commands(markdown: str) -> list[Command]:
    """Return the commands of all ``sh`` blocks, each whole, however many lines it takes."""
    found: list[Command] = []
    every = blocks(markdown)
    for block, after in zip(every, [*every[1:], None], strict=True):
        if block.language != "sh":
            continue
        output = after if after is not None and after.follows and after.language in {"text", "json"} else None
        split = _statements(block)
        found += [Command(text, line, output if i == len(split) - 1 else None) for i, (text, line) in enumerate(split)]
    return found


def _statements(block: Block) -> list[tuple[str, int]]:
    found: list[tuple[str, int]] = []
    held: list[str] = []
    for number, line in enumerate(block.text.splitlines(), block.line):
        held.append(line)
        text = "\n".join(held)
        try:
            words = shlex.split(text, comments=True)
        except ValueError:  # a quotation goes on
            continue
        if not text.endswith("\\"):
            found += [(text, number)] if words else []
            held = []
    if held:
        raise ValueError(f"README.md, block of line {block.line}: a command does not end")
    return found


def same_json(shown: Any, real: Any, at: str = "") -> list[str]:
    """Return where ``real`` differs from ``shown``: names and whole numbers must agree, floats to a hundredth, and
    what varies from run to run must only be there.
    """
    if isinstance(shown, dict) and isinstance(real, dict):
        missing = [f"{at}.{name}: only on one side" for name in shown.keys() ^ real.keys()]
        shared = [name for name in shown if name in real and name not in VARYING]
        return missing + [fault for name in shared for fault in same_json(shown[name], real[name], f"{at}.{name}")]
    if isinstance(shown, list) and isinstance(real, list):
        if len(shown) != len(real):
            return [f"{at}: {len(shown)} items shown, {len(real)} real"]
        return [f for i, (a, b) in enumerate(zip(shown, real, strict=True)) for f in same_json(a, b, f"{at}[{i}]")]
    if isinstance(shown, float) and isinstance(real, float):
        return [] if isclose(shown, real, abs_tol=0.01) else [f"{at}: {shown} shown, {real} real"]
    return [] if shown == real else [f"{at}: {shown!r} shown, {real!r} real"]


def same_text(shown: str, real: str) -> list[str]:
    """Return the lines of ``shown`` that ``real`` does not have in this order. Words must agree; numbers to 2 %, save
    in lines that speak of ms, MB or s, where they depend on the machine.
    """
    faults, left, free = [], real.splitlines(), True
    for line in shown.splitlines():
        if line.strip() == "…":
            free = True
            continue
        candidates = left if free else left[:1]
        place = next((i for i, other in enumerate(candidates) if _same_line(line, other)), None)
        if place is None:
            faults.append(line)
        else:
            left, free = left[place + 1 :], False
    return faults


def same(output: Block, real: str) -> list[str]:
    """Return how the real output differs from the block."""
    if output.language == "json":
        return same_json(json.loads(output.text), json.loads(real))
    return same_text(output.text, real)


_NUMBER = re.compile(r"\d[\d,]*(?:\.\d+)?")


def _same_line(shown: str, real: str) -> bool:
    if _NUMBER.sub("#", " ".join(shown.split())) != _NUMBER.sub("#", " ".join(real.split())):
        return False
    if re.search(r"\b(ms|MB|s)\b", shown):
        return True
    numbers = [[float(n.replace(",", "")) for n in _NUMBER.findall(line)] for line in (shown, real)]
    return all(isclose(a, b, rel_tol=0.02, abs_tol=0.01) for a, b in zip(*numbers, strict=True))
