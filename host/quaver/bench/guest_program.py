"""Runs a program of `guest/` on the MicroPython unix port, beside the firmware's own sources."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from quaver.errors import BoardError
from quaver.payload import module_path

_GUEST = Path(__file__).with_name("guest")
_CODE = "import json, sys; __import__(sys.argv[-1]).main(json.load(sys.stdin))"
# The VM is a CPython extension, as in quaver.emulator.unix_guest.
_CHILD = "import sys; from micropython_run import run_main; sys.exit(run_main(['micropython'] + sys.argv[1:]))"


def run_guest(program: str, argument: dict[str, Any], *, heap: str = "64m", limit_s: float = 600.0) -> Any:
    """Call `main(argument)` of guest/`program`.py; returns the last line that it printed, decoded from JSON.

    limit_s: real time that it may take. Raises BoardError when it fails or takes longer.
    """
    command = [sys.executable, "-c", _CHILD, "-X", f"heapsize={heap}", "-c", _CODE]
    try:
        done = subprocess.run(
            [*command, program],
            input=json.dumps(argument),  # an argument of MicroPython's is at most 255 bytes long
            capture_output=True,
            text=True,
            timeout=limit_s,
            check=False,
            env={**os.environ, "MICROPYPATH": module_path(_GUEST)},
        )
    except subprocess.TimeoutExpired:
        raise BoardError(f"{program} on MicroPython took longer than {limit_s:.0f} s: ask for less of it") from None
    if done.returncode:
        last = (done.stderr or done.stdout).strip().rpartition("\n")[2]
        raise BoardError(f"{program} on MicroPython failed ({last}): see that the firmware and this package agree")
    return json.loads(done.stdout.splitlines()[-1])
