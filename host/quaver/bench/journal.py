"""What the journal costs the flash: programs and erases per 1,000 records, and the years that a part lasts with that.

The firmware's journal runs on the MicroPython unix port, over littlefs with the Pico W's own parameters, on flash in
memory that holds the Pico W's whole file system with the firmware in it. littlefs spreads its writes over the blocks
that are free and moves a metadata pair on after 100 erases (MicroPython's `block_cycles`); the files that never change
stay where they are. So the years assume that the erases are even over the free blocks, and 100,000 of them a block
(W25Q16JV datasheet, 1: features). `worst_block` is the most that one block took in the run, for a check.
"""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path

from quaver.bench import Figure
from quaver.bench.guest_program import run_guest
from quaver.board.spec import load_board
from quaver.build import board_image, firmware_files

RECORDS = 3000
PAYLOAD = 96  # bytes of a sealed record of 17 features, at most
_PAGE = 256  # MicroPython's progsize on the rp2 port
_CYCLES = 100_000
_MINUTES = 365.25 * 24 * 60


@dataclass(frozen=True)
class Wear:
    """Per 1,000 records: program calls, pages of 256 bytes, bytes, erases of 4 KiB. worst_block: erases of the block
    that had most in the whole run. years: on these free blocks, at one record a minute.
    """

    policy: str
    programs: float
    pages: float
    bytes: float
    erases: float
    worst_block: int
    years: float


@dataclass(frozen=True)
class Report:
    free_blocks: int
    records: int
    wears: tuple[Wear, ...]

    def figures(self) -> list[Figure]:
        """The same as the bench command prints it."""
        figures = []
        note = f"one record a minute; {self.free_blocks} free blocks worn evenly, 100,000 erases each"
        for wear in self.wears:
            figures.append(Figure(wear.policy, round(wear.erases, 1), "erases/1,000 records"))
            figures.append(Figure("  flash writes", round(wear.programs), "programs"))
            figures.append(Figure("  of", round(wear.bytes / 1000, 1), "kB"))
            figures.append(Figure("  most for one sector, in all", wear.worst_block, "erases"))
            if wear.erases:  # a short run may have none
                figures.append(Figure("  flash lasts", round(wear.years), "years", note=note))
        return figures


_POLICIES = (
    ("RAM while the link is up", {"always": False, "up": True, "events": True}),
    ("always durable, link up", {"always": True, "up": True, "events": True}),
    ("link down: spilled, sent later", {"always": False, "up": False, "events": True}),
)


def measure(records: int = RECORDS) -> Report:
    """Run the policies, an event every 100 records. Raises BoardError, BuildError."""
    spec = load_board("pico_w")
    image = board_image(spec, firmware_files("pico_w"))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "filesystem.bin")
        path.write_bytes(image)
        argument = {
            "image": str(path),
            "page": _PAGE,
            "payload": PAYLOAD,
            "runs": [{"records": records, **settings} for _, settings in _POLICIES],
        }
        report = run_guest("wear", argument)
    # not as statvfs says it: MicroPython's counts each folder's two blocks twice
    size = spec.flash.block_size
    free = sum(image[at : at + size] == b"\xff" * size for at in range(0, len(image), size))
    wears = []
    for (policy, _), run in zip(_POLICIES, report["runs"], strict=True):
        # What was spilled is also sent: its acknowledgements are writes too.
        total = {name: run[name] + run["drain"][name] for name in run["drain"]}
        each = {name: 1000 * count / records for name, count in total.items()}
        years = free * _CYCLES / (each["erases"] / 1000 * _MINUTES) if each["erases"] else float("inf")
        wears.append(
            Wear(
                policy,
                each["programs"],
                pages=each["pages"],
                bytes=each["bytes"],
                erases=each["erases"],
                worst_block=int(run["most"]),
                years=years,
            )
        )
    return Report(free, records, tuple(wears))
