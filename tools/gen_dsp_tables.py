"""Write firmware/dsp/tables.py: the quarter sine that every window and twiddle of the device comes from.

Integers, made here in double precision and shipped, because the device's single precision (and a constant folded
by mpy-cross) would round some of them another way.

The entries are rounded to odd, which keeps a trace of what was cut off: rounding once more, to the Q13 of the
twiddles or the Q15 of the window, gives what rounding the exact value would have given. (Rounding twice to nearest
shifts every fourth tie upwards, and cost the transform 4 dB.)

Run it from anywhere: python tools/gen_dsp_tables.py
"""

import math
import struct
from pathlib import Path

ENTRIES = 1025
FULL = 65536
TARGET = Path(__file__).resolve().parent.parent / "firmware" / "dsp" / "tables.py"

HEAD = '''"""The quarter sine in Q16, rounded to odd: 65536 * sin(2*pi*i/4096), i = 0 ... 1024, little-endian uint16.

Written by tools/gen_dsp_tables.py, which says why; the last entry, a full 1, stands as 65535.
"""

SINE = (
'''


def quarter_sine() -> list[int]:
    """65536 sin(2 pi i / 4096) for i = 0 ... 1024: whole at both ends alone, else the odd neighbour."""
    exact = [FULL * math.sin(2 * math.pi * i / (4 * (ENTRIES - 1))) for i in range(1, ENTRIES - 1)]
    assert all(1e-6 < value % 1 < 1 - 1e-6 for value in exact), "too near to a whole number to be sure"
    return [0, *(math.floor(value) | 1 for value in exact), FULL - 1]


def source() -> str:
    """The module's text."""
    data = struct.pack(f"<{ENTRIES}H", *quarter_sine())
    rows = [data[at : at + 24] for at in range(0, len(data), 24)]
    lines = ['    b"' + "".join(f"\\x{byte:02x}" for byte in row) + '"\n' for row in rows]
    return HEAD + "".join(lines) + ")\n"


if __name__ == "__main__":
    TARGET.write_text(source())
    print(f"{TARGET.name}: {ENTRIES} entries")
