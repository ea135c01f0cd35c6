"""One interface for every board, emulated or real; a string says where it is.

`unix:`, `rp2040:` and `esp32_c3:` start an emulated board, `serial:/dev/ttyACM0` and `socket://host:port` reach one
that runs. Whatever the kind, the console is an address that pyserial opens, so exec and files go over mpremote's own
transport and mpremote itself can take the same address.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Protocol, Self

from quaver.emulator.bus import Attached
from quaver.emulator.identity import Identity
from quaver.errors import BoardError

if TYPE_CHECKING:
    from quaver.emulator.radio import Air


@dataclass
class Setup:
    """What an emulated board is started with.

    files: its flash file system, path -> bytes ("main.py", "dsp/fft.mpy"); empty is a blank file system.
    image: rp2040 alone: the UF2 that its flash holds, as `quaver build` makes it, in place of official image and files.
    rig: the sensors on its buses.
    broker_port: the TCP port on the host's loopback that the board reaches as (`Board.host_address`, 1883).
    real_time: pace virtual time to the wall clock; otherwise as fast as it can.
    name: of the board: its station in the air, and what its identity is derived from. By default counted up.
    identity: its unique id and addresses, where the derived ones won't do.
    air: the radio it has; without one its Bluetooth reaches nobody. The board lives in the air's time then.
    """

    files: Mapping[str, bytes] = field(default_factory=dict)
    rig: tuple[Attached, ...] = ()
    image: Path | None = None
    broker_port: int | None = None
    real_time: bool = False
    name: str = ""
    identity: Identity | None = None
    air: Air | None = None


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

    def alive(self) -> str | None:
        """None while the board runs; else one line that says how it ended."""
        ...

    def stop(self) -> None: ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None: ...


def open_board(where: str, setup: Setup | None = None) -> Board:
    """Start or reach the board that `where` names.

    unix:                     the MicroPython unix port with boards/unix.toml
    rp2040:                   the official Pico W image in the emulator, boards/pico_w.toml
    esp32_c3:                 the official ESP32-C3 image in the emulator, boards/esp32_c3.toml
    serial:/dev/ttyACM0       a board on a serial port (or a pty); setup must be None
    socket://127.0.0.1:4321   a console behind TCP; setup must be None

    Raises BoardError.
    """
    kind = where.partition(":")[0]
    if where == "unix:":
        from quaver.emulator.unix import UnixBoard

        return UnixBoard(setup or Setup())
    if where == "rp2040:":
        from quaver.emulator.rp2040 import Rp2040Board

        return Rp2040Board(setup or Setup())
    if where == "esp32_c3:":
        from quaver.emulator.esp32c3 import Esp32C3Board

        return Esp32C3Board(setup or Setup())
    if kind in ("serial", "socket") and where != f"{kind}:":
        from quaver.emulator.repl import SerialBoard

        return SerialBoard(where, setup)
    raise BoardError(
        f"{where!r} names no board: expected unix:, rp2040:, esp32_c3:, serial:/dev/ttyACM0 or socket://host:port"
    )
