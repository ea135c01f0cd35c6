"""The memory that a network session takes: ESP-IDF's own on an ESP32, Python's elsewhere."""

import gc

try:
    import esp32

    from hal import held
except ImportError:
    esp32 = held = None

# Bytes that a TLS session takes while it begins; with less, some failures come out as a certificate that can't be
# verified, or on an ESP32 as a broker that does not answer. 25,000 of them stay taken.
TLS = 31500 if esp32 else 34000

# From the start on for the sessions alone: what is held while a node is built stays held between them.
_gate = held.gates.pop(0) if held and held.gates else None


def free():
    """How many bytes of it are free, for a session that begins now."""
    gc.collect()
    if _gate:
        _gate.give()
    if esp32:
        return sum(region[1] for region in esp32.idf_heap_info(esp32.HEAP_DATA))
    return gc.mem_free()


def hold():
    """A session has ended: what it had is for the next one."""
    if _gate:
        _gate.hold()
