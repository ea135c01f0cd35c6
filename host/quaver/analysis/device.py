"""Runs the device's analysis on recordings: on MicroPython's unix port, or on an emulated or real board.

Nothing is computed here: a recording is cut into measurements, turned into the sensor's whole numbers, and handed to
`firmware/dsp`; what comes back is what a node would have said after each.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from types import TracebackType
from typing import Any, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from quaver.board.guest import guest
from quaver.board.local import last_line, start
from quaver.errors import QuaverError
from quaver.recordings import Recording
from quaver.recordings.rails import clipped, rails_of
from quaver.recordings.resample import resample
from quaver_wire.fields import FAULTS, LEVELS
from quaver_wire.names import MACHINE, ZONES

UG_PER_LSB = 488  # of the IIS3DWB at +-16 g; a louder recording is given coarser steps instead of being clipped
_FASTEST_HZ = 30000.0  # a recording sampled faster is brought to the sensor's rate
_SENSOR_HZ = 26667.0
_SAME_RATE = 1e-3  # two rates that differ by less put no line into another bin
_FULL = 32767


class AnalysisError(QuaverError):
    """Settings or a recording that the device's analysis can't take."""

    exit_code = 9


@dataclass(frozen=True)
class Settings:
    """What a node would be configured with. rpm None: look for the speed. bearing: a name of the library, the four
    ratios BPFO, BPFI, BSF, FTF, or its geometry as a mapping; None searches no lines. band: of the envelope, Hz.
    learn: measurements that make the baseline; group and mounting: of ISO 20816-3, None for no absolute limits. node:
    any other setting of a node's config.json, by section: machine, vibration, alarm, limits.
    """

    rpm: float | None = None
    bearing: str | tuple[float, ...] | dict[str, float] | None = None
    band: tuple[float, float] = (2000.0, 5000.0)
    learn: int = 10
    group: int | None = None
    mounting: str = "rigid"
    count: int = 2
    of: int = 3
    node: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    def config(self, samples: int) -> dict[str, dict[str, Any]]:
        """The sections of a node's configuration, for measurements of so many samples."""
        bearing = {"ratios": list(self.bearing)} if isinstance(self.bearing, tuple) else self.bearing
        machine = {"rpm": self.rpm or 0, "bearing": bearing, "learn": self.learn}
        machine |= {"group": self.group or 0, "mounting": self.mounting}
        low, high = self.band
        sections: dict[str, dict[str, Any]] = {
            "machine": machine,
            "vibration": {"samples": samples, "band_low_hz": low, "band_high_hz": high},
            "alarm": {"count": self.count, "of": self.of},
        }
        return {name: {**sections.get(name, {}), **self.node.get(name, {})} for name in {**sections, **self.node}}


@dataclass(frozen=True)
class Verdict:
    """One measurement: its features with units as firmware/dsp/measurement.py gives them, and what was made of it."""

    index: int
    features: dict[str, Any]
    state: str
    level: str
    causes: dict[str, int]
    fault: str | None
    line: str | None
    margin_db: float
    abstained: str
    zone: str | None
    lines: list[dict[str, Any]] = field(default_factory=list)


@dataclass(frozen=True)
class Levels:
    """What a node would send of a measurement in a spectrum record: as store.spectra.Spectrum has it."""

    spectrum: bytes
    envelope: bytes
    spectrum_hz: float
    envelope_hz: float
    band_hz: tuple[float, float] | None
    marks_hz: tuple[float | None, ...]


@dataclass(frozen=True)
class Spectra:
    """What a measurement's features were read from, as the device left it; scaled here, not computed.

    spectrum_g: amplitudes of the first 4,096 samples, a value every spectrum_hz; envelope_g: of the envelope, a value
    every envelope_hz. A sine of 1 g shows 1 g. levels: of the whole measurement, as a node would send them.
    """

    spectrum_hz: float
    spectrum_g: NDArray[np.float64]
    envelope_hz: float
    envelope_g: NDArray[np.float64]
    levels: Levels


class _Runner(Protocol):
    def one(self, samples: NDArray[np.int16], ug: int, clipped: bool) -> Any: ...

    def baseline(self) -> Any: ...

    def spectra(self) -> str: ...

    def close(self) -> None: ...


class _Unix:
    """The unix port in a process of its own."""

    def __init__(self, settings: dict[str, Any]) -> None:
        self._process = start(guest(__file__, "analysis") + guest(__file__, "serve"))
        self._ask(json.dumps(settings))

    def one(self, samples: NDArray[np.int16], ug: int, clipped: bool) -> Any:
        return self._ask(f"{ug} {int(clipped)} {base64.b64encode(samples.tobytes()).decode()}")

    def baseline(self) -> Any:
        return self._ask("baseline 0 -")

    def spectra(self) -> str:
        return self._line("spectra 0 -")

    def _ask(self, line: str) -> Any:
        answer = self._line(line)
        try:
            return json.loads(answer)
        except ValueError:
            assert self._process.stdout is not None
            last = last_line(answer + self._process.stdout.read())
            raise AnalysisError(f"the device's code failed: {last}: report it with the recording") from None

    def _line(self, line: str) -> str:
        assert self._process.stdin is not None and self._process.stdout is not None
        try:
            self._process.stdin.write(line + "\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            pass
        answer = self._process.stdout.readline()
        if answer.startswith("refused "):
            raise AnalysisError(answer.removeprefix("refused ").strip())
        return answer

    def close(self) -> None:
        self._process.kill()
        self._process.communicate()


class _Chip:
    """An emulated chip. Its samples are put into its memory: over its console they would take minutes."""

    def __init__(self, where: str, settings: dict[str, Any]) -> None:
        from quaver.board.spec import load_board
        from quaver.build import compile_mpy, firmware_files
        from quaver.emulator.child_board import ChildBoard
        from quaver.emulator.esp32c3 import Esp32C3Board
        from quaver.emulator.rp2040 import Rp2040Board
        from quaver.emulator.setup import Setup

        kind: type[ChildBoard] = Esp32C3Board if where == Esp32C3Board.where else Rp2040Board
        files = dict(firmware_files(kind.board))
        files.pop("main.py")  # the board is to analyse, not to be a node
        # Compiled here: the chip would take seconds for it.
        source = guest(__file__, "analysis").encode()
        files["analysis.mpy"] = compile_mpy(source, "analysis.py", load_board(kind.board).arch)
        self._board: ChildBoard = kind(Setup(files=files))
        try:
            # First of all: the one piece that long is to be found while the heap is empty.
            count = settings["config"]["vibration"]["samples"]
            self._address = int(self._board.exec(guest(__file__, "held", count=count)))
            refused = self._board.exec(
                "import json\nfrom analysis import Analysis\ntry:\n"
                f" analysis = Analysis(json.loads({json.dumps(settings)!r}))\n"
                "except ValueError as error:\n print(error)\n"
            )
        except BaseException:
            self._board.stop()
            raise
        if refused.strip():
            self._board.stop()
            raise AnalysisError(refused.strip())

    def one(self, samples: NDArray[np.int16], ug: int, clipped: bool) -> Any:
        self._board.write_memory(self._address, samples.astype("<i2").tobytes())
        return json.loads(self._board.exec(f"held.at = 0\nprint(analysis.one(held, {ug}, {clipped}))", timeout=300.0))

    def baseline(self) -> Any:
        return json.loads(self._board.exec("print(json.dumps(analysis.baseline()))"))

    def spectra(self) -> str:
        return self._board.exec("analysis.spectra()")

    def close(self) -> None:
        self._board.stop()


class Analysis:
    """A node's analysis that remembers, so several recordings in turn are one machine's life.

    where: "unix:" (the quick one), "rp2040:", "esp32_c3:". rate_hz: of all recordings it is given. samples: of a
    measurement. baseline: what an earlier one's `baseline()` gave. Raises AnalysisError for settings that the device
    refuses.
    """

    def __init__(
        self,
        settings: Settings,
        rate_hz: float,
        *,
        samples: int | None = None,
        baseline: dict[str, Any] | None = None,
        where: str = "unix:",
    ) -> None:
        self.rate_hz = rate_hz
        self.samples = full_length(rate_hz) if samples is None else samples
        given = {"rate": rate_hz, "config": settings.config(self.samples), "baseline": baseline}
        self._runner: _Runner = _Unix(given) if where == "unix:" else _Chip(where, given)
        self._index = 0
        self._bands_g: list[float] = []

    def run(self, acceleration: NDArray[np.floating[Any]], at_rails: bool | None = None) -> Verdict:
        """One measurement of `samples` values in g. at_rails: whether the recorder ran into its rails, None to look."""
        steps = acceleration * 1e6
        ug = max(UG_PER_LSB, int(np.ceil(np.abs(steps).max() / _FULL)))
        whole = np.clip(np.round(steps / ug), -_FULL, _FULL).astype(np.int16)
        answer = self._runner.one(whole, ug, clipped(acceleration) if at_rails is None else at_rails)
        answer["state"] = MACHINE[answer["state"]]
        answer["level"] = LEVELS[answer["level"]]
        for name, names in (("fault", FAULTS), ("zone", ZONES)):
            answer[name] = None if answer[name] is None else names[answer[name]]
        self._index += 1
        self._bands_g = answer["features"]["bands_g"]
        return Verdict(index=self._index - 1, **answer)

    def spectra(self) -> Spectra:
        """What the last measurement's features were read from."""
        head, powers, words, _ = self._runner.spectra().split("|")
        scale = json.loads(head)
        squares = np.frombuffer(base64.b64decode(powers), "<i4").astype(np.float64)
        places = np.linspace(0, 0.5, len(scale["droops"]))
        droops = np.interp(np.arange(len(squares)) / (2 * len(squares)), places, scale["droops"])
        parts = np.frombuffer(base64.b64decode(words), "<i4").astype(np.float64).reshape(-1, 2)
        parts[0] = 0.0  # the mean, which is gravity
        magnitudes = np.hypot(parts[:, 0], parts[:, 1])
        return Spectra(
            self.rate_hz / (2 * len(magnitudes)),
            magnitudes * self._scale(magnitudes),
            scale["envelope_hz"],
            np.sqrt(squares) * scale["line_g"] * droops,
            Levels(
                base64.b64decode(scale["levels"]["spectrum"]),
                base64.b64decode(scale["levels"]["envelope"]),
                float(scale["levels"]["spectrum_hz"]),
                float(scale["levels"]["envelope_hz"]),
                tuple(scale["levels"]["band_hz"]),
                tuple(scale["levels"]["marks_hz"]),
            ),
        )

    def _scale(self, magnitudes: NDArray[np.float64]) -> float:
        """g a unit: an octave's RMS, which the device told, is the sum of its bins' squares times 4**2 / 3 / 4**2."""
        bands = self._bands_g
        best = int(np.argmax(bands))
        last = len(magnitudes) >> (len(bands) - 1 - best)
        square = float(np.sum(magnitudes[last >> 1 : last] ** 2))
        return 4 * bands[best] / float(np.sqrt(square * 16 / 3)) if square else 0.0

    def baseline(self) -> dict[str, Any]:
        """What was learned so far, for another analysis."""
        result: dict[str, Any] = self._runner.baseline()
        return result

    def close(self) -> None:
        self._runner.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def full_length(rate_hz: float) -> int:
    """Samples of a whole measurement at that rate, as firmware/dsp/measurement.py chooses them."""
    decimation = 16
    while decimation > 2 and int(rate_hz) < 1500 * decimation:
        decimation //= 2
    return 2048 * decimation


def prepare(recording: Recording, rate_hz: float | None = None) -> tuple[float, int, list[NDArray[np.float32]]]:
    """(rate, samples of a measurement, the measurements in g) of a recording of one axis (`Recording.each`).

    A file of records gives one measurement a record. One sampled faster than rate_hz is brought to it; without a
    rate_hz, one sampled at more than 30 kHz to 26,667 Hz. Raises AnalysisError if it has several axes, or is shorter
    than a 32nd of a measurement.
    """
    return _cut(recording, rate_hz)[:3]


def _cut(recording: Recording, rate_hz: float | None) -> tuple[float, int, list[NDArray[np.float32]], list[bool]]:
    """As `prepare`, and of each measurement whether the recorder ran into its rails in it."""
    if recording.acceleration.shape[1] != 1:
        raise AnalysisError(f"{recording.name}: has {recording.acceleration.shape[1]} axes: analyse one at a time")
    signal = recording.acceleration[:, 0]
    rate = recording.rate_hz
    rails = rails_of(signal)  # before the rate is changed, which rounds what is flat
    each = recording.record_samples or len(signal)
    recorded = pieces = [signal[i : i + each] for i in range(0, len(signal) - each + 1, each)]
    if rate > (_FASTEST_HZ if rate_hz is None else rate_hz * (1 + _SAME_RATE)):
        ratio = Fraction((_SENSOR_HZ if rate_hz is None else rate_hz) / rate).limit_denominator(400)
        pieces = [resample(piece, ratio.numerator, ratio.denominator) for piece in pieces]
        rate = rate * ratio.numerator / ratio.denominator
    full = full_length(rate)
    count = full
    while count > len(pieces[0]):
        count //= 2
    least = max(full // 32, 1024)
    if count < least:
        raise AnalysisError(f"{recording.name}: {len(pieces[0])} samples at {rate:g} Hz: expected at least {least}")
    step = recording.rate_hz / rate
    blocks, at_rails = [], []
    for before, piece in zip(recorded, pieces, strict=True):
        for i in range(0, len(piece) - count + 1, count):
            blocks.append(piece[i : i + count])
            at_rails.append(clipped(before[round(i * step) : round((i + count) * step)], rails))
    return rate, count, blocks, at_rails


def analyze(recording: Recording, analysis: Analysis) -> Iterator[Verdict]:
    """The verdict after each measurement of a recording, at the analysis's rate.

    Raises AnalysisError if it is sampled more slowly, or its measurements are not as long.
    """
    rate, count, blocks, at_rails = _cut(recording, analysis.rate_hz)
    if abs(rate / analysis.rate_hz - 1) > _SAME_RATE:
        raise AnalysisError(
            f"{recording.name}: sampled at {rate:g} Hz, the baseline at {analysis.rate_hz:g} Hz: "
            "levels of different bands can't be compared; use recordings of one rate, or a slower one for the baseline"
        )
    if count != analysis.samples:
        raise AnalysisError(
            f"{recording.name}: has {count} samples per measurement, the baseline {analysis.samples}: "
            "use recordings of one length"
        )
    for block, ran_into in zip(blocks, at_rails, strict=True):
        yield analysis.run(block, ran_into)


def learned_from(recording: Recording, analysis: Analysis, wanted: int) -> dict[str, Any]:
    """The baseline that a healthy recording gave. Raises AnalysisError if it has not the measurements for one."""
    learned = analysis.baseline()
    if "rows" in learned:
        raise AnalysisError(
            f"{recording.name}: only {len(learned['rows'])} of {wanted} measurements can be learned from, "
            "in the others "
            "the machine stands still or the samples are clipped: use a recording of it running, or a smaller --learn"
        )
    return learned
