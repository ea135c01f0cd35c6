"""Measurements of signals that try to overflow the engine, and the whole numbers that it makes of them.

Runs on any board that has `dsp`, beside dsp_hostile.py, whose signals it takes: a 32-bit chip must give the numbers of
a 64-bit host.
"""

import dsp_hostile


def saved(path, names, n):
    """The blocks that were saved to a file, one after the other: a slow chip needs not make them."""
    from array import array

    out = array("h", bytes(2 * n))
    with open(path, "rb") as file:  # noqa: PTH123  (MicroPython has no pathlib)
        for name in names:
            file.readinto(out)
            yield name, out


def stages(rate_hz, n, blocks=None):
    """[name, stage, checksums of the envelope's powers, of the velocity's and of the spectrum, strongest lines, some
    levels] for each signal."""
    from dsp import kernels
    from dsp.measurement import Measurement

    measurement = Measurement(rate_hz, (rate_hz // 10, rate_hz // 3), n)
    result = []
    for name, block in blocks or dsp_hostile.blocks(n):
        samples = memoryview(block)
        measurement.begin()
        at = 0
        wanted = n
        while wanted:
            count = measurement.left
            measurement.target[measurement.at : measurement.at + count] = samples[at : at + count]
            at += count
            wanted = measurement.take(count)
        sums = [x & 0xFFFFFFFF for x in measurement.stage()]  # integrators run round
        measurement._statistics(488)
        measurement._envelope(488, rate_hz)
        envelope = kernels.checksum(measurement.powers, 1024)
        measurement._velocity(488, rate_hz)
        velocity = kernels.checksum(measurement.joined, 1024)
        measurement._raw(488, rate_hz)
        spectrum = kernels.checksum(measurement.joined, 4096)
        levels = [each[i] for each in (measurement.spectrum, measurement.envelope_spectrum) for i in range(0, 256, 5)]
        result.append([name, sums, envelope, velocity, spectrum, list(measurement._best[8:]), levels])
    return result
