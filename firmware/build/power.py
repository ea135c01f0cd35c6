"""The composition root of a node that sleeps: what its configuration's section "power" asks for."""

import board

from hal import sleep
from node import power
from node.measure import Sensor

if False:  # types alone: never compiled
    from typing import Any

    from node.power import Power


def begin(config: dict) -> "Power":
    """What sleeps, as a start or a wake has it; to be made before this boot is counted."""
    given = config["power"]
    return power.Power(sleep, given["records"], board.CURRENTS, given["wake_pin"], given["wake_g"])


def battery(given: dict, state: "Power", problems: list[str]) -> "Sensor | None":
    """What reads the battery of the section "power", or None without one. state: what `begin` gave."""
    if given["battery_pin"] < 0:
        return None
    try:
        cell = sleep.Battery(given["battery_pin"], given["battery_ratio"])
    except (ValueError, OSError) as error:
        problems.append("power.battery_pin: {}".format(error))
        return None

    async def read() -> "Any":
        volts = cell.volts()
        values = {"battery_v": volts}
        days = state.days(given["battery_mah"])
        if days is not None:
            values["battery_days"] = days
        if state.low or volts >= given["low_v"]:
            return values, (), ()
        state.stretch()
        return values, (), (("battery_low", "", {"value": volts, "limit": given["low_v"]}),)

    return Sensor("battery", lambda: None, read)
