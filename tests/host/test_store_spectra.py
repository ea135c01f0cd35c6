"""Spectrum records in the store: found again by node and date, and drawn."""

import json
import sqlite3
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from fleet import HOUR_MS, PLACE, Node
from test_ingest import FAN, NOW, PUMP, Bench

from quaver.analysis import waterfall
from quaver.cli import main
from quaver.errors import StoreError
from quaver.store.schema import VERSION
from quaver.store.spectra import Spectrum, find_node, last_spectrum, spectra
from quaver.store.store import Store
from quaver_wire.spectrum import BINS, amplitude_g, envelope_edges, spectrum_edges

MARKS = [29.95, 107.37, 162.19, 141.17, 11.93]


@pytest.fixture(params=["sqlite", "postgresql"])
def engine(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def fields(first: int = 0, **changed: Any) -> dict[str, Any]:
    """A spectrum whose first level is `first`."""
    given = {
        "level": 2, "spectrum": bytes((first, *range(1, BINS))), "envelope_spectrum": bytes(BINS),
        "spectrum_hz": 13333.5, "envelope_spectrum_hz": 833.4, "band_low_hz": 2000, "band_high_hz": 5000,
        "marks_hz": MARKS, "rms_g": None, "kurtosis": None,
    }  # fmt: skip
    return {**given, **changed}


def test_the_spectra_of_a_node_over_time(bench: Bench, pump: Node) -> None:
    """In the order of its numbers, by its own dates or its receipts', and no other node's."""
    fan = Node(bench.keys, FAN, "fan-1")
    for hour in range(5):
        now = NOW + hour * HOUR_MS
        dated = {"uptime_ms": 1000 + hour * HOUR_MS} | ({"time_ms": now - 60_000} if hour != 3 else {})
        bench.take(pump.says(), pump.says(**fields(hour), **dated), fan.says(**fields(99), time_ms=now), now=now)
    found = list(spectra(bench.store, PUMP.hex()))
    assert [one.spectrum[0] for one in found] == [0, 1, 2, 3, 4]
    assert [one.time_ms for one in found] == [NOW - 60_000 + hour * HOUR_MS for hour in range(5)]
    assert [one.dated_by for one in found] == ["node"] * 3 + ["offset", "node"]
    assert found[1] == Spectrum(
        topic=f"{PLACE}/pump-7", boot=1, seq=3, time_ms=NOW - 60_000 + HOUR_MS, dated_by="node", level=2, quality=0,
        spectrum=fields(1)["spectrum"], envelope=bytes(BINS), spectrum_hz=13333.5, envelope_hz=833.4,
        band_hz=(2000, 5000), marks_hz=tuple(MARKS),
    )  # fmt: skip
    some = spectra(bench.store, PUMP.hex(), since_ms=NOW + HOUR_MS // 2, until_ms=NOW + 2 * HOUR_MS)
    assert [one.spectrum[0] for one in some] == [1, 2]
    assert last_spectrum(bench.store, PUMP.hex()) == found[-1]
    assert last_spectrum(bench.store, "00" * 8) is None


def test_what_is_no_whole_spectrum_is_left_out(bench: Bench, pump: Node) -> None:
    broken: tuple[dict[str, Any], ...] = (
        {"spectrum": bytes(10)}, {"envelope_spectrum": None}, {"spectrum_hz": None}, {"spectrum_hz": 0.0},
    )  # fmt: skip
    bench.take(pump.says(**fields(7, marks_hz=None, band_high_hz=None, level=0)))
    bench.take(*(pump.says(**fields(**wrong)) for wrong in broken), pump.says())
    (found,) = spectra(bench.store, PUMP.hex())
    assert (found.spectrum[0], found.marks_hz, found.band_hz, found.level) == (7, (), None, 0)
    assert last_spectrum(bench.store, PUMP.hex()) == found


def test_a_node_is_found_by_name_or_id(bench: Bench, pump: Node) -> None:
    bench.take(pump.says(), Node(bench.keys, FAN, "fan-1").says())
    assert find_node(bench.store, "pump-7") == find_node(bench.store, PUMP.hex().upper()) == PUMP.hex()
    with pytest.raises(StoreError, match="has no record of a node pump; quaver ledger lists its nodes"):
        find_node(bench.store, "pump")


@pytest.mark.parametrize("engine", ["sqlite"])
def test_a_store_of_before_gets_its_indexes_when_it_is_written(bench: Bench, pump: Node) -> None:
    bench.take(pump.says(**fields(5)))
    bench.store.close()
    with sqlite3.connect(bench.path) as db:  # what version 2 had
        db.executescript("DROP INDEX record_spectrum; DROP INDEX node_hex; PRAGMA user_version = 2;")
        db.executescript("DROP TABLE removed; DROP TABLE removal; DROP TABLE hourly;")
        db.executescript("ALTER TABLE node ADD COLUMN oldest_boot INTEGER NOT NULL DEFAULT 0;")
    for write, version in ((False, 2), (True, VERSION), (False, VERSION)):
        with Store(bench.path, write=write) as store:
            assert (store.version, [one.spectrum[0] for one in spectra(store, PUMP.hex())]) == (version, [5])
            plan = store.query("SELECT name FROM sqlite_master WHERE name IN ('record_spectrum', 'node_hex')")
            assert len(plan) == (2 if version == VERSION else 0)


def test_the_bins_of_a_reader() -> None:
    edges = spectrum_edges(13333.5)
    assert (len(edges), edges[-1]) == (BINS + 1, 13333.5)
    assert edges[0] == pytest.approx(13333.5 / 4096)
    assert edges[64] / edges[0] == pytest.approx(8)  # 64 bins to three octaves
    assert envelope_edges(833.4)[::64] == pytest.approx([0, 208.35, 416.7, 625.05, 833.4])
    assert [amplitude_g(level) for level in (0, 40, 80, 255)] == pytest.approx([0, 1e-4, 1e-3, 23.7], rel=2e-3)


# What is drawn is asked for by the functions above, which both engines answer daily.
_ENGINES = ["sqlite", pytest.param("postgresql", marks=pytest.mark.nightly)]


@pytest.mark.parametrize("engine", _ENGINES)
def test_the_command_draws_the_last_spectrum(
    bench: Bench, pump: Node, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def run(*words: str) -> tuple[int, str, str]:
        return main(["node", *words, "--store", str(bench.path)]), *capsys.readouterr()

    monkeypatch.chdir(tmp_path)
    bench.take(pump.says())
    code, _, said = run("pump-7", "spectrum")
    assert code == 18 and "has no spectrum of pump-7" in said and "spectrum_every=1" in said
    bench.take(pump.says(**fields(3), time_ms=NOW), pump.says(**fields(9, level=1), time_ms=NOW + 1000))
    code, said, _ = run("pump-7", "spectrum")
    assert (code, said) == (0, "pump-7: spectrum of 2026-09-21T14:13:21+00:00, warning, in pump-7-spectrum.png\n")
    assert Path("pump-7-spectrum.png").read_bytes().startswith(b"\x89PNG")
    code, said, _ = run(PUMP.hex(), "spectrum", "--json", "--output", "one.svg")
    told = json.loads(said)
    assert (code, told["spectrum"][:4], told["marks_hz"], told["file"]) == (0, "0901", MARKS, "one.svg")
    drawn = Path("one.svg").read_text()
    for words in ("pump-7", "warning", "1797 1/min", "BPFO", "107.4 Hz", "2 x BPFI", "shaft", "2.0 to 5.0 kHz"):
        assert f"<!-- {words}" in drawn or words in drawn, words
    for given, why in (
        (("pump-8", "spectrum"), "has no record of a node pump-8"),
        (("pump-7", "spectrum", "--output", "x.txt"), "expected a name that ends in .pdf, .png, .svg"),
    ):
        code, _, said = run(*given)
        assert code and why in said and len(said.splitlines()) == 1, said


@pytest.mark.parametrize("engine", _ENGINES)
def test_the_command_draws_all_spectra_as_a_waterfall(
    bench: Bench, pump: Node, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def run(*words: str) -> tuple[int, str, str]:
        return main(["node", "pump-7", "spectrum", *words, "--store", str(bench.path)]), *capsys.readouterr()

    monkeypatch.chdir(tmp_path)
    bench.take(pump.says(**fields(), uptime_ms=1000, time_ms=NOW))
    code, _, said = run("--waterfall")
    assert code == 18 and "has 1 spectra of pump-7, and a waterfall needs two" in said
    # the speed and the rate change, one envelope is of another band, and a day is missing
    for hour, changed in enumerate(({"spectrum_hz": 13300.0}, {"band_low_hz": 5000}, {"marks_hz": MARKS[:1]}), 24):
        now = NOW + hour * HOUR_MS
        later = {"uptime_ms": 1000 + hour * HOUR_MS, "time_ms": now}
        bench.take(pump.says(**fields(200, level=1, **changed), **later), now=now)
    code, said, _ = run("--waterfall")
    assert (code, said) == (
        0, "pump-7: 4 spectra, 2026-09-21 14:13 to 2026-09-22 16:13 UTC, in pump-7-waterfall.png\n",
    )  # fmt: skip
    assert Path("pump-7-waterfall.png").read_bytes().startswith(b"\x89PNG")
    code, said, _ = run("--waterfall", "--since", "2026-09-22", "--json", "--output", "one.svg")
    assert (code, json.loads(said)["spectra"]) == (0, 3)
    drawn = Path("one.svg").read_text()
    for words in ("pump-7: 3 spectra", "shaft", "BPFO", "3xBPFI", "4xBSF", "level", "1 of other bands left out"):
        assert f"<!-- {words}" in drawn or words in drawn, words
    for given, why in (
        (("--waterfall", "--since", "soon"), "--since soon: expected a date (2026-09-21, 2026-09-21T14:00), or 90m"),
        (("--waterfall", "--since", "2099-01-01"), "has 0 spectra of pump-7 since then"),
        (("--since", "3d"), "--since: give --waterfall too"),
        (("--waterfall", "--output", "x.txt"), "expected a name that ends in .pdf, .png, .svg"),
    ):
        code, _, said = run(*given)
        assert code and why in said and len(said.splitlines()) == 1, said


def test_a_waterfall_of_many_spectra_shows_what_was_there_once(tmp_path: Path) -> None:
    """More rows than the picture has: the highest of those that share one."""
    low = bytes([40] * BINS)
    quiet = Spectrum("a/b/c/d/e/telemetry", 1, 1, 0, "node", 0, 0, low, low, 13333.0, 833.0, None, ())
    loud = replace(quiet, spectrum=bytes([200] * BINS))
    drawn = []
    for number in (-1, 777):
        rows = [waterfall.Row(float(i), 0, loud if i == number else quiet) for i in range(2000)]
        drawn.append(waterfall.draw_waterfall(tmp_path / f"{number}.png", "many", rows, "record").read_bytes())
    assert drawn[0] != drawn[1]
