"""The chip's sources of noise, as raw as Python can have them; docs/random.md says what each is worth."""

import sys
from os import urandom

import machine
from micropython import const

_RANDOMBIT = const(0x4006001C)  # the ring oscillator's state: RP2040 datasheet, 2.17.8
_UNUSED = const(0x2003C000)  # 16 kB at the heap's end: on an RP2040 no code of the start clears them
_UNUSED_SIZE = const(0x4000)


def _oscillator(buffer: bytearray) -> None:
    """The bit itself: os.urandom shifts it through a register, in which a dead oscillator looks alive."""
    memory = machine.mem32
    for i in range(len(buffer)):
        byte = 0
        for _ in range(8):
            byte = byte << 1 | memory[_RANDOMBIT] & 1
        buffer[i] = byte


def _adc(buffer: bytearray) -> None:
    """The low eight of twelve bits of the chip's temperature: MicroPython scales them to sixteen."""
    read = machine.ADC(4).read_u16
    for i in range(len(buffer)):
        buffer[i] = read() >> 4 & 0xFF


def _bluetooth() -> bool:
    """Whether it is on."""
    try:
        from bluetooth import BLE
    except ImportError:
        return False  # an ESP32-S2 has none
    return BLE().active()


def _generator(buffer: bytearray) -> None:
    """An ESP32's generator has its noise from the radio (ESP-IDF, "Random Number Generation"): it is on from here."""
    if sys.platform == "esp32" and not _bluetooth():
        from network import WLAN  # which takes 4.2 kB of ESP-IDF's heap for TCP, for good

        WLAN().active(True)
    buffer[:] = urandom(len(buffer))


def sources() -> list:
    """[(name, fill)]: fill(buffer) puts a sample into each byte."""
    if sys.platform == "rp2":
        return [("ring oscillator", _oscillator), ("adc", _adc)]
    return [("generator", _generator)]


def extra() -> bytes:
    """What may differ from start to start, and is counted for nothing."""
    found = urandom(32)
    if sys.platform == "rp2":
        from hashlib import sha256

        from uctypes import bytearray_at

        found += sha256(bytearray_at(_UNUSED, _UNUSED_SIZE)).digest()
    return found
