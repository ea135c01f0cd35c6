"""Portable tests run device code: on the real MicroPython where it must be, on CPython where it can be."""

import importlib.util
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
DEVICE_PATHS = (ROOT / "firmware", ROOT / "protocols")
UNIX_SHIM = ROOT / "host" / "quaver" / "emulator" / "unix_shim"
VIRTUAL_TIME = Path(__file__).parent / "virtual_time"
STAND_INS = Path(__file__).parent / "stand_ins"
PROGRAMS = Path(__file__).parent / "programs"  # where programs import what they share
# Without all that CPython and the console script of MicroPython's package would import: that is half of a start.
MICROPYTHON = str(Path(importlib.util.find_spec("micropython_run").origin).parent)  # type: ignore[union-attr, arg-type]
CHILD = "import sys; sys.path.append(sys.argv[1]); import micropython_run as m; sys.exit(m.run_main(sys.argv[1:]))"

# CPython has no micropython module; the stand-in gives const() and decorators that do nothing.
sys.path[:0] = [str(STAND_INS), *map(str, DEVICE_PATHS)]


@pytest.fixture(scope="session")
def micropython() -> Callable[..., Any]:
    """Run code on the real MicroPython (unix port) with the firmware on its path; returns its last line as JSON.

    With virtual_time nothing waits: sleeping moves the clock.
    """

    def run(
        code: str, *, argument: Any = None, heap: str = "2m", timeout: float = 60.0, virtual_time: bool = False
    ) -> Any:
        paths = [*map(str, (*DEVICE_PATHS, PROGRAMS)), ".frozen"]
        if virtual_time:
            paths[:0] = [str(VIRTUAL_TIME), str(UNIX_SHIM)]
            code = f"import quaver_tasks\nsys.modules['_asyncio'] = quaver_tasks\n{code}"
        program = f"import json, sys\nsys.path.pop(0)\nargument = json.loads(sys.stdin.read())\n{code}"
        result = subprocess.run(
            [sys.executable, "-I", "-S", "-c", CHILD, MICROPYTHON, "-X", f"heapsize={heap}", "-c", program],
            input=json.dumps(argument),
            capture_output=True,
            text=True,
            timeout=timeout,
            env={**os.environ, "MICROPYPATH": ":".join(paths)},
        )
        assert result.returncode == 0, result.stdout + result.stderr
        return json.loads(result.stdout.splitlines()[-1])

    return run
