"""A node's judging code on this machine, for any number of nodes: what it says of measurements that records tell."""

from __future__ import annotations

import base64
import json
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from quaver.board.guest import guest
from quaver.board.local import last_line, start
from quaver.build.tree import without_packs
from quaver.errors import WhatIfError
from quaver.query.waveforms import Waveform
from quaver.release.bundle import read_release
from quaver.store.spectra import Spectrum
from quaver.twin.records import Change, Measured

_UNIX = "unix"
_RATE_HZ = 26_667.0  # of a node whose records do not say; its stretch alone depends on it
_SAMPLES = 32_768
_LEARNED = ("rms", "envelope", "velocity", "impacts")
# Lines and octaves are in few records; a trend divides time to the millisecond, which records do not tell.
_NOT_IN_RECORDS = ("bpfo", "bpfi", "bsf2", "ftf", "octave", "trend")


def aside(teach: bool) -> tuple[str, ...]:
    """The features that can't be judged by records. teach: whether the baseline can be learned from them."""
    return _NOT_IN_RECORDS if teach else (*_NOT_IN_RECORDS, *_LEARNED)


class Device:
    """Runs MicroPython with the firmware of this quaver, or of a release; a context manager.

    Entering, and everything else, raises WhatIfError for what the device refuses or can't do, and ReleaseError.
    """

    def __init__(self, release: Path | None = None) -> None:
        self._release = release
        self._first_s: dict[str, float] = {}  # of each node, what passed before the first measurement of a boot

    def __enter__(self) -> Self:
        self._folder = tempfile.TemporaryDirectory(prefix="quaver-device-")
        try:
            firmware = None
            if self._release is not None:
                firmware = Path(self._folder.name, "firmware")
                _unpack(self._release, firmware)
            self._process = start(guest(__file__, "replay"), heap="64m", firmware=firmware)
        except BaseException:
            self._folder.cleanup()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.kill()
        self._process.communicate()
        self._folder.cleanup()

    def open(
        self,
        name: str,
        config: Mapping[str, Any],
        changes: Mapping[str, Any],
        *,
        rate_hz: float | None,
        samples: int | None,
        teach: bool,
    ) -> None:
        """Begin a node anew: its config.json with `changes`; teach: whether its baseline is learned from records."""
        learned = tempfile.mkdtemp(dir=self._folder.name)
        rate = rate_hz or _RATE_HZ
        self._first_s[name] = (samples or _SAMPLES) / rate
        given = {"config": config, "changes": changes, "rate": rate, "folder": learned, "teach": teach}
        self._ask("open", [name, given])

    def parse(self, config: Mapping[str, Any]) -> dict[str, Any]:
        """What a node makes of a config.json: all of its settings."""
        found: dict[str, Any] = self._ask("parse", config)
        return found

    def measure(
        self, config: Mapping[str, Any], changes: Mapping[str, Any], waveform: Waveform
    ) -> tuple[dict[str, Any], dict[str, int], int | None, list[tuple[str, float, float]]]:
        """(features, levels by feature, zone, lines as (name, Hz, evidence in dB)) of one measurement by itself."""
        about = {
            "config": config,
            "changes": changes,
            "rate": waveform.rate_hz,
            "ug": round(waveform.scale_g * 1e6),
            "data": base64.b64encode(waveform.data).decode(),
        }
        said = self._ask("measure", about)
        return said["features"], said["levels"], said["zone"], [(name, hz, db) for name, hz, db in said["lines"]]

    def lines(
        self, config: Mapping[str, Any], changes: Mapping[str, Any], spectra: Sequence[Spectrum]
    ) -> list[list[tuple[float, float]]] | None:
        """(Hz, height over the background) of each of the bearing's lines, in each spectrum that has a speed in its
        marks; None where no bearing is known."""
        rows = [(one.envelope.hex(), one.envelope_hz, one.marks_hz[0]) for one in spectra]
        found: list[list[tuple[float, float]]] | None = self._ask(
            "lines", {"config": config, "changes": changes, "spectra": rows}
        )
        return found

    def judge(self, measured: Sequence[tuple[str, Measured, bool, bool]]) -> list[tuple[int, int | None, list[Change]]]:
        """(level, measurements learned from, changes) after each of (node, measurement, whether it may teach, whether
        it is the first that did)."""
        rows = [
            (
                name,
                one.boot,
                one.values,
                self._first_s[name] if one.since_s is None else one.since_s,
                teaches and one.teaches,
                one.begins and not first,
            )
            for name, one, teaches, first in measured
        ]
        judged = []
        for (_, one, _, _), (level, learned, those) in zip(measured, self._ask("judge", rows), strict=True):
            told = [
                Change(one.time_ms, feature, after, value, limit, source)
                for source, feature, after, value, limit in those
                if feature not in _NOT_IN_RECORDS
            ]
            judged.append((level, learned, told))
        return judged

    def _ask(self, verb: str, about: object) -> Any:
        source, sink = self._process.stdout, self._process.stdin
        assert source is not None and sink is not None
        try:
            sink.write(json.dumps([verb, about]) + "\n")
            sink.flush()
        except BrokenPipeError:
            pass
        said = source.readline()
        if said.startswith("refused "):
            raise WhatIfError(f"the node would refuse it: {said.removeprefix('refused ').strip()}")
        try:
            return json.loads(said)
        except ValueError:
            last = last_line(said + source.read())
            whose = f"the code of {self._release}" if self._release else "the device's code"
            raise WhatIfError(f"{whose} can't judge these records: {last}") from None


def _unpack(release: Path, folder: Path) -> None:
    """The release's modules for the unix board, each as a file: that MicroPython runs here, a chip's own does not."""
    bundle = read_release(release)
    if _UNIX not in bundle.manifest.boards:
        raise WhatIfError(
            f"{release}: is for {', '.join(sorted(bundle.manifest.boards))}; what-if runs a release on this machine: "
            f"make one with --board {_UNIX} too"
        )
    files = {file.path: bundle.contents[file.sha256] for file in bundle.files(_UNIX)}
    for path, data in without_packs(files).items():
        place = folder / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(data)
