"""What each emulated accelerometer with a FIFO does with its registers, by its datasheet."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

Samples = NDArray[np.int16]  # (count, 3)
Registers = bytearray


def _little(samples: Samples) -> bytes:
    return samples.astype("<i2").tobytes()


@dataclass(frozen=True)
class Part:
    """A part. Where something depends on its registers, a function of them.

    defaults: registers that are not 0 after power-up; fixed: those that can't be written.
    rate: samples/s, 0 in standby; buffered: whether they go through the FIFO; clears: whether a write empties that.
    scale: counts of a g, and the least and the greatest of them; encode: counts as words, by the number of the first.
    level: the bytes from `level_at` on, by the samples that wait and whether one was lost. data: the registers that
    give a word, byte by byte; `empty` is what they give without one. torn: bytes that a lost sample takes of the next.
    wake: None, or the g above which INT1 is raised, and whether against the sample before or the first one.
    """

    noise_g: float
    depth: int
    word: int
    defaults: Mapping[int, int]
    fixed: frozenset[int]
    rate: Callable[[Registers], float]
    buffered: Callable[[Registers], bool]
    scale: Callable[[Registers], tuple[float, int, int]]
    encode: Callable[[Registers, Samples, int], bytes]
    level_at: int
    level_size: int
    level: Callable[[int, bool], bytes]
    data: tuple[int, int]
    clears: Callable[[int, int], bool] = field(default=lambda address, value: False)
    empty: bytes = bytes(9)
    torn: int = 0
    spi_step: int = 0
    spi_read_last: bool = False
    i2c_step: int = 0
    wake: Callable[[Registers], tuple[float, bool] | None] = field(default=lambda registers: None)
    wake_clear: frozenset[int] = frozenset()


# LIS2DW12: datasheet DocID029682 Rev 3, tables of CTRL1, CTRL6, FIFO_CTRL, FIFO_SAMPLES, WAKE_UP_THS.

_LIS2DW12_ODR = (0.0, 12.5, 12.5, 25.0, 50.0, 100.0, 200.0, 400.0, 800.0, 1600.0)  # high performance, by ODR[3:0]


def _lis2dw12_rate(r: Registers) -> float:
    rate = _LIS2DW12_ODR[min(r[0x20] >> 4, 9)]
    return rate if r[0x20] & 0x0C else min(rate, 200.0)  # low-power mode has 200 Hz at most


def _lis2dw12_bits(r: Registers) -> int:
    return 14 if r[0x20] & 0x0F else 12  # low-power mode 1 has 12


def _lis2dw12_scale(r: Registers) -> tuple[float, int, int]:
    bits = _lis2dw12_bits(r)
    full_g = 2 << (r[0x25] >> 4 & 3)
    return 2 ** (bits - 1) / full_g, -(2 ** (bits - 1)), 2 ** (bits - 1) - 1


def _lis2dw12_wake(r: Registers) -> tuple[float, bool] | None:
    if not (r[0x3F] & 0x20 and r[0x23] & 0x20 and _lis2dw12_rate(r)):
        return None
    return (r[0x34] & 0x3F) / 64 * (2 << (r[0x25] >> 4 & 3)), True


# LIS3DH: Doc ID 17530 Rev 2, tables of CTRL_REG1, CTRL_REG4, FIFO_SRC_REG, INT1_THS.

_LIS3DH_ODR = (0.0, 1.0, 10.0, 25.0, 50.0, 100.0, 200.0, 400.0, 1600.0)
_LIS3DH_MG = (1, 2, 4, 12)  # a count of 12 bits, by FS[1:0]
_LIS3DH_THRESHOLD_MG = (16, 32, 62, 186)


def _lis3dh_rate(r: Registers) -> float:
    code, low_power = r[0x20] >> 4, r[0x20] & 0x08
    if code >= 9:
        return 5376.0 if low_power else 1344.0
    return 0.0 if code == 8 and not low_power else _LIS3DH_ODR[code]


def _lis3dh_bits(r: Registers) -> int:
    return 8 if r[0x20] & 0x08 else 12 if r[0x23] & 0x08 else 10


def _lis3dh_scale(r: Registers) -> tuple[float, int, int]:
    bits = _lis3dh_bits(r)
    mg = _LIS3DH_MG[r[0x23] >> 4 & 3] << 12 - bits
    return 1000 / mg, -(1 << bits - 1), (1 << bits - 1) - 1


def _lis3dh_wake(r: Registers) -> tuple[float, bool] | None:
    if not (r[0x22] & 0x40 and r[0x30] & 0x2A and _lis3dh_rate(r)):
        return None
    return (r[0x32] & 0x7F) * _LIS3DH_THRESHOLD_MG[r[0x23] >> 4 & 3] / 1000, False


PARTS: Mapping[str, Part] = {
    "lis2dw12": Part(
        noise_g=0.0018,  # 90 ug/sqrt(Hz) over 400 Hz
        depth=32,
        word=6,
        defaults={0x0F: 0x44, 0x21: 0x04},
        fixed=frozenset([*range(0x20), *range(0x26, 0x2E), 0x2F, *range(0x37, 0x3C)]),
        rate=_lis2dw12_rate,
        buffered=lambda r: r[0x2E] >> 5 == 0b110,
        scale=_lis2dw12_scale,
        encode=lambda r, samples, first: _little(samples << 16 - _lis2dw12_bits(r)),
        level_at=0x2F,
        level_size=1,
        level=lambda level, lost: bytes([level | lost << 6]),
        data=(0x28, 6),
        wake=_lis2dw12_wake,
        wake_clear=frozenset([0x38]),
    ),
    "lis3dh": Part(
        noise_g=0.0057,  # 220 ug/sqrt(Hz) over half the rate
        depth=32,
        word=6,
        defaults={0x0F: 0x33, 0x20: 0x07},
        fixed=frozenset([*range(0x1E), *range(0x27, 0x2E), 0x2F, 0x31]),
        rate=_lis3dh_rate,
        buffered=lambda r: bool(r[0x24] & 0x40) and r[0x2E] >> 6 == 0b10,
        scale=_lis3dh_scale,
        encode=lambda r, samples, first: _little(samples << 16 - _lis3dh_bits(r)),
        level_at=0x2F,
        level_size=1,
        level=lambda level, lost: bytes([min(level, 31) | (not level) << 5 | (level == 32) << 6]),
        data=(0x28, 6),
        spi_step=0x40,
        i2c_step=0x80,
        wake=_lis3dh_wake,
        wake_clear=frozenset([0x26, 0x31]),
    ),
}
