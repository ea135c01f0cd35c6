"""Figures of alarms: counted by hand here, beside what ISA-18.2 and EEMUA 191 say of what a person can handle."""

from pathlib import Path

import pytest
from test_alarms import DAY, FAN, HOUR, MINUTE, PUMP, T0, Plant

from quaver.alarms.figures import annunciated, chattering, floods, occurrences, pareto, rates, stale


@pytest.fixture
def plant(tmp_path: Path) -> Plant:
    return Plant(tmp_path / "alarms.sqlite")


def test_a_pareto_counts_and_adds_up_what_began_and_how_long_it_was_wrong(plant: Plant) -> None:
    def wrong(begin: int, end: int | None, subject: str = "rms", node: str = PUMP) -> None:
        plant.take(plant.level("alarm", subject, node=node, at=T0 + begin))
        if end is not None:
            plant.take(plant.level("ok", subject, node=node, at=T0 + end))

    wrong(-2 * HOUR, HOUR, "peak")  # it began before
    wrong(0, HOUR)
    wrong(2 * HOUR, 3 * HOUR)
    wrong(3 * HOUR, 3 * HOUR + MINUTE, node=FAN)
    wrong(5 * HOUR, None)
    plant.engine.comment(plant.the().id, "ann", plant.now, cause="bearing")
    history = plant.engine.transitions(T0, T0 + 6 * HOUR)
    found = occurrences(history)
    bars = [(bar.key, bar.count, bar.duration_ms) for bar in pareto(found, "cause", T0, T0 + 6 * HOUR)]
    assert bars == [("bearing", 3, 3 * HOUR), ("", 1, HOUR + MINUTE)]
    first, last = pareto(found, "node", T0, T0 + 6 * HOUR)
    assert (first.key, first.count, first.duration_ms, first.share, first.cumulative) == (PUMP, 3, 4 * HOUR, 0.75, 0.75)
    assert (last.key, last.cumulative) == (FAN, 1.0)
    assert [bar.key for bar in pareto(found, "asset", T0, T0 + 6 * HOUR)] == [
        "plant/hall/line/pump",
        "plant/hall/line/fan",
    ]
    assert not pareto(found, "node", T0 - 9 * HOUR, T0 - 8 * HOUR)
    # one that goes on all the time is there although nothing happened to it in that time
    late = occurrences(plant.engine.transitions(T0 + 7 * HOUR, T0 + 8 * HOUR))
    assert [(bar.key, bar.count, bar.duration_ms) for bar in pareto(late, "subject", T0 + 7 * HOUR, T0 + 8 * HOUR)] == [
        ("level rms", 0, HOUR)
    ]


def test_rates_stand_beside_what_a_person_can_handle(plant: Plant) -> None:
    told = [(T0 + n * 9 * MINUTE, n % 20) for n in range(320)]
    found = rates(told, T0, T0 + 2 * DAY)
    assert (found.count, found.per_day, found.verdict, found.most_in_ten_minutes) == (320, 160.0, "manageable", 2)
    assert (found.hours_over, found.floods, found.top_share) == (0, (), 0.5)
    assert rates(told, T0, T0 + 2 * DAY, positions=2).verdict == "acceptable"
    assert rates(told * 2, T0, T0 + 2 * DAY).verdict == "too many"
    assert rates([], T0, T0 + DAY).per_day == 0
    # told is what came to a person: again when a shelf ends, and not what is hidden behind it
    plant.take(plant.level("alarm"))
    plant.engine.shelve(1, "ann", plant.now, plant.now + HOUR, "noise")
    plant.take(plant.level("ok"), plant.level("alarm", at=T0 - DAY))
    plant.engine.tick(plant.now + HOUR)
    assert [when - T0 for when, _ in annunciated(plant.engine.transitions(T0 - 9 * DAY, T0 + DAY))] == [
        1000,
        3000 + HOUR,
    ]


def test_a_flood_begins_above_ten_in_ten_minutes_and_ends_below_five() -> None:
    ten = [T0 + n * MINUTE // 2 for n in range(10)]
    assert not floods(ten)
    (one,) = floods([*ten, ten[-1] + 1])
    assert (one.count, one.peak, one.since_ms, one.until_ms) == (11, 11, T0, ten[-1] + 1)
    slow = [T0 + 6 * MINUTE + n * 2 * MINUTE for n in range(20)]  # five in ten minutes: it goes on
    assert [flood.count for flood in floods(sorted([*ten, ten[-1] + 1, *slow]))] == [31]
    later = [T0 + DAY + n for n in range(12)]
    assert [flood.count for flood in floods([*ten, ten[-1] + 1, *later])] == [11, 12]


def test_what_is_stale_and_what_chatters_is_named(plant: Plant) -> None:
    plant.take(plant.level("alarm"), plant.level("alarm", "peak"), plant.level("warning", "zone"))
    plant.engine.shelve(plant.the("level peak").id, "ann", plant.now, plant.now + 3 * DAY, "noise")
    plant.engine.acknowledge(plant.the("level zone").id, "ann", plant.now)
    assert not stale(plant.engine.listed(), plant.now)
    assert [a.subject for a in stale(plant.engine.listed(), plant.now + DAY + 1)] == ["level rms", "level zone"]
    for n in range(4):
        at = T0 + HOUR + n * 2 * MINUTE
        plant.take(plant.level("alarm", node=FAN, at=at), plant.level("ok", node=FAN, at=at + MINUTE))
    found = occurrences(plant.engine.transitions(T0, T0 + DAY))
    assert not chattering(found, {})  # not within a minute: its node measures once in one
    (one,) = chattering(found, {FAN: 60})
    assert (one.alarm, one.count, one.most, one.within_ms) == (plant.the(node=FAN).id, 4, 4, 10 * MINUTE)
