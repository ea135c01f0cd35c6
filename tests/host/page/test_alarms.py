"""Alarms: the states of ISA-18.2, from records and persons, each once, whatever is killed, late or done at random."""

import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quaver.alarms.base import Alarm
from quaver.alarms.engine import SHELF_MAX_MS, Engine
from quaver.alarms.groups import grouped
from quaver.alarms.view import text_of
from quaver.errors import AlarmError
from quaver.query.health import Expiry
from quaver.query.source import Place, Reading
from quaver.store.ledger import Account, Gap

T0 = 1_790_000_000_000
MINUTE, HOUR, DAY = 60_000, 3_600_000, 86_400_000
PUMP, FAN, GATE = "e6614c311b7e6f25", "0000aabbccddeeff", "00000000000000aa"
TOPICS = {PUMP: "plant/hall/line/pump/pump-7", FAN: "plant/hall/line/fan/fan-1", GATE: "plant/hall/line/x/gate"}


class Plant:
    """Records by hand, of a store that numbers them; each comes a second after the last, unless `at` says when."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.engine = Engine(path)
        self.row = 0
        self.now = T0
        self.seq: dict[str, int] = {}
        self.boot = 1

    def reading(
        self, kind: str, values: dict[str, Any], node: str = PUMP, at: int | None = None,
        place: tuple[int, int] | None = None,
    ) -> Reading:  # fmt: skip
        self.row += 1
        self.now += 1000
        boot, seq = place or (self.boot, self.seq.get(node, 0))
        if place is None:
            self.seq[node] = seq + 1
        number = sorted(TOPICS).index(node)
        when = self.now if at is None else at
        return Reading(
            Place(self.row, number, boot, seq), node, TOPICS[node], kind, when, "node", self.now, values, False, True, 0
        )

    def take(self, *readings: Reading) -> list[Alarm]:
        return self.engine.take(readings, self.now)

    def level(self, level: str, subject: str = "rms", **more: Any) -> Reading:
        values = {"code": "level", "event_level": level, "subject": subject, "value": 0.5, "limit": 0.4}
        return self.reading("event", values, **more)

    def fault(self, name: str = "outer race", **more: Any) -> Reading:
        return self.reading("event", {"code": "fault", "event_level": "alarm", "subject": name}, **more)

    def fine(self, **more: Any) -> Reading:
        return self.reading("telemetry", {"level": "ok", "machine": "watching"}, **more)

    def status(self, state: str = "online", **more: Any) -> Reading:
        role = "gateway" if more.get("node") == GATE else "node"
        return self.reading("status", {"state": state, "interval_s": 60, "role": role}, **more)

    def kill(self) -> None:
        self.engine.close()
        self.engine = Engine(self.path)

    def the(self, subject: str = "level rms", node: str = PUMP) -> Alarm:
        found = self.engine.find(node, subject)
        assert found is not None
        return found

    def told(self, subject: str = "level rms", node: str = PUMP) -> list[tuple[str, str, str]]:
        """(act, before, after) from the first to the last."""
        return [(t.act, t.before, t.after) for t in self.engine.history(self.the(subject, node).id)[::-1]]


@pytest.fixture
def plant(tmp_path: Path) -> Plant:
    return Plant(tmp_path / "alarms.sqlite")


def test_an_alarm_goes_through_its_life_and_says_who_and_when(plant: Plant) -> None:
    (raised,) = plant.take(plant.level("alarm"))
    assert (raised.state, raised.priority, raised.since_ms) == ("unack-active", "medium", T0 + 1000)
    known = plant.engine.acknowledge(raised.id, "ann", T0 + MINUTE, text="heard it", work_order="WO-7")
    assert (known.state, known.acknowledged_by, known.acknowledged_ms) == ("ack-active", "ann", T0 + MINUTE)
    (cleared,) = plant.take(plant.level("ok"))
    assert cleared.state == "normal" and cleared.cleared_ms == plant.now
    plant.engine.comment(raised.id, "ben", T0 + HOUR, text="greased", cause="lubrication")
    (again,) = plant.take(plant.level("warning"))
    assert again.id == raised.id and again.priority == "low" and again.cause == "lubrication"
    assert [(c.who, c.text, c.cause, c.work_order) for c in plant.engine.comments(raised.id)] == [
        ("ann", "heard it", None, "WO-7"), ("ben", "greased", "lubrication", ""),
    ]  # fmt: skip
    assert plant.told() == [
        ("raise", "normal", "unack-active"), ("acknowledge", "unack-active", "ack-active"),
        ("clear", "ack-active", "normal"), ("raise", "normal", "unack-active"),
    ]  # fmt: skip
    assert plant.engine.records(raised.id) == [(1, 2), (1, 1), (1, 0)]


def test_what_cleared_waits_for_a_person(plant: Plant) -> None:
    plant.take(plant.level("alarm"), plant.level("ok"))
    alarm = plant.the()
    assert alarm.state == "unack-cleared" and [a.id for a in plant.engine.listed()] == [alarm.id]
    plant.kill()
    plant.engine.tick(plant.now + 300 * DAY)
    assert plant.the().state == "unack-cleared"
    assert plant.engine.acknowledge(alarm.id, "ann", plant.now).state == "normal"
    with pytest.raises(AlarmError, match=r"^alarm 1: acknowledge is not possible: the alarm is normal$"):
        plant.engine.acknowledge(alarm.id, "ann", plant.now)


def test_what_was_over_long_before_the_first_start_is_history(plant: Plant) -> None:
    """A store of years: what is over asks for nobody, what was over last night does, and what is wrong stands."""
    year = T0 - 365 * DAY
    plant.take(
        plant.level("alarm", "rms", at=year), plant.level("ok", "rms", at=year + HOUR),
        plant.level("alarm", "peak", at=T0 - 8 * HOUR), plant.level("ok", "peak", at=T0 - 7 * HOUR),
        plant.level("alarm", "zone", at=year),
        plant.level("alarm", "kurtosis", at=year), plant.level("ok", "kurtosis", at=year + HOUR),
        plant.level("warning", "kurtosis", at=T0 - HOUR),
    )  # fmt: skip
    assert {alarm.subject: alarm.state for alarm in plant.engine.listed()} == {
        "level peak": "unack-cleared", "level zone": "unack-active", "level kurtosis": "unack-active",
    }  # fmt: skip
    assert plant.told()[-1] == ("archive", "unack-cleared", "normal") and plant.the().cleared_ms == year + HOUR
    begun = plant.engine.begun_ms
    plant.kill()
    plant.now += 30 * DAY  # the page was down: what came and went meanwhile waits for a person
    plant.take(plant.level("alarm", "rms"), plant.level("ok", "rms"))
    assert plant.the().state == "unack-cleared"
    assert plant.engine.begun_ms == begun == plant.engine.lists_from_ms + DAY
    check(plant.engine)


def test_what_one_bearing_raises_is_one_row_and_acknowledged_in_one_act(plant: Plant) -> None:
    plant.take(*(plant.level("warning", subject) for subject in ("rms", "trend", "bpfo")), plant.fault())
    plant.take(plant.level("alarm", "zone", node=FAN), plant.status("offline"))
    groups = grouped(plant.engine.listed())
    shown = [(one.trouble, one.name, one.nodes, one.level, one.priority, len(one.alarms)) for one in groups]
    assert sorted(shown) == [
        ("machine", "fan", [FAN], "alarm", "high", 1),
        ("machine", "pump", [PUMP], "alarm", "high", 4),
        ("node", "pump-7", [PUMP], "warning", "medium", 1),
    ]
    bearing = next(one for one in groups if one.name == "pump")
    assert plant.engine.get(bearing.lead).subject == "fault" and bearing.state == "unack-active"
    first, *others = bearing.alarms
    plant.engine.acknowledge(first, "ben", plant.now)
    done = plant.engine.acknowledge_all(bearing.alarms, "ann", plant.now, "ordered", "bearing", "WO-9")
    assert [alarm.id for alarm in done] == others and {alarm.state for alarm in done} == {"ack-active"}
    assert {plant.engine.get(one).acknowledged_by for one in others} == {"ann"}
    assert all(plant.engine.comments(one)[0].work_order == "WO-9" for one in others)
    assert plant.engine.get(first).acknowledged_by == "ben" and not plant.engine.comments(first)
    with pytest.raises(AlarmError, match="none of these alarms"):
        plant.engine.acknowledge_all(bearing.alarms, "ann", plant.now)
    with pytest.raises(AlarmError, match="there is no alarm 99"):
        plant.engine.acknowledge_all([99, next(one for one in groups if one.name == "fan").lead], "ann", plant.now)
    assert plant.the("level zone", FAN).state == "unack-active"
    (one,) = [one for one in grouped(plant.engine.listed()) if one.name == "pump"]
    assert (one.key, one.state) == (bearing.key, "ack-active")


def test_a_level_that_rises_is_told_anew_and_one_that_falls_is_not(plant: Plant) -> None:
    plant.take(plant.level("warning"))
    plant.engine.acknowledge(1, "ann", plant.now)
    plant.take(plant.level("warning"))  # as after a restart of the node
    assert plant.the().state == "ack-active"
    plant.take(plant.level("alarm"))
    assert (plant.the().state, plant.the().level) == ("unack-active", "alarm")
    plant.engine.acknowledge(1, "ann", plant.now)
    plant.take(plant.level("warning"))
    assert (plant.the().state, plant.the().level, plant.the().priority) == ("ack-active", "warning", "low")


def test_each_subject_and_node_has_an_alarm_of_its_own(plant: Plant) -> None:
    plant.take(plant.level("alarm"), plant.level("alarm", "zone"), plant.level("alarm", node=FAN))
    plant.take(plant.reading("event", {"code": "sensor_failed", "subject": "vibration", "text": "no answer"}))
    plant.take(plant.fault(), plant.reading("event", {"code": "sensor_recovered", "subject": "vibration"}))
    assert [(a.node == FAN, a.subject, a.priority, a.state) for a in plant.engine.listed()] == [
        (False, "fault", "high", "unack-active"), (False, "level zone", "high", "unack-active"),
        (True, "level rms", "medium", "unack-active"), (False, "level rms", "medium", "unack-active"),
        (False, "sensor vibration", "medium", "unack-cleared"),
    ]  # fmt: skip
    plant.engine.acknowledge(plant.the("fault").id, "ann", plant.now)
    plant.take(plant.fault("inner race"))  # another one: to be told anew
    assert plant.the("fault").state == "unack-active"
    plant.take(plant.fine())
    assert plant.the("fault").state == "unack-cleared" and plant.the().active  # what its events tell, they end


def test_a_shelf_ends_by_itself_and_says_so(plant: Plant) -> None:
    plant.take(plant.level("alarm"))
    with pytest.raises(AlarmError, match="at most 7 days"):
        plant.engine.shelve(1, "ann", plant.now, plant.now + SHELF_MAX_MS + 1, "noise")
    with pytest.raises(AlarmError, match="give a reason"):
        plant.engine.shelve(1, "ann", plant.now, plant.now + HOUR, "  ")
    end = plant.now + HOUR
    plant.engine.shelve(1, "ann", plant.now, end, "repair at ten")
    assert plant.the().held_why == "repair at ten"
    plant.kill()
    assert not plant.engine.tick(end - 1)
    (back,) = plant.engine.tick(end + MINUTE)
    assert (back.state, back.until_ms) == ("unack-active", None)
    last = plant.engine.history(1)[0]
    assert (last.act, last.at_ms, last.who, last.why) == ("expire", end, "", "its time is over")


@pytest.mark.parametrize("aside", ["shelve", "out of service"])
def test_what_began_and_ended_behind_a_shelf_waits_for_a_person(plant: Plant, aside: str) -> None:
    engine = plant.engine
    plant.take(plant.level("alarm"), plant.level("ok"))
    put = engine.shelve if aside == "shelve" else engine.out_of_service
    back = engine.unshelve if aside == "shelve" else engine.in_service
    put(1, "ann", plant.now, plant.now + HOUR, "repair")
    assert back(1, "ann", plant.now).state == "normal"  # she had seen it
    put(1, "ann", plant.now, plant.now + HOUR, "repair")
    plant.take(plant.level("alarm"), plant.level("ok"))
    assert plant.the().state in ("shelved", "out-of-service") and not plant.the().active
    assert back(1, "ann", plant.now).state == "unack-cleared"


def test_what_is_out_of_service_stays_and_asks_for_its_review(plant: Plant) -> None:
    plant.take(plant.level("alarm"))
    with pytest.raises(AlarmError, match="date of review"):
        plant.engine.out_of_service(1, "ann", plant.now, plant.now - 1, "rebuilt")
    plant.engine.out_of_service(1, "ann", plant.now, plant.now + DAY, "rebuilt")
    plant.engine.tick(plant.now + 2 * DAY)
    assert plant.the().state == "out-of-service" and not plant.engine.reviews(plant.now)
    assert [a.id for a in plant.engine.reviews(plant.now + 2 * DAY)] == [1]
    assert plant.engine.in_service(1, "ben", plant.now).state == "unack-active"


def test_records_that_come_late_have_their_own_time_and_raise_nothing_anew(plant: Plant) -> None:
    plant.take(plant.level("alarm", at=T0 - 5 * HOUR), plant.level("ok", at=T0 - 4 * HOUR))
    alarm = plant.the()
    assert (alarm.state, alarm.since_ms, alarm.cleared_ms) == ("unack-cleared", T0 - 5 * HOUR, T0 - 4 * HOUR)
    plant.engine.acknowledge(1, "ann", plant.now)
    plant.boot = 3
    plant.take(plant.level("alarm"), plant.level("ok"))
    plant.engine.acknowledge(1, "ann", plant.now)
    plant.take(plant.level("alarm", at=T0 - 3 * HOUR, place=(2, 4)))  # older than what is known to be over
    assert plant.the().state == "normal" and plant.engine.history(1)[0].act == "late"
    assert plant.engine.history(1)[0].at_ms == T0 - 3 * HOUR
    plant.take(*(plant.fine() for _ in range(12)))
    plant.take(plant.fault(at=T0 - HOUR, place=(2, 9)))  # the telemetry above says that this is over, too
    assert (plant.the("fault").state, plant.the("fault").since_ms) == ("unack-cleared", T0 - HOUR)
    plant.kill()
    plant.take(plant.level("alarm", "peak", at=T0 - HOUR, place=(2, 10)))  # known over a restart
    assert plant.the("level peak").state == "unack-cleared"


def test_a_node_that_is_silent_is_gone_until_it_is_heard(plant: Plant) -> None:
    plant.take(plant.status(), plant.fine())
    assert not plant.engine.tick(plant.now + 3 * MINUTE - 1)
    plant.kill()
    (gone,) = plant.engine.tick(plant.now + 3 * MINUTE)
    assert (gone.subject, gone.state, gone.since_ms, gone.priority) == ("gone", "unack-active", plant.now, "medium")
    assert not plant.engine.tick(plant.now + 9 * MINUTE)
    plant.now += HOUR
    plant.take(plant.fine(at=T0))
    assert plant.the("gone").state == "unack-cleared"
    plant.engine.tick(plant.now + HOUR)
    assert plant.the("gone").state == "unack-active"
    plant.take(plant.status(), plant.status("offline"))  # a last will
    assert plant.the("gone").state == "unack-active" and not plant.engine.tick(plant.now + DAY)


def test_what_a_gateway_that_is_gone_explains_is_suppressed_by_design(plant: Plant) -> None:
    plant.take(plant.status(node=GATE), plant.status("via gateway"), plant.status(node=FAN))
    plant.engine.tick(plant.now + 2 * HOUR)
    assert (plant.the("gone", GATE).state, plant.the("gone", GATE).priority) == ("unack-active", "high")
    assert plant.the("gone").state == "suppressed" and plant.the("gone").active
    assert plant.the("gone", FAN).state == "unack-active"  # it has no gateway
    plant.now += 2 * HOUR
    plant.take(plant.status(node=GATE))
    plant.engine.tick(plant.now + MINUTE)
    assert plant.the("gone").state == "suppressed"  # the gateway has its time to visit it
    plant.take(plant.status("via gateway"))
    plant.engine.tick(plant.now + MINUTE)
    assert plant.the("gone").state == "normal"  # what the gateway's alarm stood for
    plant.now += 3 * HOUR
    plant.engine.tick(plant.now)
    assert plant.the("gone").state == "suppressed"
    plant.take(plant.status(node=GATE))
    for _ in range(90):
        plant.now += MINUTE
        plant.take(plant.reading("telemetry", {}, node=GATE))
        plant.engine.tick(plant.now)
    assert plant.the("gone").state == "unack-active"  # the gateway is back, and the node is not


def test_gaps_are_told_until_something_explains_them(plant: Plant) -> None:
    def account(count: int) -> Account:
        gaps = [Gap(1, 5, 4 + count)] if count else []
        return Account(PUMP, TOPICS[PUMP], 9, 0, {}, 0, (1, 0), (1, 1), unexplained=count, gaps=gaps)

    assert not plant.engine.gaps([account(0)], plant.now)
    plant.engine.gaps([account(2)], plant.now)
    assert plant.the("gap").facts["gaps"] == ["boot 1: seq 5 to 6"]
    plant.engine.acknowledge(1, "ann", plant.now)
    plant.engine.gaps([account(2)], plant.now + 1)
    assert plant.the("gap").state == "ack-active"
    plant.engine.gaps([account(3)], plant.now + 2)
    assert plant.the("gap").state == "unack-active"
    plant.engine.gaps([account(0)], plant.now + 3)
    assert plant.the("gap").state == "unack-cleared"


def test_a_key_that_expires_is_an_alarm_until_there_is_a_new_one(plant: Plant) -> None:
    def expiry(day: str) -> Expiry:
        return Expiry(PUMP, TOPICS[PUMP], day, T0)

    plant.engine.keys([expiry("2026-12-20")], plant.now)
    assert text_of(plant.the("key"), "en") == "The device key expires: 2026-12-20"
    plant.engine.acknowledge(1, "ann", plant.now)
    assert plant.engine.keys([expiry("2026-12-20")], plant.now + 1) == []
    (later,) = plant.engine.keys([expiry("2026-12-24")], plant.now + 2)
    assert later.state == "ack-active" and text_of(later, "de") == "Der Geräteschlüssel läuft ab: 2026-12-24"
    plant.engine.keys([], plant.now + 3)
    assert plant.the("key").state == "normal" and plant.the("key").priority == "low"


def test_a_comment_names_a_cause_of_the_table_and_nothing_unprintable(plant: Plant) -> None:
    plant.take(plant.level("alarm"))
    with pytest.raises(AlarmError, match="there is no cause sabotage"):
        plant.engine.comment(1, "ann", plant.now, cause="sabotage")
    with pytest.raises(AlarmError, match="says something"):
        plant.engine.comment(1, "ann", plant.now)
    with pytest.raises(AlarmError, match="there is no alarm 9"):
        plant.engine.acknowledge(9, "ann", plant.now)
    plant.engine.comment(1, "ann", plant.now, text="two\nlines\x1b[31m\u202e" + "x" * 5000)
    (comment,) = plant.engine.comments(1)
    assert comment.text.startswith("two\nlines [31m xxx") and len(comment.text) == 2000


# The diagram, written once more: from a state, by an act, to these states.
ALLOWED = """
normal          raise           unack-active
normal          shelve          shelved
normal          out-of-service  out-of-service
normal          suppress        suppressed
unack-active    raise           unack-active
unack-active    clear           unack-cleared
unack-active    acknowledge     ack-active
unack-active    shelve          shelved
unack-active    out-of-service  out-of-service
ack-active      raise           unack-active
ack-active      clear           normal
ack-active      shelve          shelved
ack-active      out-of-service  out-of-service
unack-cleared   raise           unack-active
unack-cleared   acknowledge     normal
unack-cleared   shelve          shelved
unack-cleared   out-of-service  out-of-service
unack-cleared   suppress        suppressed
unack-cleared   archive         normal
shelved         raise           shelved
shelved         clear           shelved
shelved         shelve          shelved
shelved         out-of-service  out-of-service
shelved         unshelve        unack-active unack-cleared normal
shelved         expire          unack-active unack-cleared normal
suppressed      raise           suppressed
suppressed      clear           suppressed
suppressed      out-of-service  out-of-service
suppressed      release         unack-active unack-cleared normal
out-of-service  raise           out-of-service
out-of-service  clear           out-of-service
out-of-service  out-of-service  out-of-service
out-of-service  in-service      unack-active unack-cleared normal
"""
DIAGRAM = {tuple(words[:2]): words[2:] for words in map(str.split, ALLOWED.strip().splitlines())}
PERSONS: dict[str, Callable[[Engine, int, int], object]] = {
    "acknowledge": lambda engine, number, now: engine.acknowledge(number, "ann", now),
    "shelve": lambda engine, number, now: engine.shelve(number, "ann", now, now + HOUR, "noise"),
    "unshelve": lambda engine, number, now: engine.unshelve(number, "ann", now),
    "out-of-service": lambda engine, number, now: engine.out_of_service(number, "ann", now, now + DAY, "rebuilt"),
    "in-service": lambda engine, number, now: engine.in_service(number, "ann", now),
}
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("level"), st.sampled_from(["ok", "warning", "alarm"]), st.sampled_from([PUMP, FAN])),
        st.tuples(st.just("late"), st.sampled_from(["ok", "warning", "alarm"]), st.integers(0, 20)),
        st.tuples(st.just("fault"), st.sampled_from(["outer race", "inner race"]), st.none()),
        st.tuples(st.just("fine"), st.none(), st.none()),
        st.tuples(st.just("boot"), st.none(), st.none()),
        st.tuples(st.just("heard"), st.sampled_from([PUMP, GATE]), st.none()),
        st.tuples(st.just("wait"), st.sampled_from([MINUTE, 10 * MINUTE, 2 * HOUR]), st.none()),
        st.tuples(st.just("kill"), st.none(), st.none()),
        st.tuples(st.just("person"), st.sampled_from(sorted(PERSONS)), st.integers(1, 5)),
    ),
    max_size=60,
)  # fmt: skip


@given(steps=STEPS)
def test_whatever_happens_every_transition_is_one_of_the_diagram(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[str, Any, Any]]
) -> None:
    plant = Plant(tmp_path_factory.mktemp("random") / "alarms.sqlite")
    plant.take(plant.status("via gateway"), plant.status(node=GATE))
    for name, what, of in steps:
        if name == "level":
            plant.take(plant.level(what, node=of))
        elif name == "late":
            plant.take(plant.level(what, place=(1, of), at=T0))
        elif name == "fault":
            plant.take(plant.fault(what))
        elif name == "fine":
            plant.take(*(plant.fine() for _ in range(11)))
        elif name == "boot":
            plant.boot, plant.seq = plant.boot + 1, {}
        elif name == "heard":
            plant.take(plant.status(node=what) if what == GATE else plant.status("via gateway"))
        elif name == "wait":
            plant.now += what
            plant.engine.tick(plant.now)
        elif name == "kill":
            plant.kill()
        else:
            alarms = {alarm.id: alarm for alarm in plant.engine.listed(states=("normal",)) + plant.engine.listed()}
            before = alarms.get(of)
            try:
                PERSONS[what](plant.engine, of, plant.now)
            except AlarmError:
                assert before is None or (before.state, what) not in DIAGRAM
            else:
                assert before is not None and (before.state, what) in DIAGRAM
    check(plant.engine)
    plant.engine.close()


def check(engine: Engine) -> None:
    """The history of every alarm is a walk through the diagram, and ends where the alarm is."""
    for alarm in engine.listed(states=("normal",)) + engine.listed():
        state, active, seen = "normal", False, True
        for one in engine.history(alarm.id, 10_000)[::-1]:
            assert one.before == state
            if one.act in ("late", "lower"):
                assert one.after == state
            else:
                assert one.after in DIAGRAM[state, one.act]
                assert one.act in PERSONS or one.who == ""
            state, active = one.after, one.active
            if one.act == "raise":
                seen = seen and one.before == "suppressed"
            seen = seen or one.act in ("acknowledge", "shelve", "out-of-service")
            seen = seen or (one.act == "archive" and one.at_ms < engine.lists_from_ms)
            # Nothing disappears without a person: what is normal was seen, and is not wrong.
            assert state != "normal" or (seen and not active)
            assert active or state not in ("unack-active", "ack-active")
        assert (state, active) == (alarm.state, alarm.active)


def test_the_diagram_of_the_program_is_the_one_above() -> None:
    from quaver.alarms.states import ACTS, STATES, after, allowed

    for state in STATES:
        for act in ACTS:
            if state in ("unack-active", "ack-active") and act == "suppress":
                continue  # allowed, and nothing does it: what was wrong before is not explained
            assert allowed(state, act) == ((state, act) in DIAGRAM)
            if allowed(state, act):
                found = {after(state, act, active, unseen) for active in (True, False) for unseen in (True, False)}
                assert found == set(DIAGRAM[state, act])


FEED = """
import sys
sys.path.insert(0, {folder!r})
from test_alarms import Plant, random_days
from pathlib import Path
plant = Plant(Path({path!r}))
for batch in random_days(plant):
    done = plant.engine.place.row
    if batch[-1].place.row > done:
        plant.engine.take(batch, batch[-1].received_ms)
    print(batch[-1].place.row, flush=True)
"""


def random_days(plant: Plant) -> list[list[Reading]]:
    """The same days each time: batches of records, in which much begins and ends."""
    import random

    chance = random.Random(5)
    batches = []
    for _ in range(300):
        batch = []
        for _ in range(chance.randrange(1, 6)):
            subject = chance.choice(["rms", "peak", "zone"])
            batch.append(
                plant.level(chance.choice(["ok", "warning", "alarm"]), subject, node=chance.choice([PUMP, FAN]))
            )
        batches.append(batch)
    return batches


def test_a_kill_in_the_middle_loses_nothing_and_repeats_nothing(tmp_path: Path) -> None:
    path = tmp_path / "alarms.sqlite"
    program = FEED.format(folder=str(Path(__file__).parent), path=str(path))
    for lines in (20, 45, 110, 999):
        child = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
        assert child.stdout is not None
        for _ in range(lines):
            if not child.stdout.readline():
                break
        if child.poll() is None:
            os.kill(child.pid, signal.SIGKILL)
        child.wait(60)
        child.stdout.close()
    whole = Plant(tmp_path / "whole.sqlite")
    for batch in random_days(whole):
        whole.engine.take(batch, batch[-1].received_ms)
    whole.engine.close()

    def content(base: Path) -> list[Any]:
        found = sqlite3.connect(base)
        tables = ("alarm", "transition", "ended", "heard", "reader")
        rows = [sorted(found.execute(f"SELECT * FROM {name}").fetchall()) for name in tables]
        found.close()
        return rows

    assert content(path) == content(tmp_path / "whole.sqlite") and len(content(path)[1]) > 200
