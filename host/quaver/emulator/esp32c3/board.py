"""The host's side of the emulated ESP32-C3."""

from __future__ import annotations

from pathlib import Path

from quaver.emulator.child_board import ChildBoard
from quaver.emulator.esp32c3.chip import load_core
from quaver.emulator.esp32c3.radio import EntryPoints
from quaver.emulator.identity import Identity
from quaver.errors import BoardError


class Esp32C3Board(ChildBoard):
    """An emulated ESP32-C3-DevKitM-1 on the official image of boards/esp32_c3.toml. Implements `Board`.

    progress: told while the image is fetched for the first time. Raises BoardError (also without a C compiler),
    ArtifactError, BuildError.
    """

    where = "esp32_c3:"
    board = "esp32_c3"
    title = "ESP32-C3"
    module = "quaver.emulator.esp32c3.process"
    host_address = "10.0.0.1"

    def check_image(self, image: Path, given: bool) -> None:
        load_core()
        refuse_other_image(image)

    def identity_of(self, name: str) -> Identity:
        return Identity.of_esp32(name)

    def read_memory(self, address: int, size: int) -> bytes:
        """The guest's memory, as a debug probe reads it; it takes the guest no time. Raises BoardError."""
        data: bytes = self._call("read", address, size)
        return data

    def read_flash(self, offset: int, size: int) -> bytes:
        """What its flash holds now."""
        data: bytes = self._call("flash", offset, size)
        return data

    def download(self) -> None:
        """Reset into the boot loader, as its button does: esptool finds it at `address`, until the next reset."""
        self._call("download")

    def set_adc(self, channel: int, value: int) -> None:
        """The raw result, of 4096, that the ADC's next conversions of a channel give."""
        self._call("adc", channel, value)

    def drive_pin(self, pin: int, level: bool) -> None:
        """What a device outside puts on a GPIO."""
        self._call("drive", pin, level)

    def instructions(self) -> int:
        """Instructions that the chip has run since power-on."""
        count: int = self._call("count", 0)
        return count


def refuse_other_image(image: Path) -> None:
    """The radio's entry points belong to one application: any other would run wild. Raises BoardError."""
    try:
        data = image.read_bytes()
    except OSError as error:
        raise BoardError(f"{image}: cannot be read ({error.strerror}): check the name") from error
    if EntryPoints.of(data) is None:
        raise BoardError(
            f"{image}: not a MicroPython image that the emulator knows: take an official one of "
            f"{' or '.join(EntryPoints.known())}, or find its entry points with tools/esp32c3_entry_points.py"
        )
