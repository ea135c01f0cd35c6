"""What the mark of node.supervisor meant that a reset by the watchdog left, in words."""

from node import supervisor

# What a task does at each place that it names.
_PLACES = {
    "measure": ("waiting", "vibration", "temperature", "energy", "battery", "pulses", "current"),
    "publish": ("starting", "joining Wi-Fi", "connecting", "publishing"),
    "commands": ("waiting", "obeying a command"),
    "ble": ("advertising", "resting", "in a connection"),
    "uart": ("hailing", "", "in a connection"),
    "collect": ("listening", "in a connection"),
    "forward": ("starting", "joining Wi-Fi", "connecting", "publishing"),
}


def told(number: int) -> "tuple[str, str] | None":
    """(task, what it did) of a number that was kept, or None for one that is no mark. task: "" for none of them, as
    between two of them and before they run.
    """
    mark = supervisor.unpack(number)
    if mark is None:
        return None
    index, place, late = mark
    name = supervisor.TASKS[index]
    places = _PLACES.get(name, ())
    what = "made no progress" if late else "held the processor"
    return name, what + (": " + places[place] if place < len(places) else "")
