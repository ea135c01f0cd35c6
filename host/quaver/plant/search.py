"""Searches for a schedule of faults under which something breaks that never may, and makes it as short as it can.

Each try is the plant with a schedule of its own, drawn from the seed and the try's number, and run to its end. What may
never happen: a record missing without an explanation, a machine that failed without an alarm, an alarm of a healthy
one, a restart that nobody made, a node of which nothing comes. A schedule that breaks it is cut down as in delta
debugging (Zeller and Hildebrandt, IEEE Transactions on Software Engineering 28, 2002): halves, then quarters, of it are
left out while it still breaks.
"""

from __future__ import annotations

import random
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from pathlib import Path

from quaver.plant.judge import judge
from quaver.plant.spec import PLANT_WIDE, SENSOR_FAULTS, Expect, Fault, Plant
from quaver.plant.world import World

# All but `retire`: a node that is out of service says nothing, and that is no fault of the plant's.
KINDS = ("power_cut", "brownout", "flash_cut", "wifi_gone", "lossy", "stuck", "absent", "range", "drift",
         "out_of_range", "gateway_dies", "broker_restart", "ingest_down", "full_disk", "clock", "replay",
         "forged")  # fmt: skip
_LONGEST_S = 120.0  # of a fault
_QUIET = 0.15  # the share of the plant's time at its end without a fault, in which all is to be in order again
NEVER = Expect(unexplained=0, false_alarms=0, missed=0, restarts=0)


@dataclass(frozen=True)
class Found:
    """A schedule that breaks something: the number of its try, what breaks, and the plant, as short as it could be."""

    number: int
    broken: tuple[str, ...]
    plant: Plant
    tries: int  # runs that it took, the shortening included


def schedule(plant: Plant, number: int, most: int) -> tuple[Fault, ...]:
    """The faults of one try: 1 to `most`, in order of time, each of one node or of the plant."""
    chance = random.Random(f"{plant.seed} search {number}")  # noqa: S311 - a seeded simulation
    end = plant.duration * (1 - _QUIET)
    faults: list[Fault] = []
    wanted = chance.randint(1, most)
    while len(faults) < wanted:
        kind = chance.choice(KINDS)
        at = round(chance.uniform(1.0, end), 1)
        lasts = round(chance.uniform(1.0, max(1.0, min(_LONGEST_S, end - at))), 1)
        drawn = {"kind": kind, "at": f"{at}s", "by": f"{at}s", "lasts": f"{lasts}s"}
        if kind in SENSOR_FAULTS:
            drawn["sensor"] = chance.choice([sensor for node in plant.nodes() for sensor in node.sensors])
        if kind not in PLANT_WIDE:
            whom = plant.whom(Fault.model_validate(drawn))
            if not whom:
                continue
            drawn["node"] = chance.choice(whom)
        faults.append(Fault.model_validate(drawn))
    return tuple(sorted(faults, key=lambda fault: fault.at))


def tried(plant: Plant, files: Mapping[str, bytes] | None = None) -> tuple[str, ...]:
    """What breaks when the plant runs; nothing when all is as it has to be. files: as in `World`."""
    with (
        tempfile.TemporaryDirectory(prefix="quaver-plant-") as folder,
        World(plant, Path(folder), 1, files) as world,
    ):
        world.run()
        return judge(plant, world.store).failed


def search(
    plant: Plant,
    tries: int,
    most: int,
    jobs: int,
    told: Callable[[int], None] = lambda number: None,
    files: Mapping[str, bytes] | None = None,
) -> Iterator[Found]:
    """Run so many tries, `jobs` at a time, and yield what breaks, each cut down. told(number): a try is done.

    files: as in `World`.

    The same plant, seed and number of tries find the same. Raises PlantError.
    """
    plants = [
        plant.model_copy(update={"fault": schedule(plant, number, most), "expect": NEVER}) for number in range(tries)
    ]
    run = partial(tried, files=files)
    with ProcessPoolExecutor(jobs, get_context("spawn")) as pool:
        for number, broken in enumerate(pool.map(run, plants)):
            told(number)
            if broken:
                shortest, runs = shortened(plants[number], lambda some: list(pool.map(run, some)))
                yield Found(number, run(shortest), shortest, number + 1 + runs)


def shortened(plant: Plant, run: Callable[[Sequence[Plant]], list[tuple[str, ...]]]) -> tuple[Plant, int]:
    """The plant with as few of its faults as still break something, and how many runs that took.

    run: what breaks in each of several plants.
    """
    faults, parts, runs = list(plant.fault), 2, 0
    while len(faults) >= 2:
        size = -(-len(faults) // parts)
        rests = [faults[:at] + faults[at + size :] for at in range(0, len(faults), size)]
        runs += len(rests)
        broken = run([plant.model_copy(update={"fault": tuple(rest)}) for rest in rests])
        smaller = next((rest for rest, what in zip(rests, broken, strict=True) if what), None)
        if smaller is not None:
            faults, parts = smaller, max(2, parts - 1)
        elif parts >= len(faults):
            break
        else:
            parts = min(len(faults), 2 * parts)
    return plant.model_copy(update={"fault": tuple(faults)}), runs
