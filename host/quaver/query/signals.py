"""Spectra, waterfalls and waveforms of a node, as a screen draws them."""

from __future__ import annotations

import base64
import io
import tempfile
import wave
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Literal

import numpy as np

from quaver.errors import PageError
from quaver.query.clocks import NodeClocks
from quaver.query.waveforms import Waveform, waveforms
from quaver.store.rows import Node
from quaver.store.schema import HAS_SPECTRUM
from quaver.store.spectra import Spectrum, spectra, spectrum_of
from quaver.store.store import Store
from quaver_wire.fields import LEVELS
from quaver_wire.spectrum import BINS, amplitude_g, envelope_edges, spectrum_edges

ROWS_MOST = 600
_MARKS = ("shaft", "bpfo", "bpfi", "bsf2", "ftf")
_AMPLITUDES = [float(f"{amplitude_g(level):.4g}") for level in range(256)]
_COUNT = f"SELECT count(*) FROM record WHERE node = ? AND {HAS_SPECTRUM}"  # noqa: S608  ours
_LISTED = f"""
SELECT boot, seq, uptime_ms, time_ms, instr(body, '"level":1') > 0, instr(body, '"level":2') > 0 FROM record
WHERE node = ? AND {HAS_SPECTRUM} ORDER BY boot DESC, seq DESC
"""  # noqa: S608  and this
_HIGHEST = 0.9  # of full scale, for what is listened to


@dataclass(frozen=True)
class SpectrumRow:
    boot: int
    seq: int
    time_ms: int | None
    level: str


@dataclass(frozen=True)
class SpectrumShown:
    """hz, envelope_hz: the middle of each of 256 bins; g, envelope_g: the amplitude in it, 0 for below 10 micro-g.

    band_hz: the envelope's, None where it is not told. marks_hz: of the shaft and the bearing's lines, as far as known.
    """

    boot: int
    seq: int
    time_ms: int | None
    dated_by: str
    level: str
    hz: list[float]
    g: list[float]
    envelope_hz: list[float]
    envelope_g: list[float]
    band_hz: tuple[float, float] | None
    marks_hz: dict[str, float]
    shaft_hz: float | None


@dataclass(frozen=True)
class Waterfall:
    """levels: rows x 256 bytes in base64, oldest first, each 0.5 dB above 10 micro-g; 0 for below.

    hz_end: where the bins end: of a spectrum evenly spaced in the logarithm over 12 octaves, of an envelope evenly from
    0. Of several spectra between two rows the highest of each bin is in the row. shaft_hz: of each row.
    """

    kind: str
    times_ms: list[int]
    hz_end: float
    shaft_hz: list[float | None]
    levels: str


@dataclass(frozen=True)
class WaveformRow:
    """id: by which it is asked for. alarm: kept by the node at an alarm. before: the record that it belongs to."""

    id: str
    time_ms: int
    rate_hz: float
    samples: int
    rms_g: float
    alarm: bool
    boot: int
    before: int | None


@dataclass(frozen=True)
class WaveformShown:
    id: str
    time_ms: int
    rate_hz: float
    g: list[float]


def listed(store: Store, node: Node, since_ms: int, until_ms: int, limit: int) -> list[SpectrumRow]:
    """The newest spectra between two dates, the newest first."""
    clocks = NodeClocks(store, node.number)
    found: list[SpectrumRow] = []
    for boot, seq, uptime_ms, time_ms, warning, alarm in store.query(_LISTED, (node.number,)):
        moment = clocks.date_ms(boot, uptime_ms) if time_ms is None else time_ms
        if moment is not None and not since_ms <= moment <= until_ms:
            continue
        found.append(SpectrumRow(boot, seq, moment, LEVELS[2 if alarm else 1 if warning else 0]))
        if len(found) == limit:
            break
    return found


def count(store: Store, node: Node) -> int:
    return int(store.query(_COUNT, (node.number,))[0][0])


def first(store: Store, node: Node) -> int | None:
    """When the oldest spectrum was measured."""
    rows = store.query(_LISTED.replace("DESC", "ASC") + " LIMIT 1", (node.number,))
    clocks = NodeClocks(store, node.number)
    return (rows[0][3] or clocks.date_ms(rows[0][0], rows[0][2])) if rows else None


def _one(store: Store, node: Node, boot: int, seq: int) -> Spectrum:
    found = spectrum_of(store, node.id.hex(), boot, seq)
    if found is None:
        raise PageError(f"boot {boot}, seq {seq}: is no spectrum of this node", 404)
    return found


def as_png(store: Store, node: Node, boot: int, seq: int) -> bytes:
    """One spectrum as a picture, as `quaver node NAME spectrum` draws it. Raises PageError as `shown`."""
    from quaver.analysis.spectrum_plot import draw_spectrum_record

    found = _one(store, node, boot, seq)
    level = LEVELS[min(found.level, 2)]
    stamp = datetime.fromtimestamp(found.time_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    with tempfile.TemporaryDirectory(prefix="quaver-picture-") as folder:
        return draw_spectrum_record(
            Path(folder) / "spectrum.png",
            f"{node.id.hex()}, {stamp}: {level}",  # no text of a node: a picture can't mark it as such
            found.spectrum,
            found.envelope,
            spectrum_hz=found.spectrum_hz,
            envelope_hz=found.envelope_hz,
            marks_hz=found.marks_hz,
            band_hz=found.band_hz,
            level=level,
        ).read_bytes()


def shown(store: Store, node: Node, boot: int, seq: int) -> SpectrumShown:
    """One spectrum. Raises PageError where that record is none."""
    found = _one(store, node, boot, seq)
    marks = {name: mark for name, mark in zip(_MARKS, found.marks_hz, strict=False) if mark}
    return SpectrumShown(
        boot=boot,
        seq=seq,
        time_ms=found.time_ms,
        dated_by=found.dated_by,
        level=LEVELS[min(found.level, 2)],
        hz=_middles(spectrum_edges(found.spectrum_hz)),
        g=[_AMPLITUDES[level] for level in found.spectrum],
        envelope_hz=_middles(envelope_edges(found.envelope_hz)),
        envelope_g=[_AMPLITUDES[level] for level in found.envelope],
        band_hz=found.band_hz,
        marks_hz=marks,
        shaft_hz=marks.get("shaft"),
    )


def _middles(edges: list[float]) -> list[float]:
    return [float(f"{(low + high) / 2:.6g}") for low, high in pairwise(edges)]


def waterfall(
    store: Store, node: Node, kind: Literal["spectrum", "envelope"], since_ms: int, until_ms: int, rows: int
) -> Waterfall:
    """All spectra between two dates, in `rows` rows at most; an envelope of another band than most is left out."""
    given = list(spectra(store, node.id.hex(), since_ms, until_ms))
    if kind == "envelope" and given:
        band = Counter(one.band_hz for one in given).most_common(1)[0][0]
        given = [one for one in given if one.band_hz == band]
    given.sort(key=lambda one: one.time_ms)
    ends = [_end(one, kind) for one in given]
    end = max(ends, default=0.0)
    levels = np.zeros((len(given), BINS), np.uint8)
    for place, (one, its) in enumerate(zip(given, ends, strict=True)):
        levels[place] = _placed(
            np.frombuffer(one.spectrum if kind == "spectrum" else one.envelope, np.uint8), kind, its, end
        )
    places = np.array_split(np.arange(len(given)), min(rows, len(given))) if given else []
    return Waterfall(
        kind=kind,
        times_ms=[given[place[-1]].time_ms for place in places],
        hz_end=end,
        shaft_hz=[(given[place[-1]].marks_hz or (None,))[0] for place in places],
        levels=base64.b64encode(b"".join(levels[place].max(axis=0).tobytes() for place in places)).decode(),
    )


def _end(one: Spectrum, kind: str) -> float:
    return one.spectrum_hz if kind == "spectrum" else one.envelope_hz


def _placed(values: np.ndarray, kind: str, its_end: float, end: float) -> np.ndarray:
    """The levels in the bins that reach to `end`: rates differ a little."""
    if its_end == end:
        return values
    edges = np.array((spectrum_edges if kind == "spectrum" else envelope_edges)(end))
    own = np.array((spectrum_edges if kind == "spectrum" else envelope_edges)(its_end))
    bins = np.searchsorted(own, (edges[1:] + edges[:-1]) / 2) - 1
    return np.where((bins >= 0) & (bins < BINS), values[np.clip(bins, 0, BINS - 1)], 0)


def waveform_rows(store: Store, node: Node) -> list[WaveformRow]:
    """The newest first."""
    found = []
    for one in waveforms(store, node.id.hex())[0]:
        acceleration = np.frombuffer(one.data, "<i2") * one.scale_g
        found.append(
            WaveformRow(
                identity(one), one.time_ms, one.rate_hz, one.samples, float(f"{acceleration.std():.5g}"),
                one.before is None, one.boot, one.before,
            )
        )  # fmt: skip
    return sorted(found, key=lambda row: -row.time_ms)


def identity(one: Waveform) -> str:
    return f"{one.boot}-{one.before if one.before is not None else f'a{one.uptime_ms}'}"


def waveform(store: Store, node: Node, name: str) -> Waveform:
    """Raises PageError where there is none of that id."""
    for one in waveforms(store, node.id.hex())[0]:
        if identity(one) == name:
            return one
    raise PageError("there is no such waveform of this node", 404)


def waveform_shown(one: Waveform) -> WaveformShown:
    values = np.frombuffer(one.data, "<i2") * one.scale_g
    return WaveformShown(identity(one), one.time_ms, one.rate_hz, [float(f"{value:.5g}") for value in values])


def as_wav(one: Waveform) -> bytes:
    """To listen to: 16 bit at the node's rate, without its mean, as loud as can be."""
    values = np.frombuffer(one.data, "<i2").astype(float)
    values -= values.mean()
    values *= _HIGHEST * 32767 / max(float(np.abs(values).max()), 1.0)
    held = io.BytesIO()
    with wave.open(held, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(round(one.rate_hz))
        file.writeframes(values.astype("<i2").tobytes())
    return held.getvalue()
