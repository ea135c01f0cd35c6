"""A waveform from a node, part by part: the received parts are kept beside the file until it is complete.

The node puts off its next measurement while parts are asked for, and for 15 s after; then the samples are others. Those
of an alarm lie on its flash, and stay there until they are let go.
"""

from __future__ import annotations

import contextlib
import json
from binascii import crc32
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from quaver.errors import OperationError
from quaver.fleet.operator import Operator, Refused

FORMATS = (".npz", ".wav")
_AHEAD = 4  # parts asked for before the first has come; a node's queue takes eight
_SIZE_MAX = 1 << 20
_TIME_MAX_MS = 1 << 43  # in the year 2248


class _Parts:
    """What is known of one waveform; `path` keeps it between two runs."""

    def __init__(self, path: Path, node: str, about: dict[str, Any]) -> None:
        self.path = path
        self.node = node
        self.about = about
        self.parts: dict[int, bytes] = {}

    def missing(self) -> list[int]:
        return [at for at in range(0, self.about["size"], self.about["part"]) if at not in self.parts]

    def save(self) -> None:
        kept = {str(at): data.hex() for at, data in self.parts.items()}
        try:
            self.path.write_text(json.dumps({"node": self.node, "about": self.about, "parts": kept}))
        except OSError as error:
            raise OperationError(f"{self.path}: can't be written ({error.strerror}); name another file") from error

    def whole(self) -> bytes:
        data = b"".join(self.parts[at] for at in sorted(self.parts))
        if len(data) != self.about["size"] or crc32(data) != self.about["crc"]:
            raise OperationError("the waveform arrived corrupt; fetch it again")
        return data

    @classmethod
    def load(cls, path: Path, node: str) -> _Parts | None:
        try:
            given = json.loads(path.read_text())
            if given["node"] != node:
                return None
            found = cls(path, node, _checked(given["about"]))
            found.parts = {int(at): bytes.fromhex(data) for at, data in given["parts"].items()}
            return found
        except (OSError, ValueError, KeyError, TypeError, AttributeError, OperationError):
            return None


def _checked(about: dict[str, Any]) -> dict[str, Any]:
    if not (
        0 < about.get("size", 0) <= _SIZE_MAX
        and 0 < about.get("part", 0) <= 512
        and about.get("rate_hz", 0) > 0
        and about.get("scale_g", 0) > 0
        and 0 <= about.get("time_ms", 0) < _TIME_MAX_MS
    ):
        raise OperationError("the node's answer does not describe a waveform; update its firmware")
    return about


@dataclass(frozen=True)
class Waveform:
    """samples: counts of scale_g g, at rate_hz; crc: by which the node knows them. Of an alarm also the boot and
    uptime_ms of its moment, and time_ms, since 1970, where the node's clock was set.
    """

    samples: NDArray[np.int16]
    rate_hz: float
    scale_g: float
    crc: int
    boot: int | None = None
    uptime_ms: int | None = None
    time_ms: int | None = None


def fetch(node: Operator, path: Path, progress: Callable[[int, int], None], alarm: bool = False) -> Waveform:
    """The node's last measurement, or that of its last alarm; path: the file that it will be saved as.

    progress(bytes so far, bytes in all). Goes on with what an earlier run left beside `path`. Raises OperationError.
    """
    aside = path.with_name(path.name + ".part")
    parts = _Parts.load(aside, node.node.name)
    if parts is not None and ("boot" in parts.about) != alarm:
        parts = None  # of the other kind
    if parts is not None:
        try:
            _complete(node, parts, progress)
        except Refused:
            parts = None  # the node holds it no more
    if parts is None:
        parts = _Parts(aside, node.node.name, _checked(_asked(node, alarm)))
        _complete(node, parts, progress)
    data = parts.whole()
    with contextlib.suppress(OSError):
        aside.unlink()
    about = parts.about
    moment = {name: about.get(name) for name in ("boot", "uptime_ms", "time_ms")}
    samples = np.frombuffer(data, "<i2")
    return Waveform(samples, float(about["rate_hz"]), float(about["scale_g"]), about["crc"], **moment)


def let_go(node: Operator, waveform: Waveform) -> None:
    """Tell the node that an alarm's waveform is saved here, so that the next alarm's may take its place at once."""
    with contextlib.suppress(Refused):  # another alarm's has taken its place
        node.ask("alarm_waveform", {"fetched": waveform.crc})


def _asked(node: Operator, alarm: bool) -> dict[str, Any]:
    return node.ask("alarm_waveform", {"fetched": -1}) if alarm else node.ask("waveform")


def _complete(node: Operator, parts: _Parts, progress: Callable[[int, int], None]) -> None:
    missing = parts.missing()
    asked: list[tuple[int, int]] = []
    try:
        while missing or asked:
            while missing and len(asked) < _AHEAD:
                at = missing.pop(0)
                asked.append((at, node.send("waveform_part", {"at": at, "crc": parts.about["crc"]})))
            at, identity = asked.pop(0)
            parts.parts[at] = node.answer("waveform_part", identity)["data"]
            progress(sum(map(len, parts.parts.values())), parts.about["size"])
    finally:
        if parts.missing():
            parts.save()


def _comment(path: Path, words: bytes) -> None:
    """Add a comment of even length, its end included, to a .wav file: RIFF's LIST of the kind INFO, chunk ICMT."""
    text = words + b"\x00" * (2 - len(words) % 2)
    chunk = b"INFOICMT" + len(text).to_bytes(4, "little") + text
    with path.open("r+b") as file:
        file.seek(0, 2)
        file.write(b"LIST" + len(chunk).to_bytes(4, "little") + chunk)
        size = file.tell()
        file.seek(4)
        file.write((size - 8).to_bytes(4, "little"))


def save(path: Path, waveform: Waveform, name: str) -> tuple[Path, Path]:
    """Write the samples as .npz (as quaver analyze reads it) or .wav (float32, in g) and a picture beside it.

    Returns both paths. Raises OperationError, QuaverError.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    from quaver.analysis.spectra import amplitude_spectrum
    from quaver.analysis.spectra import save as save_figure

    samples, rate_hz, scale_g = waveform.samples, waveform.rate_hz, waveform.scale_g
    acceleration = samples * np.float32(scale_g)
    try:
        if path.suffix == ".wav":
            import scipy.io.wavfile

            scipy.io.wavfile.write(path, round(rate_hz), acceleration.astype(np.float32))
            _comment(path, b"acceleration in g")
        else:
            np.savez(path, x=samples, fs=rate_hz, g_per_lsb=scale_g)
    except OSError as error:
        raise OperationError(f"{path}: can't be written ({error.strerror}); name another file") from error
    figure = Figure(figsize=(11, 7), dpi=110, layout="constrained")
    FigureCanvasAgg(figure)
    figure.suptitle(f"{name}: {len(samples):,} samples at {rate_hz:,.0f} Hz, RMS {acceleration.std():.3f} g")
    above, below = figure.subplots(2, 1)
    above.plot(np.arange(len(samples)) * 1000 / rate_hz, acceleration, linewidth=0.6)
    above.set_xlabel("time (ms)")
    above.set_ylabel("acceleration (g)")
    frequencies, amplitudes = amplitude_spectrum(acceleration, rate_hz)
    below.plot(frequencies / 1000, amplitudes * 1000, linewidth=0.8)
    below.set_xlabel("frequency (kHz)")
    below.set_ylabel("amplitude (mg)")
    for axis in (above, below):
        axis.grid(alpha=0.3)
        axis.margins(x=0)
    return path, save_figure(figure, path.with_suffix(".png"))
