"""A node's link by wire: what its configuration's section "uart" asks for, and the link that is built of it."""

if False:  # types alone: never compiled
    from collections.abc import Callable
    from typing import Any

    from hal.chip.common import Hal

_BAUDRATES = (9600, 19200, 38400, 57600, 115200, 230400, 460800, 921600)


def _buses() -> "dict | None":
    try:
        from board import BUSES
    except ImportError:  # of no board in particular
        return None
    return BUSES


def check(given: "Any", config: dict, problems: list[str]) -> None:
    """Put the section "uart" into the rest of a checked configuration, with a line for what had to give way."""
    section: dict = {"bus": "uart0", "baudrate": 115200}
    config["uart"] = section
    if not isinstance(given, dict):
        given = {}
        problems.append("uart: expected an object")
    for key, value in given.items():
        if key in section:
            section[key] = value
        else:
            problems.append("uart.{}: unknown key".format(str(key)[:24]))
    if type(section["baudrate"]) is not int or section["baudrate"] not in _BAUDRATES:
        section["baudrate"] = 115200
        problems.append("uart.baudrate: expected one of {}".format(", ".join(str(rate) for rate in _BAUDRATES)))
    found = _buses()
    buses = [name for name in found or ("uart0", "uart1") if name[:4] == "uart"]
    if section["bus"] not in buses:
        section["bus"] = "uart0"
        problems.append("uart.bus: expected one of {}".format(", ".join(sorted(buses))))
    if config["energy"] and config["energy"]["bus"] == section["bus"]:
        config["energy"] = None
        problems.append("energy.bus: {} has the link".format(section["bus"]))
    if config["power"]["sleep"]:
        config["power"]["sleep"] = False
        problems.append("power.sleep: not with link uart")


def read() -> None:
    """Import what the link takes, while what is read is used in flash."""
    import quaver_wire.wired  # noqa: F401


def link(port: "Hal", settings: dict, given: dict) -> "tuple[str, Callable]":
    """The link's name and task. settings: the section "uart", checked; given: of what links.uart takes, the rest."""
    from links.uart import Uart
    from quaver_wire import wired

    baudrate = settings["baudrate"]
    line = port.uart(settings["bus"], baudrate, "none", wired.frame_size(wired.DOWNLINK_MAX))
    return "uart", Uart(wired, line, baudrate, **given).run
