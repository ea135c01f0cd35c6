"""A TMP117 that writes down when it was read: its class is in a module of its own, which a chip's process can load."""

from quaver.emulator.sensors.tmp117 import TMP117


class Thermometer(TMP117):
    """reads: (ns of virtual time, °C) of each result that the board took."""

    def __init__(self, temperature: float) -> None:
        super().__init__(temperature)
        self.reads: list[tuple[int, float]] = []

    def _read(self, register: int, now: int) -> int:
        word = super()._read(register, now)
        if register == 0 and word < 0x8000:
            self.reads.append((now, word / 128))
        return word
