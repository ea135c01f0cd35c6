"""The flash room's ESP32 side: esptool, as a library, connects, recognizes the chip, writes, verifies and resets.

esptool's own console output is taken in hand: each session runs in a thread of its own, and what esptool would draw
as a progress bar goes to that session's caller.
"""

from __future__ import annotations

import contextlib
import hashlib
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Any, Self

from quaver.flash.errors import FlashError, NoBootLoaderError, PortGoneError, WriteError, WrongChipError
from quaver.flash.serials import open_port

Progress = Callable[[float], None]
"""Called with the part that is done, 0 to 1; what it raises ends the session."""

_BAUD = 460800  # what Espressif's own tools use for every bridge; the ROM begins at 115,200
_ATTEMPTS = 4  # to get a chip into its boot loader; each takes about a second

_current = threading.local()
_installing = threading.Lock()
_installed = False


class EspSession:
    """A chip in its boot loader, esptool's stub running in its RAM.

    chip: as the board files call it ("esp32s3"). unique_id: its base MAC as MicroPython's machine.unique_id() has it,
    in hexadecimal. flash_size: in bytes, or None where the flash chip does not say.
    Raises the errors of `quaver.flash.errors`.
    """

    def __init__(self, device: str) -> None:
        self.device = device
        _take_logger()
        self._port = open_port(device)
        try:
            with self._spoken(NoBootLoaderError):
                from esptool import cmds
                from esptool.util import flash_size_bytes

                esp = cmds.detect_chip(self._port, connect_attempts=_ATTEMPTS)
                self.chip = str(esp.CHIP_NAME).lower().replace("-", "")
                self.unique_id = bytes(esp.read_mac()).hex()
                self._esp: Any = cmds.run_stub(esp)
                # By itself it would wait for a port that vanished; whoever flashes many wants to hear of it.
                self._esp.WRITE_FLASH_ATTEMPTS = 1
                if not device.startswith("socket://"):
                    self._esp.change_baud(_BAUD)
                cmds.attach_flash(self._esp)
                said = cmds.detect_flash_size(self._esp)
                self.flash_size: int | None = flash_size_bytes(said) if said else None
        except BaseException:
            self._port.close()
            raise

    def differs(self, address: int, data: bytes) -> bool:
        """Whether the flash holds something else there, by the MD5 that the chip itself computes."""
        with self._spoken(WriteError):
            found: str = self._esp.flash_md5sum(address, len(data))
        return found != hashlib.md5(data, usedforsecurity=False).hexdigest()

    def read(self, address: int, length: int) -> bytes:
        """What the flash holds; esptool checks its MD5."""
        with self._spoken(WriteError):
            data: bytes = self._esp.read_flash(address, length)
        return data

    def write(self, regions: list[tuple[int, bytes]], progress: Progress) -> None:
        """Write (flash address, bytes) and verify each by its MD5; addresses are those of whole sectors."""
        from esptool import cmds

        total, done = sum(len(data) for _, data in regions), 0
        for address, data in regions:

            def told(part: float, before: int = done, size: int = len(data)) -> None:
                progress((before + part * size) / total)

            _current.progress = told
            try:
                with self._spoken(WriteError):
                    cmds.write_flash(self._esp, [(address, data)])
            finally:
                _current.progress = None
            done += len(data)

    def reset(self) -> None:
        """Leave the boot loader for what is in flash."""
        from esptool import cmds

        with self._spoken(PortGoneError):
            cmds.reset_chip(self._esp, "hard-reset")

    @contextmanager
    def _spoken(self, otherwise: type[FlashError]) -> Iterator[None]:
        """esptool's and the port's errors as ours, in one line."""
        import serial
        from esptool.util import FatalError

        try:
            yield
        except FatalError as error:
            if "chip revision" in str(error):
                raise WrongChipError(f"{self.device}: {_plain(str(error))}: use a board with a newer chip") from error
            raise otherwise(f"{self.device}: {_plain(str(error))}: {_REMEDY[otherwise]}") from error
        except (serial.SerialException, OSError) as error:
            raise PortGoneError(f"{self.device}: the port vanished ({_plain(str(error))}): check the cable") from error

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._port.close()


def answering_chip(device: str) -> str:
    """The name of the chip whose boot loader answers at a port already, without a reset that would bring it there.

    Raises FlashError when none answers.
    """
    import serial

    _take_logger()
    with contextlib.closing(open_port(device)) as port:
        from esptool import cmds
        from esptool.util import FatalError

        try:
            return str(cmds.detect_chip(port, connect_mode="no-reset", connect_attempts=1).CHIP_NAME)
        except (FatalError, serial.SerialException, OSError) as error:
            raise NoBootLoaderError(f"{device}: {_plain(str(error))}: {_REMEDY[NoBootLoaderError]}") from error


_REMEDY: dict[type[FlashError], str] = {
    NoBootLoaderError: "hold the button BOOT while you plug it in or press reset, and try again",
    WriteError: "try again; if it fails again, the board's flash is worn or its supply too weak",
    PortGoneError: "check the cable",
}


def _plain(text: str) -> str:
    """esptool's message in one line, without its advice to read a web page."""
    lines = [line.strip() for line in text.replace("Use --force to flash anyway.", "").splitlines()]
    kept = [line for line in lines if line and "http" not in line and not line.startswith("Hint")]
    return re.sub(r"[.:\s]+$", "", " ".join(kept)) or "no word"


def _take_logger() -> None:
    """Have esptool print nothing and give its progress to the thread that it works in."""
    global _installed
    with _installing:
        if _installed:
            return
        from esp_pylib.logger import EspLog, EspLogBase
        from esptool import loader

        class Quiet(EspLogBase):
            def print(self, *_args: Any, **_more: Any) -> None: ...

            err = warn = note = hint = debug = warning = error = print

            def set_verbosity(self, _mode: int | str) -> None: ...

            def progress_bar(self, cur_iter: int, total_iters: int, *_args: Any, **_more: Any) -> None:
                told = getattr(_current, "progress", None)
                if told is not None and total_iters:
                    told(cur_iter / total_iters)

        EspLog.instance = Quiet()
        # For a trace that is off: each byte three times as text, which took half of the time that flashing takes.
        loader.HexFormatter = lambda *_: ""
        _installed = True
