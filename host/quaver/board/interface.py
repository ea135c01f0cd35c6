"""One interface for every board, emulated or real.

Whatever the kind, the console is an address that pyserial opens, so exec and files go over mpremote's own
transport and mpremote itself can take the same address.
"""

from __future__ import annotations

from types import TracebackType
from typing import Any, Protocol, Self


class Board(Protocol):
    """A board that runs. Every method raises `BoardError` with one line that says what, why and what to do."""

    where: str  # the string it was opened by
    board: str  # the name of its board file: "pico_w", "unix", …; "" for a real one until asked
    address: str  # what mpremote connects to: "socket://127.0.0.1:port" or "/dev/pts/3"
    host_address: str  # the host's loopback as the board sees it: "10.0.0.1" or "127.0.0.1"

    def exec(self, code: str, timeout: float = 30.0) -> str:
        """Run `code` in the raw REPL (interrupting what runs) and return what it printed.

        timeout is in seconds without a byte of output. Raises BoardError carrying the device's traceback.
        """
        ...

    def put(self, path: str, data: bytes) -> None: ...

    def get(self, path: str) -> bytes: ...

    def reset(self, run: bool = True) -> None:
        """Hard-reset; flash stays. With run, boot.py and main.py run; without, they are interrupted at once."""
        ...

    def console(self) -> bytes:
        """All that the board has printed since it was opened and that no exec consumed (last 64 KiB)."""
        ...

    def set_sensor(self, name: str, **changes: object) -> None:
        """Set attributes of a model of the rig while it runs (a fault, a temperature). Emulated boards only."""
        ...

    def sensor(self, name: str, attribute: str) -> Any:
        """An attribute of a model of the rig, as it is now. Emulated boards only."""
        ...

    def alive(self) -> str | None:
        """None while the board runs; else one line that says how it ended."""
        ...

    def stop(self) -> None: ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None: ...
