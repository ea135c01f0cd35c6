"""Assembles the emulated ESP32-C3: chip, official image, file system, radio, console and the sensors."""

from __future__ import annotations

import hashlib
import time
from pathlib import Path

from quaver.board.spec import load_board
from quaver.emulator.bus import Attached
from quaver.emulator.esp32c3.chip import POWER_ON, TICKS_PER_US, Chip
from quaver.emulator.esp32c3.loader import SYNC, Loader
from quaver.emulator.esp32c3.radio import Radio
from quaver.emulator.esp32c3.wiring import Wiring
from quaver.emulator.identity import Identity

_NS_PER_TICK = 25 / 4
_UART0_INT_ENA = 0x6000000C
_RXFIFO_FULL = 1
_LOADER_NAP_S = 0.001
_LONGEST_RUN = 20_000 * TICKS_PER_US


class Clock:
    """The chip's time as the engine asks for it; its one alarm is where a batch ends."""

    def __init__(self) -> None:
        self.chip: Chip | None = None
        self.batch_ns = 0.0

    @property
    def nanos(self) -> int:
        return 0 if self.chip is None else self.chip.nanos

    def create_alarm(self, _callback: object) -> Clock:
        return self

    def schedule(self, ns: float) -> None:
        self.batch_ns = ns


class Machine:
    """The emulated board, powered; an `Engine` runs it by `run_batch`. It is its own `mcu` there.

    image: a whole flash from its first byte, the official .bin or what `quaver build` makes. filesystem: the littlefs
    image and its offset in flash; empty bytes leave flash erased there. Raises BoardError without a C compiler.
    """

    def __init__(
        self,
        image: Path,
        filesystem: bytes,
        filesystem_offset: int,
        rig: tuple[Attached, ...],
        broker_port: int | None,
        identity: Identity,
    ) -> None:
        spec = load_board("esp32_c3")
        self.clock = Clock()
        self.rig = {attached.name: attached.model for attached in rig}
        self.wiring = Wiring(spec, rig)
        self.radio = Radio(broker_port, identity)
        self._typed = bytearray()
        self._answered = bytearray()
        self.loader: Loader | None = None
        seed = int.from_bytes(hashlib.sha256(identity.unique_id).digest()[:8], "little")
        self.chip = Chip(self, identity.wifi_mac, (identity.unique_id + bytes(8))[:8], seed, self.wiring.watched)
        self.clock.chip = self.wiring.chip = self.radio.chip = self.chip
        flash = image.read_bytes()
        self.chip.write_flash(0, flash)
        self.chip.write_flash(filesystem_offset, filesystem)
        if self.wiring.direction:
            self.chip.turn_uart(self.wiring.direction)
        self._images = min(filesystem_offset, len(flash))
        self.radio.begin(flash[: self._images])
        self.chip.boot(POWER_ON)

    def run_batch(self, batch: object) -> None:
        """Run for the time that the engine gave, or until there is something for the host."""
        if self.loader is not None:  # the chip waits for its host: nothing else happens
            self.loader.feed(bytes(self._typed))
            self._typed.clear()
            time.sleep(_LOADER_NAP_S)
            return
        if self._typed:
            del self._typed[: self.chip.type(0, bytes(self._typed[:65536]))]
        self.chip.run(min(_LONGEST_RUN, max(1, int(self.clock.batch_ns / _NS_PER_TICK))))

    def take_output(self) -> bytes:
        output = self.chip.take_output() + bytes(self._answered)
        self._answered.clear()
        return output

    def listens(self) -> bool:
        """Whether the firmware takes characters from its console."""
        return bool(self.chip.register(_UART0_INT_ENA) & _RXFIFO_FULL)

    def download(self) -> None:
        """As with GPIO 9 held low at a reset: the boot loader answers on the console until the next reset."""
        self.loader = Loader(self.chip, self._answered.extend)

    def type(self, data: bytes) -> None:
        """What comes over the console's line. A socket has no control lines, by which esptool resets a chip into its
        boot loader: its first frame stands for them, and its hanging up for the reset at the end.
        """
        self._typed += data
        if self.loader is None and SYNC in self._typed:
            self._typed = self._typed[self._typed.index(SYNC) :]
            self.download()

    def left(self) -> None:
        """Whoever was on the console's line has gone."""
        if self.loader is not None:
            self.reset()

    def reset(self) -> None:
        """As the EN pin does it: all but flash and wiring starts anew."""
        if self.loader is not None:  # it may have written another image
            self.radio.begin(self.chip.read_flash(0, self._images))
        self.loader = None
        self.chip.reset(POWER_ON)

    # What the chip asks for.

    def spi(self, out: bytes, byte_ns: float) -> bytes:
        return self.wiring.spi(out, byte_ns)

    def i2c(self, verb: int, data: bytearray) -> bool:
        return self.wiring.i2c(verb, data)

    def uart(self, number: int, data: bytes) -> None:
        self.wiring.uart(number, data)

    def pin(self, number: int, level: int) -> None:
        self.wiring.pin(number, level)

    def pin_models(self) -> int:
        return self.wiring.pin_models()

    def radio_call(self, entry: int, a0: int, a1: int, a2: int) -> int:
        return self.radio.call(entry, a0, a1, a2)

    def frame(self, frame: bytes) -> None:
        self.radio.frame(frame)

    def hci(self, packet: bytes) -> None:
        self.radio.hci(packet)
