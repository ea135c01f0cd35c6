"""Runs the device's code on this machine: programs on MicroPython's unix port, with firmware and wire package."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from quaver.files.carried import payload

# The VM is a CPython extension, as in quaver.emulator.unix_guest; no console script of its package is looked for.
_CHILD = "import sys; from micropython_run import run_main; sys.exit(run_main(['micropython'] + sys.argv[1:]))"


class ProgramError(Exception):
    """A program that did not end as it should: says what became of it as the rest of a sentence, "failed (…)"."""


def start(
    code: str, *arguments: str, heap: str = "2m", folder: Path | None = None, firmware: Path | None = None
) -> subprocess.Popen[str]:
    """Start a program; what it prints and its traceback come by stdout.

    arguments: its sys.argv, at most 255 bytes each, and anybody's to read. heap: as `-X heapsize` takes it.
    folder: modules that are found before the firmware's. firmware: the modules of another one, in place of this one's.
    """
    # Not from the folder that a person happens to stand in: there may be a `build` or a `json.py` of theirs.
    code = f"import sys; sys.path.pop(0)\n{code}"
    code_of_device = [firmware] if firmware else [payload("firmware"), payload("protocols")]
    places = [*([folder] if folder else []), *code_of_device, ".frozen"]
    return subprocess.Popen(
        [sys.executable, "-c", _CHILD, "-X", f"heapsize={heap}", "-c", code, *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        errors="surrogateescape",
        env={**os.environ, "MICROPYPATH": os.pathsep.join(map(str, places))},
    )


def run(
    code: str, given: str, *arguments: str, heap: str = "2m", folder: Path | None = None, limit_s: float = 30.0
) -> Any:
    """Run a program to its end with `given` on its stdin; the last line that it printed, decoded from JSON.

    limit_s: real time that it may take. Raises ProgramError.
    """
    with start(code, *arguments, heap=heap, folder=folder) as process:
        try:
            said, _ = process.communicate(given, limit_s)
        except subprocess.TimeoutExpired:
            raise ProgramError(f"took longer than {limit_s:.0f} s") from None
        finally:
            process.kill()
    line = last_line(said)
    try:
        if process.returncode == 0:
            return json.loads(line)
    except ValueError:
        pass
    raise ProgramError(f"failed ({line})")


def last_line(said: str) -> str:
    """Of a program's output the line that tells how it ended."""
    return (said.strip().splitlines() or ["it ended without a message"])[-1]
