"""The memory that a network session takes: ESP-IDF's own on an ESP32, Python's elsewhere."""

import gc

import machine
from micropython import const

try:
    from hal import held
except ImportError:
    held = None

# Bytes that a TLS session takes while it begins; with less, some failures come out as a certificate that can't be
# verified, or on an ESP32 as a broker that does not answer. 25,000 of them stay taken.
TLS = 30500 if held else 34000

_TRIES = const(20)  # in a quarter of an hour, as the supervisor waits between them

# From the start on for the sessions alone: what is held while a node is built stays held between them.
_gate = held.gates.pop(0) if held and held.gates else None


def free():
    """How many bytes of it are free, for a session that begins now."""
    gc.collect()
    if _gate:
        _gate.give()
    return held.free() if held else gc.mem_free()


def fill():
    """Hold what is free, but for small pieces, until `release`: the responder of mDNS, which an ESP32's MicroPython
    starts when it first joins a network, and never again, finds no 5 kB for itself."""
    if held:
        held.fill()


def release():
    if held:
        held.release()


_refused = 0


def fits():
    """Whether a session that begins now fits.

    An ESP32 that has said no for a quarter of an hour starts anew: Python's heap, once it has grown into what the
    network needs, may not give it back.
    """
    global _refused
    _refused = 0 if free() >= TLS else _refused + 1
    if held and _refused == _TRIES:
        machine.reset()
    return not _refused


def hold():
    """A session has ended: what it had is for the next one."""
    if _gate:
        _gate.hold()
