"""Write firmware/dsp/tables.py: the quarter sine that every window and twiddle of the device comes from; and
tables_2048.py, the tables of a measurement's transform, for chips whose heap has no room for them: flash has.

Integers, made here in double precision and shipped, because the device's single precision (and a constant folded
by mpy-cross) would round some of them another way.

The entries are rounded to odd, which keeps a trace of what was cut off: rounding once more, to the Q13 of the
twiddles or the Q15 of the window, gives what rounding the exact value would have given. (Rounding twice to nearest
shifts every fourth tie upwards, and cost the transform 4 dB.)

Run it from anywhere: python tools/gen_dsp_tables.py
"""

import functools
import math
import struct
from pathlib import Path

ENTRIES = 1025
FULL = 65536
FOLDER = Path(__file__).resolve().parent.parent / "firmware" / "dsp"

HEAD = '''"""The quarter sine in Q16, rounded to odd: 65536 * sin(2*pi*i/4096), i = 0 ... 1024, little-endian uint16.

Written by tools/gen_dsp_tables.py, which says why; the last entry, a full 1, stands as 65535.
"""

SINE = (
'''
PAIRS = 1024  # of the transform of 2,048 real samples
MORE_HEAD = '''"""What dsp.fft works out for a transform of 2,048 samples, little-endian uint16: to be used in flash.

Written by tools/gen_dsp_tables.py.
"""
'''
MORE = {
    "STARTS": "where each leaf begins",
    "TURNS": "of the last pass",
    "TWIDDLES": "of the radix-4 passes in viper",
}


@functools.cache
def quarter_sine() -> list[int]:
    """65536 sin(2 pi i / 4096) for i = 0 ... 1024: whole at both ends alone, else the odd neighbour."""
    exact = [FULL * math.sin(2 * math.pi * i / (4 * (ENTRIES - 1))) for i in range(1, ENTRIES - 1)]
    assert all(1e-6 < value % 1 < 1 - 1e-6 for value in exact), "too near to a whole number to be sure"
    return [0, *(math.floor(value) | 1 for value in exact), FULL - 1]


def sine(step: int) -> int:
    """dsp.fft's, of a step of 4,096 to the turn, in Q13."""
    return (quarter_sine()[2048 - step if step > 1024 else step] + 4) >> 3


def cosine(step: int) -> int:
    return sine(1024 - step) if step <= 1024 else -sine(step - 1024)


def starts() -> list[int]:
    """For each leaf of four: byte offsets of inputs 0 and 1, and the rounding of input 0 (dsp.fft)."""
    count = PAIRS // 4
    made = []
    for i in range(count):
        digits = [i // 4**place % 4 for place in range(4)]  # the first one is the last pass's
        first = sum((0, 2, 1, -1)[digit] * 4**place for place, digit in zip((3, 2, 1, 0), digits, strict=True))
        whole = next((place for place, digit in enumerate(digits) if digit), 0)
        half = 1 << 2 * whole >> 1
        made += [4 * (first % PAIRS), 4 * (first + count), half, half]
    made[2:4] = [0, 1 << 8 >> 2]
    return made


def turns() -> list[int]:
    made = [0] * PAIRS
    for k in range(1, PAIRS // 2):
        made[2 * k - 2 : 2 * k] = [cosine(2 * k), sine(2 * k)]
    return made


def twiddles() -> list[int]:
    made = []
    for quarter in (4, 16, 64, 256):
        for step in range(0, 1024, 1024 // quarter):
            made += [cosine(step), sine(step), sine(2 * step), cosine(2 * step) + 8192]
    return made


def rows(numbers: list[int]) -> str:
    data = struct.pack(f"<{len(numbers)}H", *numbers)
    lines = [data[at : at + 24] for at in range(0, len(data), 24)]
    return "".join('    b"' + "".join(f"\\x{byte:02x}" for byte in line) + '"\n' for line in lines) + ")\n"


def sources() -> dict[str, str]:
    """The modules' texts, by their names."""
    made = (starts(), turns(), twiddles())
    more = (
        f"\n{name} = (  # {what}\n{rows(numbers)}" for (name, what), numbers in zip(MORE.items(), made, strict=True)
    )
    return {"tables.py": HEAD + rows(quarter_sine()), "tables_2048.py": MORE_HEAD + "".join(more)}


if __name__ == "__main__":
    for name, text in sources().items():
        (FOLDER / name).write_text(text)
        print(f"{name}: {len(text)} bytes")
