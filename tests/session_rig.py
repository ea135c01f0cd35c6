"""A node at the other end of a terminal, for tests that enrol it: the device's own code on the real MicroPython."""

import json
import os
import pty
import subprocess
import sys
import tty
from pathlib import Path
from typing import Any

CODE = "7K2MXQ4TB0WNZ9RE"
ID = bytes.fromhex("e661640843217a2b")
PROGRAM = Path(__file__).with_name("session_node.py")
_ROOT = Path(__file__).resolve().parents[1]
_PATHS = ":".join([str(_ROOT / "firmware"), str(_ROOT / "protocols"), ".frozen"])


class Node:
    """The program session_node.py on the real MicroPython, at the other end of a pseudo-terminal."""

    def __init__(self, root: Path, identity: bytes = ID, code: str = CODE) -> None:
        self.root = root
        self.identity = identity
        self.code = code
        (root / "session.code").write_text(code)
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, **settings: Any) -> str:
        """Power on; returns the path of the terminal."""
        self.cut()
        master, self._slave = pty.openpty()
        tty.setraw(self._slave)
        given = json.dumps({"root": str(self.root), "id": self.identity.hex(), **settings})
        self._process = subprocess.Popen(
            [Path(sys.executable).with_name("micropython"), "-X", "heapsize=200k", str(PROGRAM), given],
            stdin=master,
            stdout=master,
            env={**os.environ, "MICROPYPATH": _PATHS},
        )
        os.close(master)
        return os.ttyname(self._slave)

    def cut(self) -> None:
        """Power off."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            os.close(self._slave)
            self._process = None

    def wait(self) -> None:
        """Until the program ends, or the power is cut."""
        if self._process is not None:
            self._process.wait()

    def ended(self) -> int:
        assert self._process is not None
        return self._process.wait(timeout=10)

    def state(self) -> str:
        return "enrolled" if (self.root / "device.key").exists() else "blank"
