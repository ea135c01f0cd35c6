"""What each emulated accelerometer with a FIFO does with its registers, by its datasheet."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from quaver.emulator.sensors.iis3dwb import TAGS

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
    bank: the register that must be 0 for writes to the others to be for these.
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
    level: Callable[[Registers, int, bool], bytes]
    data: tuple[int, int]
    clears: Callable[[int, int], bool] = field(default=lambda address, value: False)
    empty: bytes = bytes(9)
    torn: int = 0
    bank: int = -1
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


# LSM6DSOX: DS12814 Rev 4, tables of CTRL1_XL, FIFO_CTRL3, FIFO_CTRL4, FIFO_STATUS2, FIFO_DATA_OUT_TAG.

_LSM6DSOX_ODR = (0.0, 12.5, 26.0, 52.0, 104.0, 208.0, 417.0, 833.0, 1667.0, 3333.0, 6667.0, 1.6)
_LSM6DSOX_MG = (0.061, 0.488, 0.122, 0.244)  # by FS[1:0]


def _lsm6dsox_rate(r: Registers) -> float:
    return _LSM6DSOX_ODR[min(r[0x10] >> 4, 11)]


def _lsm6dsox_encode(r: Registers, samples: Samples, first: int) -> bytes:
    words = np.empty((len(samples), 7), np.uint8)
    words[:, 0] = TAGS[np.arange(first, first + len(samples)) & 3]
    words[:, 1:] = samples.astype("<i2").view(np.uint8).reshape(len(samples), 6)
    return words.tobytes()


def _lsm6dsox_level(r: Registers, level: int, lost: bool) -> bytes:
    return bytes([level & 0xFF, level >> 8 | lost << 3 | (level >= 511) << 5 | lost << 6])


# ICM-42688-P: DS-000347 v1.7, section 6 and tables of ACCEL_CONFIG0, INTF_CONFIG0, FIFO_CONFIG, FIFO_CONFIG1.

_ICM42688_ODR = (0.0, 32000.0, 16000.0, 8000.0, 4000.0, 2000.0, 1000.0, 200.0, 100.0, 50.0, 25.0, 12.5)


def _icm42688_rate(r: Registers) -> float:
    code = r[0x50] & 0x0F
    if r[0x4E] & 3 != 3:  # low-noise mode
        return 0.0
    return 500.0 if code == 15 else _ICM42688_ODR[min(code, 11)]


def _icm42688_encode(r: Registers, samples: Samples, first: int) -> bytes:
    words = np.zeros((len(samples), 8), np.uint8)
    words[:, 0] = 0x40  # an acceleration; and a temperature of 25 degrees behind it
    order = ">i2" if r[0x4C] & 0x10 else "<i2"
    words[:, 1:7] = samples.astype(order).view(np.uint8).reshape(len(samples), 6)
    return words.tobytes()


def _icm42688_level(r: Registers, level: int, lost: bool) -> bytes:
    count = level if r[0x4C] & 0x40 else 8 * level
    return count.to_bytes(2, "big" if r[0x4C] & 0x20 else "little")


# MPU-6050: RM-MPU-6000A rev 4.2; MPU-6500: RM-MPU-6500A-00 rev 2.1. Registers 25, 26, 28, 35, 106, 107, 108, 114.


def _mpu6050_rate(r: Registers) -> float:
    if r[0x6B] & 0x40 or r[0x6C] & 0x38:
        return 0.0
    gyroscope = 8000.0 if r[0x1A] & 7 in (0, 7) else 1000.0
    return min(gyroscope / (1 + r[0x19]), 1000.0)


def _mpu6500_rate(r: Registers) -> float:
    if r[0x6B] & 0x40 or r[0x6C] & 0x38:
        return 0.0
    return 8000.0 if r[0x1A] & 7 in (0, 7) else 1000.0 / (1 + r[0x19])


def _mpu_buffered(r: Registers) -> bool:
    return bool(r[0x6A] & 0x40 and r[0x23] & 0x08)


def _mpu_level(size: int) -> Callable[[Registers, int, bool], bytes]:
    return lambda r, level, lost: (size if lost else 6 * level).to_bytes(2, "big")


_MPU: dict[str, Any] = {
    "noise_g": 0.0065,  # 400 ug/sqrt(Hz) over 260 Hz
    "word": 6,
    "fixed": frozenset([*range(0x3A, 0x61), 0x72, 0x73, 0x75]),
    "buffered": _mpu_buffered,
    "scale": lambda r: (16384 >> (r[0x1C] >> 3 & 3), -32768, 32767),
    "encode": lambda r, samples, first: samples.astype(">i2").tobytes(),
    "level_at": 0x72,
    "level_size": 2,
    "data": (0x74, 1),
    "clears": lambda address, value: address == 0x6A and bool(value & 0x04),
}


# KX134-1211: technical reference manual Rev. 1.0, tables of CNTL1, ODCNTL, BUF_CNTL2, BUF_STATUS.


def _kx134_rate(r: Registers) -> float:
    return 25600.0 / (1 << 15 - (r[0x21] & 0x0F)) if r[0x1B] & 0x80 else 0.0


# ADXL355: datasheet Rev. B; ADXL357: Rev. A. Tables of FILTER, RANGE, POWER_CTL, FIFO_ENTRIES, and section FIFO.


def _adxl355_encode(r: Registers, samples: Samples, first: int) -> bytes:
    words = np.zeros((len(samples), 3, 3), np.uint8)
    words[:, :, 0] = samples >> 8 & 0xFF
    words[:, :, 1] = samples & 0xFF
    words[:, 0, 2] = 1  # x
    return words.tobytes()


_ADXL355: dict[str, Any] = {
    "depth": 32,
    "word": 9,
    "defaults": {0x00: 0xAD, 0x01: 0x1D, 0x02: 0xED, 0x29: 0x60, 0x2C: 0x81, 0x2D: 0x01},
    "fixed": frozenset(range(0x12)),
    "rate": lambda r: 0.0 if r[0x2D] & 1 else 4000.0 / (1 << (r[0x28] & 0x0F)),
    "buffered": lambda r: True,
    "encode": _adxl355_encode,
    "level_at": 0x05,
    "level_size": 1,
    "level": lambda r, level, lost: bytes([3 * level]),
    "data": (0x11, 1),
    "empty": bytes([0, 0, 2] * 3),
    "spi_read_last": True,
}


def _adxl355_scale(most: int) -> Callable[[Registers], tuple[float, int, int]]:
    """most: counts of 20 bits in a g, in the finest range."""
    return lambda r: (most / 16 / (1 << max((r[0x2C] & 3) - 1, 0)), -32768, 32767)


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
        level=lambda r, level, lost: bytes([level | lost << 6]),
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
        level=lambda r, level, lost: bytes([min(level, 31) | (not level) << 5 | (level == 32) << 6]),
        data=(0x28, 6),
        spi_step=0x40,
        i2c_step=0x80,
        wake=_lis3dh_wake,
        wake_clear=frozenset([0x26, 0x31]),
    ),
    "lsm6dsox": Part(
        noise_g=0.006,  # 70 ug/sqrt(Hz) over half the rate
        depth=512,
        word=7,
        defaults={0x0F: 0x6C, 0x12: 0x04},
        fixed=frozenset([0x0F, *range(0x1A, 0x40), *range(0x78, 0x7F)]),
        rate=_lsm6dsox_rate,
        buffered=lambda r: r[0x0A] & 7 == 0b110 and r[0x09] & 0x0F == r[0x10] >> 4,
        scale=lambda r: (1000 / _LSM6DSOX_MG[r[0x10] >> 2 & 3], -32768, 32767),
        encode=_lsm6dsox_encode,
        level_at=0x3A,
        level_size=2,
        level=_lsm6dsox_level,
        data=(0x78, 7),
    ),
    "icm42688": Part(
        noise_g=0.0044,  # 70 ug/sqrt(Hz) over 3,979 Hz
        depth=256,
        word=8,
        defaults={0x75: 0x47, 0x4C: 0x30, 0x50: 0x06},
        fixed=frozenset([*range(0x1D, 0x31), 0x75]),
        rate=_icm42688_rate,
        buffered=lambda r: r[0x16] >> 6 == 0b01 and r[0x5F] & 0x03 == 0x01,
        scale=lambda r: (2048 << (r[0x50] >> 5 & 3), -32768, 32767),
        encode=_icm42688_encode,
        level_at=0x2E,
        level_size=2,
        level=_icm42688_level,
        data=(0x30, 1),
        clears=lambda address, value: address == 0x4B and bool(value & 0x02),
        empty=bytes([0x80]) + bytes(7),
        bank=0x76,
    ),
    "mpu6050": Part(
        depth=170, defaults={0x6B: 0x40, 0x75: 0x68}, rate=_mpu6050_rate, level=_mpu_level(1024), torn=2, **_MPU
    ),
    "mpu6500": Part(depth=85, defaults={0x75: 0x70}, rate=_mpu6500_rate, level=_mpu_level(512), torn=4, **_MPU),
    "kx134": Part(
        noise_g=0.024,  # 300 ug/sqrt(Hz) over 6,400 Hz
        depth=85,
        word=6,
        defaults={0x00: 0x4B, 0x12: 0x55, 0x13: 0x46, 0x21: 0x06},
        fixed=frozenset([*range(0x1B), 0x60, 0x61]),
        rate=_kx134_rate,
        buffered=lambda r: r[0x5F] & 0xC3 == 0xC1,
        scale=lambda r: (4096 >> (r[0x1B] >> 3 & 3), -32768, 32767),
        encode=lambda r, samples, first: _little(samples),
        level_at=0x60,
        level_size=2,
        level=lambda r, level, lost: (6 * level).to_bytes(2, "little"),
        data=(0x63, 1),
        clears=lambda address, value: address == 0x62,
    ),
    "adxl355": Part(noise_g=0.0007, scale=_adxl355_scale(256_000), **_ADXL355),  # 22.5 ug/sqrt(Hz) over 1,000 Hz
    "adxl357": Part(noise_g=0.0024, scale=_adxl355_scale(51_200), **_ADXL355),  # 75 ug/sqrt(Hz) over 1,000 Hz
}
