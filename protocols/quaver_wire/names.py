"""What the numbers of a message are called; for readers on the host alone, so that no node spends memory on it."""

if False:  # types alone, as in the modules beside it
    from collections.abc import Iterator
    from typing import Any

STATES = ("offline", "online", "via gateway")
ROLES = ("node", "gateway")
HOST = "host"  # the board of a gateway that is a Linux machine
ENERGY = ("voltage_v", "current_a", "power_w", "apparent_va", "power_factor", "frequency_hz", "energy_kwh")
PHASES = tuple(f"l{phase}_{name}" for name in ENERGY[:3] for phase in (1, 2, 3))
SIDEBANDS = ("offset_hz", "level_db", "noise_db")
ZONES = ("A", "B", "C", "D")
MACHINE = ("stopped", "learning", "watching")
# of each line: frequency, amplitude, signal to background, and that of two harmonics
LINE = ("hz", "g", "score", "second", "third")


def rows(table: "tuple[Any, ...]", cells: int = 3) -> "Iterator[tuple[Any, ...]]":
    """The rows of a table of fields.py: (key, name, form); with two cells (name, n), the members of a group."""
    return zip(*[iter(table)] * cells)  # noqa: B905  it is cut at whole rows
