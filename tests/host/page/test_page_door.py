"""The door: what is asked of a plant, the same from both engines."""

import base64
import io
import struct
import wave
from binascii import crc32
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from fleet import PLACE, Node
from starlette.testclient import TestClient
from test_bridge import SPECTRUM
from test_ingest import FAN, NOW, Bench

from quaver.broker.reader import Message
from quaver.errors import PageError, StoreError
from quaver.fleet.keys import KeyStore
from quaver.query.clocks import HOUR_MS, NodeClocks, Span
from quaver.query.door import Door
from quaver.query.rollups import Rollups, Step, follow
from quaver.store.location import open_records
from quaver.upkeep.retention import retain
from quaver_wire.fields import EVENTS, FAULTS

DAY_MS = 24 * HOUR_MS
BEGIN_MS = NOW - 40 * DAY_MS
LEVEL, FAULT = EVENTS.index("level"), EVENTS.index("fault")


@pytest.fixture(params=["sqlite", "postgresql"])
def engine(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def rollups(tmp_path: Path) -> Iterator[Rollups]:
    found = Rollups(tmp_path / "page" / "rollups.sqlite")
    yield found
    found.close()


@pytest.fixture
def door(bench: Bench, rollups: Rollups) -> Iterator[Door]:
    found = Door(bench.path, rollups, lambda: NOW)
    yield found
    found.close()


def catch_up(door: Door) -> None:
    assert door.rollups is not None
    with door.source() as source:
        for _ in follow(source, door.rollups, 1_000_000):
            pass


def measured(node: Node, hours: float, **values: Any) -> Message:
    """What a node says so many hours after BEGIN_MS, in a boot that began then."""
    uptime = round(hours * HOUR_MS)
    return node.says(uptime_ms=uptime, time_ms=BEGIN_MS + uptime, **values)


def test_a_node_is_where_its_newest_records_say(bench: Bench, pump: Node, keys: KeyStore, door: Door) -> None:
    fan = Node(keys, FAN, "fan-1")
    bench.restart()
    bench.take(pump.says("status"), pump.says(rms_g=0.5, level=2, zone=3, fault=0), fan.says("status", role=1))
    rows = {row.name: row for row in door.nodes()}
    assert (rows["pump-7"].state, rows["pump-7"].level, rows["pump-7"].zone) == ("online", "alarm", 4)
    assert (rows["pump-7"].fault, rows["pump-7"].interval_s, rows["pump-7"].last_ms) == (FAULTS[0], 60, NOW)
    assert rows["pump-7"].path == PLACE.split("/") and rows["pump-7"].topic == f"{PLACE}/pump-7"
    assert (rows["fan-1"].role, rows["fan-1"].level) == ("gateway", "unknown")

    bench.take(pump.says(rms_g=0.1), fan.says("status", state=0))
    rows = {row.name: row for row in door.nodes()}
    assert (rows["pump-7"].level, rows["pump-7"].zone, rows["fan-1"].state) == ("ok", None, "offline")

    late = Door(bench.path, clock_ms=lambda: NOW + 180_001)
    assert {row.state for row in late.nodes()} == {"gone"}
    late.close()


def test_a_last_will_of_an_earlier_number_ends_the_status_before_it(bench: Bench, pump: Node, door: Door) -> None:
    will = pump.says("status", state=0)
    bench.take(pump.says("status"), will)
    assert door.nodes()[0].state == "offline"


def test_a_node_is_found_by_its_id_or_its_name(bench: Bench, pump: Node, door: Door) -> None:
    bench.take(pump.says())
    assert door.node(pump.id.hex()).name == door.node("pump-7").name == "pump-7"
    with pytest.raises(PageError, match="no such node") as failure:
        door.node("pump-8")
    assert failure.value.status == 404


@pytest.mark.parametrize("rolled", [False, True])
def test_a_short_range_has_every_record(bench: Bench, pump: Node, door: Door, rolled: bool) -> None:
    bench.take(*(measured(pump, n / 60, rms_g=n / 100, shaft_hz=25.0) for n in range(10)), pump.says(**SPECTRUM))
    if rolled:
        catch_up(door)
    else:
        door.rollups = None
    found = door.series("pump-7", "rms_g", BEGIN_MS + 60_000, BEGIN_MS + 5 * 60_000, 100)
    assert found.step_ms == 0 and found.times_ms == [BEGIN_MS + n * 60_000 for n in range(1, 6)]
    assert found.mean == found.low == found.high == pytest.approx([n / 100 for n in range(1, 6)], abs=1e-4)
    assert found.shaft_hz == [25.0] * 5 and (found.unit, found.title[:9]) == ("[g]", "vibration")
    fewer = door.series("pump-7", "rms_g", 0, NOW, 5)
    assert fewer.step_ms > 0 and len(fewer.times_ms) <= 5
    assert min(fewer.low) == pytest.approx(0) and max(fewer.high) == pytest.approx(0.09, abs=1e-4)
    assert door.series("pump-7", "temperature_c", 0, NOW, 5).times_ms == []
    with pytest.raises(PageError, match="no such quantity"):
        door.series("pump-7", "secret", 0, NOW, 5)


def test_without_roll_ups_a_long_range_is_refused_and_no_part_of_it_given(
    bench: Bench, pump: Node, door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("quaver.query.series._ROWS_MOST", 50)
    door.rollups = None
    bench.take(*(measured(pump, n, rms_g=1.0) for n in range(100)))
    with pytest.raises(PageError, match="shorter range") as failure:
        door.series("pump-7", "rms_g", 0, NOW, 1000)
    assert failure.value.status == 503
    assert len(door.series("pump-7", "rms_g", BEGIN_MS, BEGIN_MS + 5 * HOUR_MS, 1000).mean) == 6


def test_energy_is_a_quantity_too(bench: Bench, pump: Node, door: Door) -> None:
    bench.take(measured(pump, 0, energy=[230.0, 1.5, 300.0, 345.0, 0.87, 50.0, 12.5]))
    catch_up(door)
    assert door.series("pump-7", "energy.power_w", 0, NOW, 5).mean == [300.0]
    assert door.node("pump-7").quantities["energy.power_w"].value == 300.0


def test_what_a_machine_names_itself_is_a_quantity_too(bench: Bench, pump: Node, door: Door) -> None:
    for hour in range(48):
        bench.take(measured(pump, hour, quantities={"oil_pressure": [2.5 + hour, "bar"]}))
    catch_up(door)
    name = "quantities.oil_pressure"
    shown = door.node("pump-7").quantities[name]
    assert (shown.title, shown.unit, shown.value) == ("oil pressure", "bar", 49.5)
    for points in (100, 3):  # each record; roll-ups
        found = door.series("pump-7", name, BEGIN_MS, NOW, points)
        assert (found.unit, min(found.low), max(found.high)) == ("bar", 2.5, 49.5)
    with pytest.raises(PageError, match="no such quantity"):
        door.series("pump-7", "quantities.other", BEGIN_MS, NOW, 100)


def test_a_long_range_comes_from_roll_ups_that_keep_its_extremes(
    bench: Bench, pump: Node, door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("quaver.query.series.RAW_MOST", 50)
    bench.take(*(measured(pump, n / 4, rms_g=9.0 if n == 77 else 1.0) for n in range(100)))
    catch_up(door)
    found = door.series("pump-7", "rms_g", 0, NOW, 1000)
    assert found.step_ms == HOUR_MS and len(found.times_ms) == 25 + (BEGIN_MS % HOUR_MS > 0) * 0
    at = found.high.index(9.0)
    assert found.low[at] == 1.0 and found.mean[at] == pytest.approx(3.0)
    assert found.times_ms[at] <= BEGIN_MS + round(77 / 4 * HOUR_MS) < found.times_ms[at] + 2 * HOUR_MS
    coarse = door.series("pump-7", "rms_g", 0, NOW, 5)
    assert len(coarse.times_ms) <= 5 and max(coarse.high) == 9.0
    short = door.series("pump-7", "rms_g", BEGIN_MS, BEGIN_MS + 3 * HOUR_MS, 1000)
    assert short.step_ms == 0 and len(short.times_ms) == 13


def test_a_boot_that_is_dated_later_moves_without_building_anew(
    bench: Bench, pump: Node, door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("quaver.query.series.RAW_MOST", 1)
    bench.take(*(pump.says(uptime_ms=n * HOUR_MS, rms_g=1.0) for n in range(3)))
    catch_up(door)
    before = door.series("pump-7", "rms_g", 0, 2 * NOW, 100).times_ms
    bench.take(pump.says(uptime_ms=3 * HOUR_MS, time_ms=NOW - 5 * DAY_MS, rms_g=1.0))
    catch_up(door)
    after = door.series("pump-7", "rms_g", 0, 2 * NOW, 100).times_ms
    assert before[0] > NOW - DAY_MS and after[0] <= NOW - 5 * DAY_MS - 3 * HOUR_MS and len(after) == 4
    with door.source() as source:
        clocks = NodeClocks(source.store, 1)
        rows = source.store.query("SELECT boot, uptime_ms, time_ms FROM dated")
    assert all(abs(clocks.date_ms(boot, uptime) - at) <= 1 for boot, uptime, at in rows)  # type: ignore[operator]


def test_hours_on_both_sides_of_a_clock_that_was_set_again_are_dated_by_theirs(
    bench: Bench, pump: Node, door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("quaver.query.series.RAW_MOST", 1)
    begin = (NOW // HOUR_MS - 4000) * HOUR_MS
    hours = {0: 0, 1: 1, 3000: 3001, 3001: 3002}  # of uptime, and since then: its crystal is 0.03 % slow
    bench.take(
        *(pump.says(uptime_ms=n * HOUR_MS, time_ms=begin + at * HOUR_MS, rms_g=float(n)) for n, at in hours.items())
    )
    catch_up(door)
    found = door.series("pump-7", "rms_g", 0, NOW, 5000)
    assert found.times_ms == [begin + at * HOUR_MS for at in hours.values()] and found.mean == list(hours)
    part = door.series("pump-7", "rms_g", begin + HOUR_MS, begin + 3002 * HOUR_MS - 1, 5000)
    assert part.mean == [1, 3000]


def test_beyond_retention_the_hours_of_the_store_go_on(
    bench: Bench, pump: Node, door: Door, rollups: Rollups, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.take(*(measured(pump, 12 * n, rms_g=1.0 + n % 2) for n in range(79)), now=BEGIN_MS)
    catch_up(door)
    monkeypatch.setattr("quaver.query.series.RAW_MOST", 10)
    whole = door.series("pump-7", "rms_g", 0, NOW, 5000)
    with open_records(bench.path, beside=True) as store:
        retain(store, {"features": 20}, True, NOW)
    kept = door.series("pump-7", "rms_g", 0, NOW, 5000)
    assert (kept.times_ms, kept.mean) == (whole.times_ms, whole.mean), "nothing is counted twice"
    with door.source() as source:
        assert rollups.prune(source) > 30
    pruned = door.series("pump-7", "rms_g", 0, NOW, 5000)
    assert (pruned.times_ms, pruned.mean) == (whole.times_ms, whole.mean)


def test_the_roll_ups_are_a_cache_that_is_built_anew(
    bench: Bench, pump: Node, door: Door, rollups: Rollups, tmp_path: Path
) -> None:
    bench.take(*(measured(pump, n / 60) for n in range(130)))
    catch_up(door)
    catch_up(door)
    assert [one.n for one in rollups.buckets(1)] == [60, 60, 10]
    fresh = Rollups(tmp_path / "anew" / "rollups.sqlite")
    with door.source() as source:
        assert [len(batch) for batch in follow(source, fresh, 100, batch=60)] == [60, 40]
        assert fresh.row() == 100
        list(follow(source, fresh, 100))
    assert fresh.buckets(1) == rollups.buckets(1) and _hours(fresh) == _hours(rollups)
    fresh.close()


def _hours(rollups: Rollups) -> list[Step]:
    return rollups.steps(1, "rms_g", [Span(1, 0, 10, 0)], HOUR_MS)


def test_roll_ups_of_another_store_are_emptied(
    bench: Bench, pump: Node, door: Door, rollups: Rollups, tmp_path: Path, keys: KeyStore
) -> None:
    bench.take(*(measured(pump, n) for n in range(5)))
    catch_up(door)
    other = Bench(tmp_path / "other.sqlite", keys)
    pump.boot = 7
    other.take(pump.says())
    another = Door(other.path, rollups)
    catch_up(another)
    assert [(one.boot, one.n) for one in rollups.buckets(1)] == [(7, 1)]
    another.close()
    other.store.close()


def test_a_file_that_is_no_cache_is_refused_in_one_line(tmp_path: Path) -> None:
    path = tmp_path / "rollups.sqlite"
    path.write_text("nothing of the kind")
    path.chmod(0o600)
    with pytest.raises(StoreError, match="delete it"):
        Rollups(path)


@pytest.mark.parametrize("rolled", [False, True])
def test_events_are_sentences_and_tell_limits_and_evidence(bench: Bench, pump: Node, door: Door, rolled: bool) -> None:
    bench.take(
        pump.says("status"),
        pump.says("event", code=LEVEL, event_level=1, subject="rms", value=0.3, limit=0.25, time_ms=NOW - 9000),
        pump.says("event", code=LEVEL, event_level=2, subject="rms", value=0.5, limit=0.4, time_ms=NOW - 5000),
        pump.says("event", code=FAULT, event_level=2, subject="outer race", value=12.0, evidence_line=0,
                  evidence_hz=87.3, evidence_db=21.0, harmonics_db=[21, 14, 9], time_ms=NOW - 4000),
        pump.says(rms_g=0.5, level=2, fault=0, time_ms=NOW - 3000),
        now=NOW,
    )  # fmt: skip
    if rolled:
        catch_up(door)
    else:
        door.rollups = None
    found = door.events("pump-7", 0, NOW, 2)
    assert [one.code for one in found] == ["fault", "level"] and found[1].level == "alarm"
    assert found[1].text == "ALARM RMS 0.5 g, limit 0.4 g" and "BPFO at 87.3 Hz and 3 harmonics" in found[0].text
    assert [one.text for one in door.events("pump-7", 0, NOW, 2, "de")] == [
        "Befund: Außenring, 12 dB vor der nächsten Linie; BPFO bei 87,3 Hz und 3 Harmonische, mit 21 dB belegt",
        "ALARM Effektivwert 0,5 g, Grenzwert 0,4 g",
    ]
    assert [one.time_ms for one in door.events("pump-7", NOW - 9500, NOW - 8000, 9)] == [NOW - 9000]
    limit = door.node("pump-7").limits["rms_g"]
    assert (limit.warning, limit.alarm) == (pytest.approx(0.25), pytest.approx(0.4)) and "seq 2" in limit.source
    for language, title in (("en", "Damage on the outer race"), ("de", "Schaden am Außenring")):
        diagnosis = door.diagnosis("pump-7", language)
        assert diagnosis.verdict.startswith(title) and diagnosis.sure and diagnosis.level == "alarm"
        evidence = {"en": "21 dB of evidence", "de": "mit 21 dB belegt"}[language]
        assert any(evidence in one for one in diagnosis.evidence)
    assert (1, 3) in diagnosis.records and (1, 4) in diagnosis.records

    bench.take(pump.says("event", code=LEVEL, event_level=0, subject="rms", value=0.1), pump.says(rms_g=0.1))
    healthy = door.diagnosis("pump-7", "en")
    assert (healthy.verdict, healthy.sure, healthy.advice, healthy.evidence) == ("ok", False, [], [])


def test_text_of_a_node_is_one_printable_line(bench: Bench, pump: Node, door: Door) -> None:
    bench.take(pump.says("event", code=LEVEL, event_level=2, subject="\x1b[2J\n<script>", text="x" * 200))
    (event,) = door.events("pump-7", 0, NOW, 9)
    assert "\x1b" not in event.text + event.subject and "\n" not in event.text and len(event.text) <= 160


def test_spectra_and_waterfall(bench: Bench, pump: Node, door: Door) -> None:
    marks = [25.0, 87.5, 130.0, None, 10.0]
    bench.take(*(measured(pump, n, **SPECTRUM, level=n % 3, marks_hz=marks) for n in range(6)), pump.says())
    rows = door.spectra("pump-7", 0, NOW, 4)
    assert [row.seq for row in rows] == [5, 4, 3, 2] and [row.level for row in rows] == [
        "alarm",
        "warning",
        "ok",
        "alarm",
    ]
    shown = door.spectrum("pump-7", 1, 3)
    assert len(shown.hz) == len(shown.g) == len(shown.envelope_hz) == len(shown.envelope_g) == 256
    assert shown.g[0] == 0 and shown.g[255] == pytest.approx(1e-5 * 10 ** (255 / 40), rel=1e-3)
    assert shown.marks_hz == {"shaft": 25.0, "bpfo": 87.5, "bpfi": 130.0, "ftf": 10.0} and shown.shaft_hz == 25.0
    assert shown.hz[-1] < 13333.5 < shown.hz[-1] * 1.04
    with pytest.raises(PageError, match="no spectrum"):
        door.spectrum("pump-7", 1, 6)
    node = door.node("pump-7")
    assert (node.spectra.count, node.spectra.first_ms, node.marks_hz["bpfo"]) == (6, BEGIN_MS, 87.5)
    whole = door.waterfall("pump-7", "spectrum", 0, NOW, 100)
    levels = base64.b64decode(whole.levels)
    assert len(whole.times_ms) == 6 and len(levels) == 6 * 256 and levels[:256] == bytes(range(256))
    fewer = door.waterfall("pump-7", "envelope", 0, NOW, 2)
    assert len(fewer.times_ms) == len(fewer.shaft_hz) == 2 and len(base64.b64decode(fewer.levels)) == 2 * 256
    assert door.waterfall("pump-7", "spectrum", NOW, NOW, 2).times_ms == []


def test_a_waveform_is_put_together_and_can_be_heard(bench: Bench, pump: Node, door: Door) -> None:
    data = struct.pack("<400h", *(1000 * (-1) ** n for n in range(400)))
    about = {"size": len(data), "crc": crc32(data), "part": 400, "rate_hz": 26667.0, "scale_g": 0.001}
    bench.take(pump.says("answer", result=about), pump.says("answer", result={"at": 0, "data": data[:400]}))
    assert door.waveforms("pump-7") == []
    bench.take(pump.says("answer", result={"at": 400, "data": data[400:]}))
    (row,) = door.waveforms("pump-7")
    assert (row.samples, row.rate_hz, row.rms_g, row.alarm) == (400, 26667.0, 1.0, False)
    assert door.waveform("pump-7", row.id).data == data
    with pytest.raises(PageError, match="no such waveform"):
        door.waveform("pump-7", "9-9")


def test_ledger_refusals_clocks_and_health(bench: Bench, pump: Node, door: Door, tmp_path: Path) -> None:
    first = pump.says(time_ms=NOW - 700)
    pump.seq += 2
    bench.take(first, pump.says(time_ms=NOW - 500), Message(pump.topic("event").encode(), b"\xd0nonsense", 1, False))
    ledger = door.ledger()
    assert ledger.accounts[0].unexplained == 2 and str(ledger.accounts[0].gaps[0]) == "boot 1: seq 1 to 2"
    (refusal,) = door.refusals(None, None, 0, 10)
    assert (refusal.reason, refusal.count) == ("malformed", 1)
    assert door.refusals(None, "replay", 0, 10) == door.refusals("pump-7", None, 0, 10) == []
    clocks = door.clocks()
    assert (clocks.nodes[0].set, clocks.nodes[0].boot, clocks.nodes[0].by_receipt) == (True, 1, 0) and clocks.machine
    catch_up(door)
    health = door.health(tmp_path)
    assert (health.received_ms, health.delay_ms, health.records, health.waiting) == (NOW, 600, 2, 0)
    assert health.store_bytes and health.disk_free_bytes < health.disk_bytes


def test_the_api_tells_what_the_door_does(
    client: Callable[..., TestClient], bench: Bench, pump: Node, tmp_path: Path
) -> None:
    (tmp_path / "page").mkdir()
    data = struct.pack("<100h", *range(100))
    about = {"size": len(data), "crc": crc32(data), "part": 200, "rate_hz": 8000.0, "scale_g": 0.001}
    bench.take(
        pump.says("status"), pump.says(rms_g=0.5), pump.says(**SPECTRUM), pump.says("event", code=LEVEL, event_level=2),
        pump.says("answer", result=about), pump.says("answer", result={"at": 0, "data": data}),
    )  # fmt: skip
    page = client()

    def get(path: str) -> Any:
        answer = page.get(f"/api/v1{path}")
        assert answer.status_code == 200, answer.text
        return answer.json()

    node = get("/nodes/pump-7")
    assert node["name"] == "pump-7" and node["quantities"]["rms_g"]["value"] == 0.5 and node["config"] is None
    assert get("/nodes/pump-7/series?quantity=rms_g")["mean"] == [0.5]
    assert get("/nodes/pump-7/events")["events"][0]["code"] == "level"
    (spectrum,) = get("/nodes/pump-7/spectra")["spectra"]
    assert len(get(f"/nodes/pump-7/spectra/{spectrum['boot']}/{spectrum['seq']}")["g"]) == 256
    assert get("/nodes/pump-7/waterfall?kind=envelope&rows=5")["kind"] == "envelope"
    (row,) = get("/nodes/pump-7/waveforms")["waveforms"]
    assert len(get(f"/nodes/pump-7/waveforms/{row['id']}")["g"]) == 100
    sound = page.get(f"/api/v1/nodes/pump-7/waveforms/{row['id']}.wav")
    assert sound.headers["content-type"] == "audio/wav"
    with wave.open(io.BytesIO(sound.content)) as file:
        assert (file.getframerate(), file.getnframes()) == (8000, 100)
    assert get("/nodes/pump-7/diagnosis")["level"] == "ok"
    assert get("/ledger")["accounts"][0]["unexplained"] == 0
    assert get("/refusals?limit=5") == {"refusals": []}
    assert get("/clocks")["nodes"][0]["topic"] == f"{PLACE}/pump-7"
    assert get("/health")["records"] == 6
    for path, status in (
        ("/nodes/nobody", 404), ("/nodes/pump-7/spectra/1/99", 404), ("/nodes/pump-7/spectra/x/y", 404),
        ("/nodes/pump-7/waveforms/9-9", 404), ("/nodes/pump-7/series?quantity=nothing", 404),
        ("/nodes/pump-7/series?quantity=rms_g&points=100000", 400), ("/nodes/pump-7/events?limit=0", 400),
        ("/nodes/pump-7/events?since_ms=-1", 400), ("/nodes/pump-7/series", 400), ("/refusals?secret=1", 400),
    ):  # fmt: skip
        answer = page.get(f"/api/v1{path}")
        assert answer.status_code == status and list(answer.json()) == ["error"], path
