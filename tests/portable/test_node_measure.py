"""Measuring and publishing with parts that fail, on the real MicroPython in virtual time."""

import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

from quaver_wire.fields import EVENTS, QUALITY
from tests.programs import program


def test_a_failing_sensor_is_told_once_and_marked_until_it_answers_again(micropython: Callable[..., Any]) -> None:
    code = program(__file__, "failing_sensor")
    events, quality, present, begun = micropython(code, virtual_time=True)
    failed, dropped, stuck = (1 << QUALITY.index(name) for name in ("vibration_failed", "dropped", "stuck"))
    assert quality == [dropped, failed, failed, failed | stuck, dropped, dropped]
    assert present == [True, False, False, False, True, True]
    assert events == [
        ["sensor_failed", "vibration", None, None, None, None, [5]],
        ["sensor_recovered", "vibration", None, None, None, None, None],
    ]
    assert begun == 4  # at the start, and again after each failure


def test_one_dead_sensor_costs_nothing_of_the_others(micropython: Callable[..., Any]) -> None:
    code = program(__file__, "dead_sensor")
    (first, second), events = micropython(code, virtual_time=True)
    assert (first["temperature_c"], first["humidity_pct"]) == (21.5, 43.21)
    assert not {"temperature_c", "humidity_pct"} & second.keys()
    failed = (1 << QUALITY.index(f"{name}_failed") for name in ("vibration", "energy", "temperature"))
    assert second["quality"] == sum(failed)
    assert events == [["sensor_failed", name] for name in ("vibration", "energy", "temperature")]


def test_why_a_sensor_fails_is_a_number_in_the_event_and_words_on_the_console(micropython: Callable[..., Any]) -> None:
    code = program(__file__, "failure_reasons")
    events, said, kept = micropython(code, virtual_time=True)
    assert events == [
        [None, [19]],
        [None, [202, 107]],
        [None, [259]],
        ["a text", None],
        ["sensor_failed", None],
        ["OSError", None],
        [None, [202, 107]],
    ]
    assert said == [
        "node: vibration: no answer",
        "node: vibration: another part answers (identity 0x6B)",
        "node: vibration: error 259",
        "node: vibration: a text",
        "node: vibration: sensor_failed",
        "node: vibration: OSError",
        "node: vibration: (202, 107)",  # no room for the words
    ]
    assert not kept


def test_values_that_the_meter_does_not_give_are_absent_and_told_once(micropython: Callable[..., Any]) -> None:
    code = program(__file__, "absent_values")
    energy, quality, events, three_phases = micropython(code, virtual_time=True)
    assert energy == [[230.5, -1.5, None], [230.5, -1.5, None], [230.5, -1.5, 0.0], [230.5, -1.5, None]]
    assert not any(quality)
    assert events[:2] == [[["value_absent", "energy"], [206, 0x1202]], [["value_absent", "energy"], [207, 0x46]]]
    assert len(events) == 16  # one that names ever new reasons does not fill the journal
    assert three_phases == [list(range(7)), list(range(7, 16))]


def test_each_change_of_level_is_an_event_with_the_limit_that_was_crossed(micropython: Callable[..., Any]) -> None:
    code = program(__file__, "levels")
    events, levels = micropython(code, virtual_time=True)
    assert levels == [0, 1, 2, 2, 2, 0]  # a reading that is absent changes no verdict
    assert events == [
        ["level", "rms", 1, 1.0, 1.0, None, None],
        ["level", "rms", 2, 2.0, 2.0, None, None],
        ["level", "rms", 0, 0.0, 2.0, None, None],
    ]


def test_measurements_keep_their_interval_however_long_one_takes(micropython: Callable[..., Any]) -> None:
    code = program(__file__, "interval")
    assert micropython(code, virtual_time=True) == [0, 10_000, 20_000, 30_000]


def test_what_a_broken_session_did_not_acknowledge_is_sent_in_the_next(
    micropython: Callable[..., Any], tmp_path: Path
) -> None:
    code = program(__file__, "broken_session")
    got, sessions, deaths = micropython(code, argument=str(tmp_path / "journal"), virtual_time=True)
    status = ["s/a/l/m/n/status", "on", True]
    assert got == [
        status,
        status,
        ["s/a/l/m/n/event", "alarm", False],
        status,
        ["s/a/l/m/n/telemetry", "t0", False],
        ["s/a/l/m/n/telemetry", "t1", False],
        ["s/a/l/m/n/telemetry", "t2", False],
    ]
    assert sessions == 3
    assert deaths == ["gone", "gone"]


def test_event_codes_used_by_the_firmware_exist() -> None:
    assert {"level", "sensor_failed", "sensor_recovered", "task_restarted", "boot"} <= set(EVENTS)


def test_the_detail_comes_with_what_is_not_ordinary_and_now_and_then(micropython: Callable[..., Any]) -> None:
    code = program(__file__, "detail")
    records = micropython(code, virtual_time=True)
    whole = ["".join(".W"["peaks" in record]) for record in records]
    #       learning, watching: the first and the eleventh, a level, well again, a mark, stopped
    assert "".join(whole) == "WWWW.........W.WW..WW.."
    detail = {"peaks", "bands", "lines", "samples", "learned", "running_h", "heap_free"}
    for record, kind in zip(records, whole, strict=True):
        assert set(record) & detail == (detail if kind == "W" else set())
        assert {"rms_g", "level", "quality"} <= set(record)
    assert ["machine" in record for record in records] == [kind == "W" for kind in whole[:-2]] + [True, True]


def test_who_asks_for_a_measurement_is_told_the_verdict(micropython: Callable[..., Any]) -> None:
    """So that its meaning can be shown; of what is absent nothing is sent."""
    answer = micropython(program(__file__, "answer"), virtual_time=True)
    assert answer == {"rms_g": 0.5, "machine": 2, "level": 2, "zone": 3, "fault": 0, "quality": 1 << 1}


def kinds(records: list[Any]) -> str:
    """S a spectrum, W a whole record, . an ordinary one."""
    return "".join("S" if "spectrum" in names else "W" if "peaks" in names else "." for names, *_ in records)


def test_a_spectrum_follows_what_turns_and_comes_now_and_then(micropython: Callable[..., Any]) -> None:
    quiet, steps = ([], 0.0), []
    steps += [quiet] * 2 + [(["fault"], 0.0)] + [quiet] * 4 + [(["baseline_learned"], 0.0)] + [([], None)] * 4
    steps += [(["level", "level"], -1.0), ([], 2.0), ([], 2.0), quiet, ([], 2.0)]
    code = program(__file__, "spectra")
    records = micropython(code, argument={"every": 4, "steps": steps}, virtual_time=True)
    # a fault; four measurements later; the baseline; none of a sensor that failed; levels of
    # both kinds, of the sensor and of the configuration's limits
    assert kinds(records) == "W.WS...WSWS....WSWSWWSWS"
    pairs = [(one, other) for one, other in itertools.pairwise(records) if "spectrum" in other[0]]
    assert [one[1:] for one, _ in pairs] == [other[1:] for _, other in pairs]  # an old reader sees the level too
    assert {tuple(one[1:]) for one, _ in pairs} == {(0, 0), (0, 1 << QUALITY.index("clipped")), (2, 0)}
    never = micropython(code, argument={"every": 0, "steps": [quiet] * 30}, virtual_time=True)
    assert "S" not in kinds(never)


def test_an_alarm_is_given_its_evidence_and_says_whether_its_waveform_is_kept(micropython: Callable[..., Any]) -> None:
    level = lambda level: ["level", {"level": level}]  # noqa: E731
    changes = [[level(2)], [level(2)], [level(2), level(1)], [level(2)], [["fault", {"level": 2}]]]
    given = {"saves": [None, None, None, None, True, False, False, False, False], "changes": changes}
    told, saved = micropython(program(__file__, "attest"), argument=given, virtual_time=True)
    evidence = {
        "abstained": "bpfi is weak", "shaft_hz": 25.0, "shaft_confidence": 0.75, "evidence_line": 1, "signs": 3,
        "evidence_hz": 162.5, "evidence_g": 0.05, "evidence_db": 30.0, "margin_db": 6.0, "sidebands_db": 20.0,
        "harmonics_db": [40.0, None, 20.0],
    }  # fmt: skip
    alarm = {"level": 2, **evidence}
    failed = ["flash_failed", "waveform"]
    assert told[0] == [[alarm, alarm], [failed]]  # told once, however often it fails
    assert told[1] == [[alarm, alarm], []]
    kept = {**alarm, "waveform": 1}
    assert told[2] == [[kept, {"level": 1}, kept], []]  # kept once a measurement
    assert told[3] == [[alarm, alarm], []]  # another's stays
    assert told[4] == [[alarm, alarm], []]  # a fault has evidence too
    assert saved[0] == [128, 26667.0]
