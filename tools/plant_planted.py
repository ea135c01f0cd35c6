"""Plants a fault in a copy of the firmware, and has `quaver plant search`'s engine find it and cut the schedule down.

    python tools/plant_planted.py [--tries 40] [--jobs 2]

The fault: a journal that starts again after its power went forgets the last record that it had put on flash. Ends with
1 when the search does not find it, or finds something in the firmware as it is.
"""

import argparse
import os
import sys

from quaver.build import firmware_files
from quaver.files.carried import payload
from quaver.plant.search import search
from quaver.plant.spec import plant_of

PLANT = {
    "name": "planted",
    "seed": 4,
    "duration": "12m",
    "machine": [{"place": "works/hall/line/oven-{n}", "count": 2}],
    "node": [
        {
            "name": "oven-{n}",
            "place": "works/hall/line/oven-{n}",
            "count": 2,
            "interval": "15s",
            "sensors": ["temperature"],
            "config": {"outbox": {"durable": True}},
        }
    ],
}
_RIGHT = b"        self.staged = len(self.ram)\n        return True\n"
_WRONG = b"        self.ram = self.ram[:-1]\n" + _RIGHT


def spoiled() -> dict[str, bytes]:
    """The firmware with the fault in it."""
    source = (payload("firmware") / "node/journal.py").read_bytes()
    if source.count(_RIGHT) != 1:
        raise SystemExit("firmware/node/journal.py has changed: plant the fault elsewhere")
    return firmware_files("unix", instead={"node/journal.py": source.replace(_RIGHT, _WRONG)})


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tries", type=int, default=40, help="schedules of faults")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="runs at a time")
    asked = parser.parse_args()
    plant = plant_of(PLANT)
    found = next(search(plant, asked.tries, 8, asked.jobs, files=spoiled()), None)
    if found is None:
        print(f"{asked.tries} schedules: the planted fault was not found")
        return 1
    print(f"the planted fault was found by try {found.number + 1}, after {found.tries} runs, and needs this:")
    for fault in found.plant.fault:
        print(f"  {fault.kind} {fault.node or 'of the plant'} at {fault.at:.1f} s for {fault.lasts:.1f} s")
    for line in found.broken:
        print(f"  broken: {line}")
    sound = next(search(found.plant, found.number + 1, 8, asked.jobs), None)
    if sound is not None:
        print(f"the firmware as it is breaks too, by try {sound.number + 1}: {'; '.join(sound.broken)}")
        return 1
    print(f"the firmware as it is stands the same {found.number + 1} schedules")
    return 0


if __name__ == "__main__":
    sys.exit(main())
