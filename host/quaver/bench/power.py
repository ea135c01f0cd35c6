"""What a battery node draws: its firmware on an emulated chip, the time of each state, and published currents.

The node measures some times and is visited, over and over; from one visit to the next is a cycle. What a cycle takes
beside sleep does not depend on how far apart its measurements are, so one run tells of every interval. Time is the
chip's own, a lower bound for silicon (docs/esp32c3.md); the air has no loss, and a gateway listens all the time.
"""

from __future__ import annotations

import asyncio
import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from quaver.bench import Figure
from quaver.bench.ble import DEVICE_KEY, Gateway
from quaver.bench.power_trace import Measured
from quaver.board.spec import load_board
from quaver.build import firmware_files
from quaver.build.libraries import device_libraries
from quaver.emulator.bus import Attached
from quaver.emulator.charge import Share, asleep, sensor_currents, shares
from quaver.emulator.child_board import ChildBoard
from quaver.emulator.identity import Identity
from quaver.emulator.radio.path import Tally
from quaver.emulator.setup import Setup
from quaver.errors import BoardError
from quaver.files.pinned import Progress
from quaver_wire import gatt
from quaver_wire.cose import node_id

INTERVALS_S = (60, 300, 600, 3600)

_NAME = "bench"
_STATION = "node"
_INTERVAL_S = 20  # of the run: long enough for a measurement and a visit
_VISITS = 3  # the first is the boot's; from the second on a cycle is like the next
_LIMIT_S = 900.0
_HOURS_A_DAY = 24.0
_GOALS = {"esp32_c3": 400, "pico_w": 60}  # days
_GOAL_S, _GOAL_MAH = 600, 3000
_WORDS = {
    "awake": "computing",
    "idle": "waiting, awake",
    "transmit": "radio sending",
    "receive": "radio listening",
    "radio_idle": "radio ready",
}


@dataclass(frozen=True)
class Cycle:
    """From one visit to the next: seconds by state, what the radio did, the sensor's time; `records` measurements.

    first_sample_s: from the chip's wake to the first sample of a measurement, where the chip sleeps deep.
    """

    states: Mapping[str, float]
    radio: Tally
    sensor_s: float
    records: int
    first_sample_s: float | None


def run_power(
    board: str,
    sensor: str,
    interval_s: float,
    records: int,
    battery_mah: float,
    extra_ma: float,
    step: Callable[[str], None],
    progress: Progress | None,
) -> list[Figure]:
    """All figures. Raises BoardError, RadioError."""
    step(f"{records} measurements and a visit, over and over, on an emulated {load_board(board).title}")
    cycle = measure_cycle(board, sensor, records, progress)
    return figures(board, sensor, cycle, interval_s, battery_mah, extra_ma)


def figures(
    board: str, sensor: str, cycle: Cycle, interval_s: float, battery_mah: float, extra_ma: float
) -> list[Figure]:
    """What a cycle says of mA and days, by interval, and of the shares at `interval_s`."""
    spec = load_board(board)
    parts = shares(spec, cycle.states, cycle.radio)
    of_sensor = sensor_currents(sensor)
    measuring = Share(f"{sensor} measuring", cycle.sensor_s, of_sensor["measures"])
    sleep, rest = asleep(spec), of_sensor["rests"]
    awake_s = sum(part.seconds for part in parts)
    mas = sum(part.mas for part in (*parts, measuring))

    def mean_ma(seconds: float) -> float:
        period = max(seconds * cycle.records, awake_s)
        return (mas + (period - awake_s) * sleep.ma + (period - cycle.sensor_s) * rest.ma) / period + extra_ma

    beside = f"{extra_ma:g} mA for what the board has beside its module, and {battery_mah:g} mAh"
    habit = f"{cycle.records} measurements are gathered before they are sent over Bluetooth; {beside}, stated"
    found = []
    for seconds in sorted({*INTERVALS_S, interval_s}):
        mean = mean_ma(seconds)
        found.append(Figure(f"measuring every {seconds:g} s", round(mean, 3), "mA", note=habit))
        days = round(battery_mah / mean / _HOURS_A_DAY, 1)
        goal = _GOALS.get(board) if (seconds, battery_mah) == (_GOAL_S, _GOAL_MAH) else None
        found.append(Figure("  battery life", days, "days", goal, at_least=True, note=habit))
    period = max(interval_s * cycle.records, awake_s)
    whole = mean_ma(interval_s) * period
    rows = [(_WORDS[part.state], part) for part in parts]
    rows += [("asleep", Share("asleep", period - awake_s, sleep)), (measuring.state, measuring)]
    rows += [(f"{sensor} at rest", Share("rests", period - cycle.sensor_s, rest))]
    for name, part in rows:
        note = f"{part.current.ma:g} mA: {part.current.source}"
        found.append(Figure(f"share at {interval_s:g} s: {name}", round(100 * part.mas / whole, 1), "%", note=note))
    found.append(Figure("awake for each measurement", round(awake_s / cycle.records, 2), "s"))
    if cycle.first_sample_s is not None:
        found.append(Figure("from a wake to the first sample", round(cycle.first_sample_s, 2), "s"))
    return found


def compared(board: str, sensor: str, cycle: Cycle, measured: Measured, extra_ma: float) -> list[Figure]:
    """What a real board was measured to take, each figure followed by what the emulator counts for the same period."""
    spec = load_board(board)
    parts = shares(spec, cycle.states, cycle.radio)
    of_sensor = sensor_currents(sensor)
    awake_s = sum(part.seconds for part in parts) / cycle.records
    awake_mas = (sum(part.mas for part in parts) + cycle.sensor_s * of_sensor["measures"].ma) / cycle.records
    awake_mas += awake_s * extra_ma
    rest_ma = asleep(spec).ma + of_sensor["rests"].ma + extra_ma
    mean = (awake_mas + max(0.0, measured.period_s - awake_s) * rest_ma) / max(measured.period_s, awake_s)
    note = f"{measured.wakes} wakes, {measured.period_s:.1f} s apart"
    rows = (
        ("awake for each measurement", "s", measured.awake_s, awake_s),
        ("charge of each measurement", "mA s", measured.mas, awake_mas),
        ("asleep", "mA", measured.asleep_ma, rest_ma),
        ("mean", "mA", measured.mean_ma, mean),
    )
    found = []
    for name, unit, real, counted in rows:
        found.append(Figure(f"{name}, measured", round(real, 4), unit, note=note))
        found.append(Figure("  by the emulator", round(counted, 4), unit))
        if counted:
            found.append(Figure("  measured of counted", round(real / counted, 2), ""))
    return found


def threshold_ma(board: str) -> float:
    """Between what a board takes asleep and awake, in the middle of their logarithms. Raises BoardError."""
    spec = load_board(board)
    return math.sqrt(asleep(spec).ma * spec.currents["idle"].ma)


def measure_cycle(board: str, sensor: str, records: int, progress: Progress | None) -> Cycle:
    """Run a node until it was visited thrice; the last cycle. Raises BoardError, RadioError."""
    from quaver.emulator.radio import Air

    with Air(seed=1) as air:
        gateway = Gateway(air)
        identity = Identity.of_esp32(_STATION) if board == "esp32_c3" else Identity.of(_STATION)
        own = node_id(identity.unique_id)
        with _open(
            board, Setup(files=_files(board, sensor, records), rig=(_part(sensor),), air=air, name=_STATION), progress
        ) as node:
            done = air.start(_visit(gateway, own, lambda: _snapshot(node, air)))
            try:
                moments = done.result(_LIMIT_S)
            except TimeoutError:
                said = node.console().decode(errors="replace")[-400:]
                raise BoardError(f"the node was not visited {_VISITS} times: {node.alive() or said}") from None
    before, after = moments[-2:]
    states = {
        name: after[0][name] - before[0].get(name, 0.0)
        for name in after[0]
        if not name.startswith("woke") and not name.startswith("started ")
    }
    radio = Tally(**{name: value - getattr(before[1], name) for name, value in vars(after[1]).items()})
    first = None
    if "deep_sleep" in states:
        first = after[0][f"started {sensor}"] - after[0]["woke before"]  # the last wake was to send
    sensor_s = states.pop(f"sensor {sensor}")
    return Cycle(states, radio, sensor_s, records, first)


def _files(board: str, sensor: str, records: int) -> Mapping[str, bytes]:
    config: dict[str, Any] = {
        "node": _NAME,
        "link": "ble",
        "interval_s": _INTERVAL_S,
        "vibration": {"driver": sensor},
        "machine": {"learn": 2},
        "temperature": None,
        "energy": None,
        "power": {"sleep": True, "records": records},
    }
    key = json.dumps({"generation": 1, "key": DEVICE_KEY.hex()}).encode()
    return {**firmware_files(board, config), **device_libraries(load_board(board)), "device.key": key}


def _part(sensor: str) -> Attached:
    from quaver.emulator.sensors.accelerometers import vibration_part

    return Attached(sensor, "spi0", "spi0_cs", vibration_part(sensor))


def _open(board: str, setup: Setup, progress: Progress | None) -> ChildBoard:
    if board == "pico_w":
        from quaver.emulator.rp2040 import Rp2040Board

        return Rp2040Board(setup, progress)
    from quaver.emulator.esp32c3 import Esp32C3Board

    return Esp32C3Board(setup, progress)


def _snapshot(node: ChildBoard, air: Any) -> tuple[dict[str, float], Tally]:
    return node.states(), Tally(**vars(air.link.settled(_STATION)))


async def _visit(gateway: Gateway, node_id: bytes, snapshot: Callable[[], Any]) -> list[Any]:
    """Take what the node has whenever it has something, _VISITS times; a snapshot behind each."""
    from bleak.exc import BleakError

    from quaver.gateway.connection import LinkError

    moments: list[Any] = []
    while len(moments) < _VISITS:
        device = await gateway.find(gatt.PENDING | gatt.ALARM)
        try:
            async with gateway.connect(device) as client:
                await gateway.collect(client, node_id)
        except (BleakError, LinkError):
            continue
        moments.append(await asyncio.get_running_loop().run_in_executor(None, snapshot))
    return moments
