"""The memory that a network session takes: ESP-IDF's own on an ESP32, Python's elsewhere."""

import gc

try:
    import esp32
except ImportError:
    esp32 = None

# Bytes that a TLS session takes while it begins; with less, some failures come out as a certificate that can't be
# verified. 27,000 of them stay taken.
TLS = 36000 if esp32 else 34000


def free():
    """How many bytes of it are free."""
    gc.collect()
    if esp32:
        return sum(region[1] for region in esp32.idf_heap_info(esp32.HEAP_DATA))
    return gc.mem_free()
