"""The lake: each record of a store once in Parquet, whatever is killed, as a reader of others finds it."""

import hashlib
import json
import os
import re
import signal
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import pyarrow.parquet as pq
import pytest
from fleet import HOUR_MS, Node
from test_bridge import ENERGIES, SPECTRUM
from test_cli import refused
from test_ingest import Bench

from quaver.broker.reader import Message
from quaver.cli import main
from quaver.lake import export as module
from quaver.lake.columns import SCHEMA
from quaver.query.source import Source
from quaver_wire.fields import EVENTS
from quaver_wire.spectrum import amplitude_g

ROOT = Path(__file__).parents[2]
DAY_MS = 24 * HOUR_MS
NOW_MS = 1_795_608_000_000  # 2026-11-25 12:00 UTC
QUAVER = Path(sys.executable).with_name("quaver")


@pytest.fixture
def lake(tmp_path: Path) -> Path:
    return tmp_path / "lake"


def export(bench: Bench, lake: Path) -> module.Done:
    with Source(bench.path) as source:
        return module.export(source, lake)


def on(node: Node, day: int, message_class: str = "telemetry", seconds: int = 0, **values: Any) -> Message:
    """What a node says on a day of its boot; the third is that of NOW_MS."""
    uptime = day * DAY_MS + seconds * 1000
    return node.says(message_class, uptime_ms=uptime, time_ms=NOW_MS - 3 * DAY_MS + uptime, **values)


def manifest(lake: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((lake / "manifest.json").read_text())
    return found


def ask(lake: Path, sql: str) -> list[tuple[Any, ...]]:
    """What DuckDB says of the lake, `records` in the question."""
    files = f"read_parquet('{lake}/*/*/*.parquet', hive_partitioning = true)"
    return duckdb.sql(sql.replace("records", files)).fetchall()


def sound(lake: Path) -> int:
    """The records of a lake whose manifest is right."""
    found = manifest(lake)
    for file in found["files"]:
        data = (lake / file["path"]).read_bytes()
        assert (file["sha256"], file["bytes"]) == (hashlib.sha256(data).hexdigest(), len(data))
        assert pq.read_metadata(lake / file["path"]).num_rows == file["records"]
    assert {file["path"] for file in found["files"]} == {str(p.relative_to(lake)) for p in lake.rglob("*.parquet")}
    assert not list(lake.glob(".*"))
    total: int = found["records"]
    assert total == sum(file["records"] for file in found["files"])
    return total


@pytest.mark.parametrize("engine", ["sqlite", "postgresql"])
def test_every_record_stands_there_once_with_all_that_it_says(bench: Bench, pump: Node, lake: Path) -> None:
    bench.take(
        pump.says("status", time_ms=NOW_MS),
        pump.says(time_ms=NOW_MS, rms_g=0.5, level=2, quality=1, energy=ENERGIES, peaks=[29.5, 0.25], uptime_ms=7),
        pump.says(time_ms=NOW_MS + 1, **SPECTRUM),
        pump.says("event", time_ms=NOW_MS, code=EVENTS.index("level"), event_level=2, subject="rms", value=0.5),
        now=NOW_MS + 60_000,
    )
    assert export(bench, lake).records == 4
    assert sound(lake) == 4
    (row,) = ask(lake, "SELECT site, day, id, node, boot, seq, level, quality, rms_g, energy_power_w, uptime_ms, more, "
                 "epoch_ms(time), epoch_ms(received) FROM records WHERE kind = 'telemetry'")  # fmt: skip
    assert row[:2] == ("plant", datetime(2026, 11, 25, tzinfo=UTC).date())
    assert row[2:11] == (pump.id.hex(), "pump-7", 1, 1, "alarm", ["dropped"], 0.5, 300.0, 7)
    assert json.loads(row[11]) == {"peaks": [[29.5, 0.25]]}
    assert row[12:] == (NOW_MS, NOW_MS + 60_000)
    ((levels,),) = ask(lake, "SELECT spectrum FROM records WHERE kind = 'spectrum'")
    assert levels == pytest.approx([amplitude_g(level) for level in range(256)])
    assert ask(lake, "SELECT code, event_level, subject, value FROM records WHERE kind = 'event'") == [
        ("level", "alarm", "rms", 0.5)
    ]
    assert ask(lake, "SELECT state, firmware FROM records WHERE kind = 'status'") == [("online", "0.1.0")]


@pytest.mark.parametrize("engine", ["sqlite", "postgresql"])
def test_a_second_run_adds_what_is_new_and_late_records_to_their_day(bench: Bench, pump: Node, lake: Path) -> None:
    early = on(pump, 2, rms_g=0.125)
    bench.take(on(pump, 3), now=NOW_MS)
    assert export(bench, lake).records == 1
    before = {file["path"]: file["sha256"] for file in manifest(lake)["files"]}
    assert export(bench, lake) == module.Done()
    bench.take(early, on(pump, 3, seconds=1), now=NOW_MS)
    assert export(bench, lake).records == 2
    assert sound(lake) == 3
    assert before.items() <= {file["path"]: file["sha256"] for file in manifest(lake)["files"]}.items()
    assert ask(lake, "SELECT day::VARCHAR, count(*) FROM records GROUP BY day ORDER BY day") == [
        ("2026-11-24", 1), ("2026-11-25", 2),
    ]  # fmt: skip
    assert ask(lake, "SELECT rms_g FROM records WHERE day = '2026-11-24'") == [(0.125,)]


@pytest.mark.parametrize("moment", range(6))
def test_killed_at_any_moment_it_goes_on_with_nothing_lost_or_twice(
    bench: Bench, pump: Node, lake: Path, moment: int
) -> None:
    """The moments: before each file that is put in place, the manifests included."""
    bench.take(on(pump, 3), now=NOW_MS)
    export(bench, lake)
    bench.take(*(on(pump, day, seconds=1) for day in range(4)), now=NOW_MS)
    program = """
import os, signal, sys
from pathlib import Path
from quaver.cli import main
from quaver.lake import export

left, replace = int(sys.argv[3]), Path.replace

def die(self, target):
    global left
    left -= 1
    if left < 0:
        os.kill(os.getpid(), signal.SIGKILL)
    return replace(self, target)

Path.replace = die
export._READ = export._ROUND = 2
main(["export", "--store", sys.argv[1], "--parquet", sys.argv[2]])
"""
    killed = subprocess.run([sys.executable, "-c", program, bench.store.path, lake, str(moment)], timeout=120)
    assert killed.returncode == -signal.SIGKILL
    named = manifest(lake)["records"]
    assert named in (1, 3)
    assert export(bench, lake).records == 5 - named
    assert sound(lake) == 5
    assert ask(lake, "SELECT count(*), count(DISTINCT (id, boot, seq)) FROM records") == [(5, 5)]


def test_a_folder_of_something_else_is_left_alone(bench: Bench, pump: Node, lake: Path) -> None:
    bench.take(pump.says())
    lake.mkdir()
    (lake / "mine.txt").write_text("mine")
    run = [QUAVER, "export", "--store", bench.store.path, "--parquet", lake]
    assert "has other files in it" in refused(subprocess.run(run, capture_output=True, text=True, timeout=60), 27)
    (lake / "manifest.json").write_text("{}")
    assert "no manifest" in refused(subprocess.run(run, capture_output=True, text=True, timeout=60), 27)
    (lake / "manifest.json").write_text('{"format": "quaver lake", "version": 9}')
    assert "of version 9" in refused(subprocess.run(run, capture_output=True, text=True, timeout=60), 27)
    assert sorted(path.name for path in lake.iterdir()) == ["manifest.json", "mine.txt"]


def test_another_store_is_not_mixed_in(bench: Bench, pump: Node, lake: Path, tmp_path: Path, keys: Any) -> None:
    bench.take(pump.says())
    export(bench, lake)
    other = Bench(tmp_path / "other.sqlite", keys)
    other.take(pump.says())
    run = [QUAVER, "export", "--store", other.store.path, "--parquet", lake]
    assert "another store" in refused(subprocess.run(run, capture_output=True, text=True, timeout=60), 13)
    other.store.close()


def test_a_full_disk_is_one_line_and_leaves_what_stands(bench: Bench, pump: Node, lake: Path) -> None:
    bench.take(pump.says())
    export(bench, lake)
    bench.take(*(pump.says() for _ in range(50)))
    full = f"ulimit -f 1; exec {QUAVER} export --store {bench.store.path} --parquet {lake}"  # blocks of 1 kB a file
    ended = subprocess.run(["bash", "-c", full], capture_output=True, text=True, timeout=60)
    assert "free disk space" in refused(ended, 27)
    assert sound(lake) == 1
    assert export(bench, lake).records == 50


def test_without_pyarrow_it_says_what_to_install(bench: Bench, pump: Node, lake: Path) -> None:
    bench.take(pump.says())
    program = "import sys; sys.modules['pyarrow'] = None; from quaver.cli import main; sys.exit(main(sys.argv[1:]))"
    run = [sys.executable, "-c", program, "export", "--store", bench.store.path, "--parquet", lake]
    line = refused(subprocess.run(run, capture_output=True, text=True, timeout=60, env=dict(os.environ)), 27)
    assert "pip install 'quaver[parquet]'" in line
    assert not lake.exists()


def test_the_questions_of_the_page_have_answers(
    bench: Bench, pump: Node, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    bench.take(
        on(pump, 3, "event", code=EVENTS.index("level"), event_level=2, subject="rms"),
        *(on(pump, day, rms_g=0.25 * day, quantities={"oil_pressure": [day + 0.5, "bar"]}) for day in range(1, 4)),
        now=NOW_MS,
    )
    assert main(["export", "--store", str(bench.store.path), "--parquet", str(tmp_path / "lake")]) == 0
    assert "4 records added in 3 files" in capsys.readouterr().out
    page = (ROOT / "docs/lake.md").read_text()
    questions = re.findall(r"```sql\n(.*?)```", page, re.DOTALL)
    monkeypatch.chdir(tmp_path)
    answers = [duckdb.sql(question).fetchall() for question in questions]
    assert len(answers) == 4 and all(answers)
    assert [row[2:] for row in answers[3]] == [(1.5, "bar"), (2.5, "bar"), (3.5, "bar")]
    named = set(re.findall(r"^\| `(\w+)`", page, re.MULTILINE))
    assert named <= set(SCHEMA.names) | {"site", "day"}
