"""Runs a program of `guest/` on the MicroPython unix port, beside the firmware's own sources."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from quaver.board.local import ProgramError, run
from quaver.errors import BoardError

_GUEST = Path(__file__).with_name("guest")
_CODE = "import json, sys; __import__(sys.argv[-1]).main(json.loads(sys.stdin.read()))"


def run_guest(program: str, argument: dict[str, Any], *, heap: str = "64m", limit_s: float = 600.0) -> Any:
    """Call `main(argument)` of guest/`program`.py; returns the last line that it printed, decoded from JSON.

    limit_s: real time that it may take. Raises BoardError when it fails or takes longer.
    """
    given = json.dumps(argument)  # an argument of MicroPython's is at most 255 bytes long
    try:
        return run(_CODE, given, program, heap=heap, folder=_GUEST, limit_s=limit_s)
    except ProgramError as error:
        raise BoardError(
            f"{program} on MicroPython {error}: see that the firmware and this package agree, or ask for less of it"
        ) from error
