"""Reports of a store's records: the same from both engines, as CSV, PDF and on the command line."""

import csv
import io
import json
from datetime import datetime
from pathlib import Path
from typing import Any

import pypdfium2
import pytest
from report_plant import MILL, MINUTE, MONDAY, mill, put
from test_ingest import Bench

from quaver.cli import main
from quaver.errors import ReportError
from quaver.reports import KINDS, Question, report
from quaver.reports.paper import pdf
from quaver.reports.sheets import sheet, sheets
from quaver.reports.spec import EXAMPLE, Spec, read_spec
from quaver.reports.words import as_json
from quaver.store.store import Store

DAY = 1440 * MINUTE
PUMP = "works/hall/line-1/=pump/@pump"
SPEC = read_spec(EXAMPLE)


@pytest.fixture(params=["sqlite", "postgresql"])
def engine(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def asked(kind: str, **changed: Any) -> Question:
    nodes = ("mill",) if kind in ("control", "life") else ()
    return Question(kind, **{"since_ms": MONDAY, "until_ms": MONDAY + 7 * DAY, "nodes": nodes, **changed})


@pytest.fixture
def plant(bench: Bench) -> Store:
    put(bench.store, MILL, mill(every=5))
    put(bench.store, PUMP, [one for one in mill(seed=2, every=10) if one[1] == "telemetry"])
    return bench.store


def test_every_figure_and_row_has_the_records_behind_it(plant: Store) -> None:
    """Or a reason why there is no figure."""
    stored = {(topic, boot, seq) for topic, boot, seq in plant.query("SELECT topic, boot, seq FROM dated")}
    for kind in KINDS:
        found = as_json(report(plant, asked(kind), SPEC), "en")
        assert found["figures"] and found["charts"] and found["notes"] and found["definitions"]
        for one in found["figures"]:
            has = one["value"] is not None or one["low"] is not None
            nothing_counted = one["value"] == 0 and one["key"].endswith("signals")
            of_file = one["key"] == "limit"
            assert bool(one["records"]) == (has and not nothing_counted and not of_file), one
            assert has or one["why"], one
        rows = [row for table in found["tables"] for row in table["rows"]]
        for records in (*(one["records"] for one in found["figures"]), *(row["records"] for row in rows)):
            for topic, first, last, count in records:
                assert {(topic, *first), (topic, *last)} <= stored and count >= 1
                assert last[1] - first[1] + 1 >= count or first[0] < last[0]


def test_what_the_store_has_comes_out(plant: Store) -> None:
    """The counter's first and last value, two failures, and a limit that the node told in an event."""
    found = as_json(report(plant, asked("energy", nodes=("mill",)), SPEC), "en")
    counter = [body["energy"][6] for _, kind, body in mill(every=5) if kind == "telemetry"]
    energy = next(one for one in found["figures"] if one["key"] == "energy")
    assert energy["value"] == pytest.approx(counter[-1] - counter[0]) and energy["unit"] == "kWh"
    failures = report(plant, asked("availability", nodes=("mill",)), SPEC).tables[0].rows[0].cells[6]
    assert failures == 2
    told = report(plant, asked("life"), Spec())
    limit = next(one for one in told.figures if one.key == "limit")
    assert limit.value == 4.5 and limit.behind[0].node == MILL and limit.behind[0].records == 1
    of_file = report(plant, asked("life"), SPEC)
    assert not next(one for one in of_file.figures if one.key == "limit").behind


def test_the_plants_of_a_prefix(plant: Store) -> None:
    every = report(plant, asked("energy"), SPEC)
    assert set(every.nodes) == {MILL, PUMP}
    assert report(plant, asked("energy", prefix="works/hall/line-2"), SPEC).nodes == (MILL,)
    with pytest.raises(ReportError, match="works/hall/line: has no node"):
        report(plant, asked("energy", prefix="works/hall/line"), SPEC)


@pytest.mark.parametrize("engine", ["sqlite"])
def test_what_can_not_be_asked(plant: Store) -> None:
    for question, why in (
        (asked("control", nodes=()), "is a report of one node, and 2 are meant"),
        (asked("control", nodes=("fan",)), "fan: .* has no such node"),
        (asked("control", quantity="colour"), "colour: is no quantity"),
        (asked("control", quantity="temperature_c"), "mill: has no temperature_c in this time"),
        (asked("energy", until_ms=MONDAY), "end lies before its begin"),
        (asked("energy", since_ms=0), "400 days at most"),
        (asked("energy", since_ms=MONDAY - 2 * DAY, until_ms=MONDAY - DAY), "no node that is meant has records"),
    ):
        with pytest.raises(ReportError, match=why):
            report(plant, question, SPEC)


@pytest.mark.parametrize("engine", ["sqlite"])
@pytest.mark.parametrize("language", ["en", "de"])
def test_the_sheets_are_csv_with_units_zones_and_records(plant: Store, language: str) -> None:
    for kind in KINDS:
        for key, text in sheets(report(plant, asked(kind), SPEC), language).items():
            rows = list(csv.reader(io.StringIO(text)))
            assert len({len(row) for row in rows}) == 1 and len(rows) > 1, key
            assert not [cell for row in rows for cell in row if cell[:1] in ("=", "@", "+")]
    rows = list(csv.reader(io.StringIO(sheet(report(plant, asked("energy"), SPEC), language))))
    assert rows[0][3].endswith("(kWh)") and rows[0][4].endswith("(EUR)") and rows[0][6].endswith("(boot/seq)")
    assert rows[1][0] in (PUMP, MILL) and rows[1][-1].isdecimal()
    peaks = list(csv.reader(io.StringIO(sheet(report(plant, asked("energy"), SPEC), language, "peaks"))))
    begins = datetime.fromisoformat(peaks[1][1])
    assert begins.utcoffset() is not None and begins.minute % 15 == 0
    with pytest.raises(ReportError, match="colour: is no table of this report; it has by_group, figures, peaks"):
        sheet(report(plant, asked("energy"), SPEC), language, "colour")


@pytest.mark.parametrize("engine", ["sqlite"])
@pytest.mark.parametrize(("language", "kinds"), [("en", ("energy", "availability", "control")), ("de", ("life",))])
def test_the_paper_says_what_the_report_says(plant: Store, language: str, kinds: tuple[str, ...]) -> None:
    for kind in kinds:
        found = report(plant, asked(kind), SPEC)
        pages = pypdfium2.PdfDocument(pdf(found, language, "Werk Süd", MONDAY))
        text = " ".join(page.get_textpage().get_text_range() for page in pages)
        flat = " ".join(text.split())
        shown = as_json(found, language)
        assert shown["title"] in flat and "Werk Süd" in flat and "mill" in flat
        for one in shown["figures"]:
            assert one["value"] is None or one["text"] in flat, one["text"]
        for said in shown["notes"]:
            assert said.split(":")[0] in flat


def run(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    code = main(["report", *words])
    return code, *capsys.readouterr()


@pytest.mark.parametrize("engine", ["sqlite"])
def test_the_command(
    plant: Store, bench: Bench, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LANG", "C.UTF-8")
    monkeypatch.delenv("LC_ALL", raising=False)
    monkeypatch.chdir(tmp_path)
    where = ["--store", str(bench.path), "--since", "2026-03-01T23:00", "--until", "2026-03-08T23:00"]
    assert run(capsys, "new", "plant.toml")[0] == 0
    code, _, said = run(capsys, "new", "plant.toml")
    assert code == 33 and "can't be written" in said
    code, said, _ = run(capsys, "energy", *where, "--config", "plant.toml")
    assert code == 0 and "Energy by shift and tariff" in said and "all together" in said
    code, said, told = run(capsys, "energy", *where, "--csv", "e.csv", "--pdf", "e.pdf")
    assert (code, said) == (0, "") and told.startswith("e.csv: written\ne-figures.csv: written\n")
    assert Path("e.pdf").read_bytes().startswith(b"%PDF") and Path("e-gaps.csv").exists()
    code, said, _ = run(capsys, "life", *where, "--node", "mill", "--limit", "9.5", "--json", "--language", "de")
    found = json.loads(said)
    assert (code, found["kind"], found["title"]) == (0, "life", "Restlebensdauer")
    assert found["about"]["quantity"]["key"] == "velocity_mm_s"
    code, said, _ = run(capsys, "co2")
    assert code == 0 and "DE 2024: 363 g/kWh (CO2, estimated); Umweltbundesamt" in said
    for given, why in (
        (("control", *where), "is a report of one node"),
        (("energy", *where, "--config", "none.toml"), "none.toml: can't be read"),
        (("energy", *where, "--pdf", "no/such/e.pdf"), "is no folder"),
        (("energy", *where[:4], "--until", "soon"), "--until soon: expected a date"),
    ):
        code, _, said = run(capsys, *given)
        assert code and why in said and len(said.splitlines()) == 1, said
