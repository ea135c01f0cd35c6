"""Rules: what an output does for what is measured, is not known, fails, or is asked for by a person."""

import json
import sys
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from build import config
from build import rules as building
from quaver.board.spec import load_board, render_board
from quaver_wire.fields import FAULTS, LIMITED
from tests.programs import program

HOT = {"feature": "temperature_c", "above": 80, "hysteresis": 5, "output": "motor", "to": "off"}
MOTOR = {"pin": 15, "normal": "on"}
CLEAR = {**HOT, "until": "clear"}


class Bench:
    """The rules of a configuration, with pins, events and time of the test's own."""

    def __init__(self, tmp_path: Path, outputs: Any, rules: Any, **more: Any) -> None:
        whole = {"interval_s": 10, "time_server": "clock", "energy": {}, "outputs": outputs, "rules": rules, **more}
        self.config, problems = config.parse(whole)
        assert problems == []
        self.levels: dict[int, int] = {}
        self.events: list[tuple[str, str, dict[str, Any]]] = []
        self.now_ms: int | None = None
        self.kept = True
        self.path = tmp_path / "rules.tripped"
        self.start()

    def start(self) -> None:
        self.rules = building.build(self, self.config, str(self.path))  # type: ignore[arg-type]
        self.rules.attach(self, SimpleNamespace(time_ms=lambda: self.now_ms), lambda name: None, lambda: self.kept)

    def output(self, pin: int, level: bool) -> Callable[[bool], None]:
        self.levels[pin] = level
        return lambda level: self.levels.update({pin: level})

    def input(self, pin: int) -> Callable[[], int]:
        self.levels.setdefault(pin, 1)
        return lambda: self.levels[pin]

    def event(self, name: str, subject: str, **values: Any) -> None:
        self.events.append((name, subject, {key: value for key, value in values.items() if value is not None}))

    def measured(
        self,
        *marks: str,
        sensor: str = "temperature",
        level: int = 0,
        changes: Any = (),
        limits: Any = (),
        **values: Any,
    ) -> None:
        self.rules.take(sensor, values, marks, changes)
        self.rules.conclude(level, len(marks), limits)
        self.rules.tell()

    def hot(self, celsius: float | None) -> None:
        self.measured(**({} if celsius is None else {"temperature_c": celsius}), sensor="temperature")

    def unknown(self) -> None:
        self.measured("temperature_failed")

    def passes(self, seconds: float, step_ms: int = 500) -> None:
        for _ in range(int(seconds * 1000) // step_ms):
            self.rules.tick(step_ms)
            self.rules.tell()

    @property
    def texts(self) -> list[str]:
        return [values["text"] for _, _, values in self.events]


@pytest.fixture
def bench(tmp_path: Path) -> Callable[..., Bench]:
    return lambda outputs, rules, **more: Bench(tmp_path, outputs, rules, **more)


def test_an_output_is_safe_until_all_that_it_depends_on_is_known(bench: Callable[..., Bench]) -> None:
    b = bench({"motor": MOTOR}, {"hot": HOT, "loud": {**HOT, "feature": "rms_g", "above": 2}})
    assert b.levels == {15: False}
    b.passes(100)
    b.hot(20.0)
    assert b.levels == {15: False} and not b.events  # vibration was never measured
    b.measured(sensor="vibration", rms_g=0.1)
    assert b.levels == {15: True}
    assert [(name, subject) for name, subject, _ in b.events] == [("rule_acted", "loud")]


def test_a_trip_stays_until_a_person_resets_it_also_over_a_restart(bench: Callable[..., Bench]) -> None:
    b = bench({"motor": MOTOR}, {"hot": HOT})
    b.hot(20.0)
    b.passes(10)
    b.hot(80.5)
    assert b.levels == {15: False}
    assert b.events[-1] == (
        "rule_acted",
        "hot",
        {"text": "motor off: temperature_c above 80", "value": 80.5, "limit": 80.0},
    )
    with pytest.raises(ValueError, match="hot: temperature_c above 80; mend that first"):
        b.rules.reset("hot")
    b.hot(76.0)  # within the hysteresis
    with pytest.raises(ValueError, match="mend that first"):
        b.rules.reset("hot")
    b.start()
    b.hot(20.0)
    assert b.levels == {15: False}
    b.unknown()
    with pytest.raises(ValueError, match="not known"):
        b.rules.reset("hot")
    b.hot(20.0)
    b.rules.reset("hot")
    assert b.levels == {15: True} and b.texts[-1] == "motor on: reset by command"
    with pytest.raises(ValueError, match="has not tripped"):
        b.rules.reset("hot")
    with pytest.raises(ValueError, match="no rule cold"):
        b.rules.reset("cold")
    b.start()
    b.hot(20.0)
    assert b.levels == {15: True}


def test_of_a_corrupt_file_everything_has_tripped(bench: Callable[..., Bench]) -> None:
    b = bench({"motor": MOTOR}, {"hot": HOT})
    for broken in (b"hot 7", b"", b"\xff\xfe 1"):
        b.path.write_bytes(broken)
        b.start()
        b.hot(20.0)
        assert b.levels == {15: False}


def test_a_flash_that_does_not_take_the_trip_is_told_once(bench: Callable[..., Bench], tmp_path: Path) -> None:
    b = bench({"motor": MOTOR}, {"hot": HOT})
    b.path = tmp_path / "none" / "rules.tripped"
    b.start()
    b.hot(90.0)
    b.passes(30)
    assert [name for name, _, _ in b.events].count("flash_failed") == 1
    assert b.levels == {15: False}


def test_what_is_not_known_never_switches_on_and_after_a_time_off(bench: Callable[..., Bench]) -> None:
    b = bench({"motor": {**MOTOR, "unknown_s": 25}}, {"hot": CLEAR})
    b.hot(20.0)
    b.passes(10)
    b.unknown()  # one bad measurement does not stop a machine
    b.passes(10)
    assert b.levels == {15: True}
    b.unknown()
    b.passes(6)
    assert b.levels == {15: False}
    assert b.events[-1][:2] == ("rule_failed", "hot")
    assert b.texts[-1] == "motor off: not known: temperature_c above 80"
    b.passes(20)
    b.hot(20.0)
    assert b.levels == {15: True}
    b.passes(26)  # nobody measures at all: a task that hangs
    assert b.levels == {15: False}
    b.hot(90.0)
    b.unknown()
    b.hot(None)
    assert b.levels == {15: False}


def test_a_task_that_ends_takes_the_outputs_to_their_safe_state_at_once(bench: Callable[..., Bench]) -> None:
    b = bench({"motor": MOTOR, "siren": {"pin": 14, "safe": "on"}}, {"hot": CLEAR, "s": {**CLEAR, "output": "siren"}})
    b.hot(20.0)
    assert b.levels == {15: True, 14: True}
    b.hot(90.0)
    assert b.levels == {15: False, 14: False}
    b.rules.lose()
    assert b.levels == {15: False, 14: True}


def test_minimum_times_hold_back_all_but_the_way_to_safety(bench: Callable[..., Bench]) -> None:
    b = bench(
        {"motor": {**MOTOR, "min_off_s": 60, "min_on_s": 60}, "fan": {"pin": 14, "min_on_s": 60}},
        {"hot": CLEAR, "warm": {**CLEAR, "above": 50, "output": "fan", "to": "on"}},
    )
    b.hot(20.0)
    assert b.levels == {15: False, 14: False}  # a start counts as switched off
    b.passes(61)
    b.hot(60.0)
    assert b.levels == {15: True, 14: True}
    b.passes(10)
    b.hot(90.0)
    assert b.levels == {15: False, 14: True}  # no minimum holds a trip
    b.passes(10)
    b.hot(20.0)
    assert b.levels == {15: False, 14: True}
    b.passes(51)
    b.hot(20.0)
    assert b.levels == {15: True, 14: False}


def test_interlocked_outputs_are_never_on_together(bench: Callable[..., Bench]) -> None:
    low, high = (
        {**CLEAR, "above": 30, "output": "low", "to": "on"},
        {**CLEAR, "above": 50, "output": "high", "to": "on"},
    )
    outputs = {"low": {"pin": 14, "not_with": ["high"]}, "high": {"pin": 15, "min_on_s": 20}}
    b = bench(outputs, {"l": low, "h": high})
    b.hot(20.0)
    b.hot(60.0)  # both ask, and the first one has it
    assert sorted(b.levels.values()) == [False, True]
    on = next(pin for pin, level in b.levels.items() if level)
    other = "low" if on == 15 else "high"
    assert f"{other} off, waits (interlock): temperature_c above {30 if other == 'low' else 50}" in b.texts
    b.passes(10)
    b.hot(20.0)
    b.hot(60.0)
    assert sum(b.levels.values()) == 1


def test_a_condition_has_to_hold_for_its_time_by_measurements_that_show_it(bench: Callable[..., Bench]) -> None:
    b = bench({"motor": MOTOR}, {"hot": {**CLEAR, "for_s": 20}})
    b.hot(20.0)
    b.hot(90.0)
    b.passes(25)  # the time alone is no measurement
    assert b.levels == {15: True}
    b.hot(90.0)
    assert b.levels == {15: False}
    b.hot(20.0)
    b.hot(90.0)
    b.passes(10)
    b.unknown()  # towards safety the wait goes on
    b.passes(10)
    b.hot(90.0)
    assert b.levels == {15: False}
    b = bench({"fan": {"pin": 14}}, {"warm": {**CLEAR, "output": "fan", "to": "on", "for_s": 20}})
    b.hot(90.0)
    b.passes(10)
    b.unknown()  # away from it the wait begins again
    b.passes(10)
    b.hot(90.0)
    assert b.levels == {14: False}


def test_an_input_acts_between_measurements_and_a_lamp_blinks(bench: Callable[..., Bench]) -> None:
    stop = {"input": 2, "is": "high", "for_s": 0.1, "output": "motor", "to": "off"}
    lamp = {"input": 2, "is": "high", "output": "lamp", "to": "blink"}
    b = bench({"motor": MOTOR, "lamp": {"pin": 14, "active": "low"}}, {"stop": stop, "lamp": lamp})
    assert b.levels == {15: False, 14: True, 2: 1}  # a broken wire reads high
    b.levels[2] = 0
    b.passes(0.5, 50)
    assert b.levels == {15: True, 14: True, 2: 0}
    b.levels[2] = 1
    b.passes(0.05, 50)
    assert b.levels[15]
    seen = []
    for _ in range(40):
        b.passes(0.05, 50)
        seen.append(b.levels[14])
    assert not b.levels[15]
    assert sum(before != after for before, after in pairwise(seen)) == 4  # on, then each half second
    assert seen.count(False) == pytest.approx(20, abs=1)


def test_events_of_an_input_that_flutters_are_counted(bench: Callable[..., Bench]) -> None:
    b = bench({}, {"door": {"input": 2, "is": "low", "event": True}})
    for _ in range(200):
        b.levels[2] = 1 - b.levels[2]
        b.passes(0.05, 50)
    b.passes(10)
    assert [values.get("count", 1) for _, _, values in b.events] == [1, 99]


def test_the_time_of_the_day_is_unknown_until_the_clock_is_set(bench: Callable[..., Bench]) -> None:
    night = {"hours": [22, 6], "output": "lamp", "to": "on"}
    b = bench({"lamp": {"pin": 14}}, {"night": night, "old": {"uptime_s": 100, "event": True}})
    b.passes(50)
    assert b.levels == {14: False}
    for hour, on in ((21, False), (22, True), (5, True), (6, False)):
        b.now_ms = hour * 3_600_000 + 1_800_000_000_000 // 86_400_000 * 86_400_000
        b.passes(1)
        assert b.levels == {14: on}
    b.passes(50)
    assert b.texts[-1] == "event: 100 s after the start"


def test_a_level_and_a_fault_are_conditions_as_the_node_tells_them(bench: Callable[..., Bench]) -> None:
    def lamp(pin: int) -> dict[str, Any]:
        return {"pin": pin}

    def rule(output: str, **when: Any) -> dict[str, Any]:
        return {**when, "output": output, "to": "on"}

    outputs = {name: lamp(pin) for name, pin in (("any", 10), ("one", 11), ("race", 12), ("some", 13))}
    rules = {
        "any": rule("any", level="alarm"),
        "one": rule("one", level="warning", of="velocity"),
        "race": rule("race", fault="inner race"),
        "some": rule("some", fault="any"),
    }
    b = bench(outputs, rules, limits={"velocity": [2, 4]})

    def on() -> list[int]:
        return [pin for pin, level in b.levels.items() if level]

    found: dict[str, Any] = {"velocity_mm_s": 3.0, "fault": None}
    b.measured(sensor="vibration", level=1, limits=[("level", "velocity", {"level": 1})], **found)
    assert on() == [11]
    b.measured(sensor="vibration", level=2, changes=[("level", "rms", {"level": 2})], **{**found, "fault": 2})
    assert on() == [10, 11, 13]
    b.measured(sensor="vibration", level=2, **{**found, "fault": FAULTS.index("inner race")})
    assert on() == [10, 11, 12, 13]
    b.measured("clipped", sensor="vibration", level=0, limits=[("level", "velocity", {"level": 0})], **found)
    assert on() == [10, 11, 12, 13]  # what is clipped says neither
    b.measured(sensor="vibration", level=0, **found)
    assert on() == []


def test_a_meter_a_waveform_and_the_interval(bench: Callable[..., Bench]) -> None:
    busy = {"feature": "energy.power_w", "below": 100, "hysteresis": 10, "interval_s": 2}
    keep = {"feature": "rms_g", "above": 2, "waveform": True}
    b = bench({}, {"busy": busy, "keep": keep})
    b.measured(sensor="energy", energy=[230.0, 0.4, 90.0, 92.0, 1.0, 50.0, 7.0])
    assert b.rules.interval_ms(10_000) == 2000 and b.texts[-1] == "interval 2 s: energy.power_w below 100"
    b.passes(10)
    b.measured(sensor="energy", energy=[230.0, 0.4, 105.0, 92.0, 1.0, 50.0, 7.0])
    assert b.rules.interval_ms(10_000) == 2000
    b.measured(sensor="energy", energy=[230.0, 0.4, 111.0, 92.0, 1.0, 50.0, 7.0])
    assert b.rules.interval_ms(10_000) == 10_000
    assert b.texts[-1] == "interval as before: not energy.power_w below 100"
    b.measured(sensor="vibration", rms_g=3.0)
    assert b.events[-1][2] == {"text": "waveform kept: rms_g above 2", "value": 3.0, "limit": 2.0, "waveform": 1}
    b.kept = False  # another's stays
    b.measured(sensor="vibration", rms_g=1.0)
    b.passes(10)
    b.measured(sensor="vibration", rms_g=3.0)
    assert b.texts[-1] == "no waveform kept: rms_g above 2"


def test_on_the_device_it_allocates_nothing_and_a_measurement_acts_before_it_tells(
    micropython: Callable[..., Any],
) -> None:
    order, waited_ms, ended = micropython(program(__file__, "on_the_device"), virtual_time=True)
    assert order == ["pin 1", "rule_acted", "pin 0", "rule_acted", "level", "pin 1", "rule_acted", "level", "record"]
    assert waited_ms == 0  # a person who reads a waveform does not keep a machine from being looked after
    assert ended == ["pin 0", "rule_failed"]  # what measures has died


LINES = {
    '"outputs": {"m": {"pin": "1"}}': "outputs.m: pin: expected a GPIO",
    '"outputs": {"m": {"pin": 1, "safe": 1}}': "outputs.m: safe: expected one of off, on",
    '"outputs": {"m": {"pin": 1, "min_on_s": -1}}': "outputs.m: min_on_s: expected a number from 0 to 86400",
    '"outputs": {"m": {"pin": 1, "unknown_s": 60}}': "outputs.m: unknown_s: expected a number from 120.0 to 259200",
    '"outputs": {"m": {"pin": 1, "on": 1}}': "outputs.m: on: unknown key",
    '"outputs": {"m": {"pin": 1}, "n": {"pin": 1}}': "outputs.n: pin: GPIO 1 is taken by outputs.m",
    '"machine": {"tachometer_pin": 2}, "outputs": {"m": {"pin": 2}}': (
        "outputs.m: pin: GPIO 2 is taken by machine.tachometer_pin"
    ),
    '"outputs": {"m": {"pin": 1, "not_with": ["n"]}}': "outputs.m.not_with: no output n",
    '"outputs": {"m": {"pin": 1, "not_with": ["m"]}}': "outputs.m: not_with: expected a list of other outputs",
    '"outputs": {"m": {"pin": 1, "not_with": ["n"], "normal": "on"}, "n": {"pin": 2, "normal": "on"}}': (
        "outputs.m.normal: on, and so is n, with which it must not be"
    ),
    '"outputs": {"m": {"pin": 1, "not_with": ["n"]}, "n": {"pin": 2, "safe": "on"}}': (
        "outputs.n.safe: expected off, for it is interlocked"
    ),
    '"outputs": {"m": {"pin": 1}}': "outputs.m: no rule has this output",
    '"outputs": {"a b": {"pin": 1}}': "outputs.a b: expected a name of 1 to 12 of a-z 0-9 _ -",
    '"outputs": {"a": 1, "b": 1, "c": 1, "d": 1, "e": 1}': "outputs: expected an object of at most 4",
    '"rules": [1]': "rules: expected an object of at most 8",
    '"rules": {"r": {"event": true}}': "rules.r: expected one of feature, level, fault, input, hours, uptime_s",
    '"rules": {"r": {"uptime_s": 9}}': "rules.r: expected one of output, waveform, interval_s, event",
    '"rules": {"r": {"uptime_s": 9, "event": 1}}': "rules.r: event: expected true",
    '"rules": {"r": {"uptime_s": 9, "event": true, "above": 1}}': "rules.r: above: not with uptime_s",
    '"rules": {"r": {"uptime_s": 9, "event": true, "to": "on"}}': "rules.r: to: not with event",
    '"rules": {"r": {"uptime_s": 9, "interval_s": 61}}': "rules.r: interval_s: expected a number from 1 to 60.0",
    '"rules": {"r": {"uptime_s": 9, "output": "m", "to": "on"}}': (
        "rules.r: output: there is no such output, or it has a mistake"
    ),
    '"rules": {"r": {"feature": "samples", "above": 1, "event": true}}': (
        "rules.r: feature: expected one such as temperature_c, rms_g or energy.power_w"
    ),
    '"rules": {"r": {"feature": "power_w", "above": 1, "event": true}}': (
        "rules.r: feature: expected one such as temperature_c, rms_g or energy.power_w"
    ),
    '"rules": {"r": {"feature": "crest", "event": true}}': "rules.r: expected above or below, one of them",
    '"rules": {"r": {"level": "ok", "event": true}}': "rules.r: level: expected one of warning, alarm",
    '"rules": {"r": {"fault": "bad", "event": true}}': (
        "rules.r: fault: expected any, or the name of one, such as inner race"
    ),
    '"rules": {"r": {"level": "alarm", "of": "zone", "event": true}}': (
        "rules.r: of: expected one of rms, peak, crest, kurtosis, velocity, envelope, temperature, current"
    ),
    '"rules": {"r": {"input": [1], "is": "low", "event": true}}': "rules.r: input: expected a GPIO",
    '"rules": {"r": {"hours": [1, 1], "event": true}}': "rules.r: hours: needs two different hours, and a time_server",
    '"rules": {"r": {"hours": [1, 25], "event": true}}': (
        "rules.r: hours: expected [from, to], hours of the day in UTC"
    ),
    '"energy": null, "rules": {"r": {"feature": "energy.power_w", "above": 1, "event": true}}': (
        "rules.r: needs the sensor energy"
    ),
    '"vibration": null, "rules": {"r": {"uptime_s": 9, "waveform": true}}': (
        "rules.r: waveform: needs the sensor vibration"
    ),
    '"power": {"sleep": true}, "rules": {"r": {"uptime_s": 9, "event": true}}': (
        "rules: not with power.sleep: what they wait for does not live through sleep"
    ),
    '"role": "gateway", "rules": {"r": {"uptime_s": 9, "event": true}}': "rules: not on a gateway",
}


@pytest.mark.parametrize("written", LINES)
def test_a_mistake_is_a_line_and_leaves_every_output_safe(written: str) -> None:
    found, problems = config.parse(json.loads("{" + written + "}"))
    assert problems == [LINES[written]]
    assert not found["rules"]
    assert all(row["normal"] == row["safe"] for row in found["outputs"])


KEYS = [*building._WHEN, *building._DO, "pin", "not_with", "unknown_s", "to", "is", "above", "of", "for_s", "until"]
things = st.recursive(
    st.none() | st.booleans() | st.integers(-1, 50) | st.floats() | st.sampled_from(["on", "off", "low", "a", "any"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=5),
    max_leaves=8,
)


@given(
    outputs=things | st.dictionaries(st.text(max_size=3), things), rules=st.dictionaries(st.text(max_size=3), things)
)
def test_nothing_that_is_written_there_breaks_a_node(outputs: Any, rules: Any) -> None:
    found, problems = config.parse({"outputs": outputs, "rules": rules})
    assert problems or (len(found["outputs"]), len(found["rules"])) == (len(outputs or ()), len(rules))
    assert all(len(line) <= 96 for line in problems)  # what an event takes


def test_outputs_need_a_watchdog() -> None:
    unwatched = {"outputs": {"motor": MOTOR}, "rules": {"hot": HOT}, "watchdog_s": 0}
    assert config.parse(unwatched)[1] == ["outputs: need watchdog_s above 0, which resets a node that hangs"]


def test_pins_of_the_board_are_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    board = ModuleType("board")
    exec(render_board(load_board("pico_w")), board.__dict__)
    monkeypatch.setitem(sys.modules, "board", board)

    def problems(pin: int, **more: Any) -> list[str]:
        return config.parse({"outputs": {"motor": {"pin": pin}}, "rules": {"hot": HOT}, **more})[1]

    assert problems(15) == []
    assert problems(24)[0] == "outputs.motor: pin: GPIO 24 is none that rules may use on pico_w"
    for pin, sensor in ((4, "temperature (i2c0)"), (8, "energy (uart1)"), (17, "vibration (spi0)")):
        assert problems(pin)[0] == f"outputs.motor: pin: GPIO {pin} is taken by {sensor}"
    assert problems(8, energy=None) == []


def test_every_feature_of_a_level_is_of_a_sensor() -> None:
    for name in LIMITED:
        written = {"rules": {"r": {"level": "alarm", "of": name, "event": True}}}
        found, problems = config.parse(written)
        if name == "current":  # which needs a driver of one's own
            assert problems == ["rules.r: needs the sensor current"]
            continue
        (row,) = found["rules"]
        assert row["of"] == LIMITED[name] and row["sensor"] in ("vibration", "temperature")
