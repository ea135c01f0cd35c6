"""Measuring and publishing with parts that fail, on the real MicroPython in virtual time."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from quaver_wire.fields import EVENTS, QUALITY

MEASURE = """
import asyncio
from node.measure import Judge, Measure, Sensor, temperature

class Recorder:
    def __init__(self):
        self.events = []
        self.records = []
    def event(self, name, subject="", level=None, value=None, limit=None, text=None, reason=None):
        self.events.append([name, subject, level, value, limit, text, reason])
    def telemetry(self, values):
        self.records.append(values)

class Step:   # a threshold that does as it is told
    warning, alarm, level = 1.0, 2.0, 0
    def update(self, value):
        self.level = int(value)
        return self.level

recorder = Recorder()
def measure(sensors, thresholds={}, interval_s=60):
    return Measure(sensors, Judge(thresholds), recorder, interval_s, lambda name: None)
def times(measuring, count):
    for _ in range(count):
        asyncio.run(measuring.once())
"""


def test_a_failing_sensor_is_told_once_and_marked_until_it_answers_again(micropython: Callable[..., Any]) -> None:
    code = """
script = iter(["ok", OSError(5), OSError(5), OSError(204, 3), "ok", "ok"])
begun = []
async def read():
    step = next(script)
    if step != "ok":
        raise step
    return {"rms_g": 1.0}, ("dropped",), ()
times(measure([Sensor("vibration", lambda: begun.append(1), read)]), 6)
records = recorder.records
print(json.dumps([recorder.events, [r["quality"] for r in records], ["rms_g" in r for r in records], len(begun)]))
"""
    events, quality, present, begun = micropython(MEASURE + code, virtual_time=True)
    failed, dropped, stuck = (1 << QUALITY.index(name) for name in ("vibration_failed", "dropped", "stuck"))
    assert quality == [dropped, failed, failed, failed | stuck, dropped, dropped]
    assert present == [True, False, False, False, True, True]
    assert events == [
        ["sensor_failed", "vibration", None, None, None, None, [5]],
        ["sensor_recovered", "vibration", None, None, None, None, None],
    ]
    assert begun == 4  # at the start, and again after each failure


def test_one_dead_sensor_costs_nothing_of_the_others(micropython: Callable[..., Any]) -> None:
    code = """
class TMP:
    LOWEST_MILLI, HIGHEST_MILLI = -55_000, 150_000
    milli = 21_500
    def probe(self):
        pass
    def read_milli(self):
        return self.milli
def gone():
    raise OSError(19)
tmp = TMP()
m = measure([Sensor("vibration", gone, None), temperature(tmp)])
times(m, 1)
tmp.milli = 200_000
times(m, 1)
print(json.dumps([recorder.records, [e[:2] for e in recorder.events]]))
"""
    (first, second), events = micropython(MEASURE + code, virtual_time=True)
    assert first["temperature_c"] == 21.5
    assert "temperature_c" not in second
    assert second["quality"] == 1 << QUALITY.index("vibration_failed") | 1 << QUALITY.index("temperature_failed")
    assert events == [["sensor_failed", "vibration"], ["sensor_failed", "temperature"]]


def test_why_a_sensor_fails_is_a_number_in_the_event_and_words_on_the_console(micropython: Callable[..., Any]) -> None:
    code = """
import builtins, node.failure
said = []
builtins.print, plain = lambda *words: said.append(" ".join(words)), print
async def read():
    raise errors.pop()
def gone(*arguments):
    raise MemoryError
for error in (OSError(19), OSError(202, 0x6B), OSError(259), OSError("a text"), ValueError("sensor_failed"), OSError()):
    errors = [error]
    times(measure([Sensor("vibration", lambda: None, read)]), 1)
node.failure.load = gone
errors = [OSError(202, 0x6B)]
times(measure([Sensor("vibration", lambda: None, read)]), 1)
plain(json.dumps([[event[5:] for event in recorder.events], said, "quaver_wire.reasons" in sys.modules]))
"""
    events, said, kept = micropython(MEASURE + code, virtual_time=True)
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
    code = """
from node.measure import energy
class Meter:
    def __init__(self):
        self.absent = []
    def probe(self):
        pass
    async def read(self):
        self.absent[:] = script.pop(0)
        return [230500, -1500, None] if self.absent else [230500, -1500, 0]
once, other = (206, 0x1202), (207, 0x46)
script = [[once], [once, other], [], [once]] + [[(206, code)] for code in range(99)]
times(measure([energy(Meter())]), 103)
print(json.dumps([[r["energy"] for r in recorder.records[:4]], [r["quality"] for r in recorder.records],
                  [[e[:2], e[6]] for e in recorder.events]]))
"""
    energy, quality, events = micropython(MEASURE + code, virtual_time=True)
    assert energy == [[230.5, -1.5, None], [230.5, -1.5, None], [230.5, -1.5, 0.0], [230.5, -1.5, None]]
    assert not any(quality)
    assert events[:2] == [[["value_absent", "energy"], [206, 0x1202]], [["value_absent", "energy"], [207, 0x46]]]
    assert len(events) == 16  # one that names ever new reasons does not fill the journal


def test_each_change_of_level_is_an_event_with_the_limit_that_was_crossed(micropython: Callable[..., Any]) -> None:
    code = """
script = iter([0.0, 1.0, 2.0, 2.0, None, 0.0])
async def read():
    return {"rms_g": next(script)}, (), ()
times(measure([Sensor("vibration", lambda: None, read)], {"rms": Step()}), 6)
print(json.dumps([recorder.events, [r["level"] for r in recorder.records]]))
"""
    events, levels = micropython(MEASURE + code, virtual_time=True)
    assert levels == [0, 1, 2, 2, 2, 0]  # a reading that is absent changes no verdict
    assert events == [
        ["level", "rms", 1, 1.0, 1.0, None, None],
        ["level", "rms", 2, 2.0, 2.0, None, None],
        ["level", "rms", 0, 0.0, 2.0, None, None],
    ]


def test_measurements_keep_their_interval_however_long_one_takes(micropython: Callable[..., Any]) -> None:
    code = """
import time
starts = []
async def read():
    starts.append(time.ticks_ms())
    await asyncio.sleep_ms(1500)
    return {}, (), ()
async def main():
    task = asyncio.create_task(measure([Sensor("energy", lambda: None, read)], interval_s=10).run())
    await asyncio.sleep(35)
    task.cancel()
asyncio.run(main())
print(json.dumps(starts))
"""
    assert micropython(MEASURE + code, virtual_time=True) == [0, 10_000, 20_000, 30_000]


PUBLISH = """
import asyncio
from links.errors import LinkError
from node.outbox import Outbox
from node.publish import Publish
from node.supervisor import Supervisor

class Wifi:
    async def up(self, limit_ms):
        await asyncio.sleep_ms(100)

class Broker:
    # takes what it gets; `script` says which publish fails
    def __init__(self, failures):
        self.failures = failures
        self.got = []
        self.count = 0
        self.sessions = 0
    def up(self):
        self.sessions += 1
    def down(self):
        pass
    def idle(self):
        pass
    async def publish(self, topic, payload, limit_ms, retain=False):
        self.count += 1
        if self.count in self.failures:
            raise LinkError("gone")
        self.got.append([topic, payload.decode(), retain])

class Recorder:
    def account(self):
        pass
    def status(self, state):
        return b"on"

outbox = Outbox(1, argument)
def run(broker, seconds):
    deaths = []
    publishing = Publish(Wifi(), broker, outbox, "s/a/l/m/n/", Recorder(), asyncio.Lock(), lambda name: None)
    supervisor = Supervisor(lambda name, error: deaths.append(str(error)), None)
    supervisor.add("publish", publishing.run, 60)
    async def main():
        task = asyncio.create_task(supervisor.run())
        await asyncio.sleep(seconds)
        task.cancel()
    asyncio.run(main())
    return deaths
"""


def test_what_a_broken_session_did_not_acknowledge_is_sent_in_the_next(
    micropython: Callable[..., Any], tmp_path: Path
) -> None:
    code = """
for n in range(3):
    outbox.put("telemetry", n, b"t%d" % n)
outbox.put("event", 3, b"alarm")
broker = Broker({2, 5})     # the alarm's first try, and one telemetry
deaths = run(broker, 20)
print(json.dumps([broker.got, broker.sessions, deaths]))
"""
    got, sessions, deaths = micropython(PUBLISH + code, argument=str(tmp_path / "journal"), virtual_time=True)
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
    code = """
script = []  # (machine, level, mark), and how often
for count, step in ((3, (1, 0, ())), (12, (2, 0, ())), (2, (2, 1, ())), (2, (2, 0, ())), (1, (2, 0, ("dropped",))), (3, (0, 0, ()))):
    script += [step] * count
steps = iter(script)
async def read():
    values = {}
    values["machine"], values["level"], marks = next(steps)
    for name in ("peaks", "bands", "lines", "samples", "learned", "running_h", "rms_g"):
        values[name] = 1
    return values, marks, ()
times(measure([Sensor("vibration", lambda: None, read)]), len(script))
print(json.dumps([sorted(record) for record in recorder.records]))
"""  # noqa: E501
    records = micropython(MEASURE + code, virtual_time=True)
    whole = ["".join(".W"["peaks" in record]) for record in records]
    #       learning, watching: the first and the eleventh, a level, well again, a mark, stopped
    assert "".join(whole) == "WWWW.........W.WW..WW.."
    detail = {"peaks", "bands", "lines", "samples", "learned", "running_h", "heap_free"}
    for record, kind in zip(records, whole, strict=True):
        assert set(record) & detail == (detail if kind == "W" else set())
        assert {"rms_g", "level", "quality"} <= set(record)
    assert ["machine" in record for record in records] == [kind == "W" for kind in whole[:-2]] + [True, True]
