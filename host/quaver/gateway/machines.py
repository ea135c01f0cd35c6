"""Machines that answer Modbus, as nodes: what their registers hold goes out as sealed telemetry of an identity each."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from quaver import __version__
from quaver.errors import GatewayError
from quaver.gateway.own import Identity, OwnRecords
from quaver.gateway.spool import Spool
from quaver.messages.quantities import OWN
from quaver.messages.record import BINARY32_MAX
from quaver.modbus.reader import Reader, Refused
from quaver.modbus.registers import number, words_of
from quaver.modbus.spec import Machine
from quaver_wire.fields import EVENTS, QUALITY, WireError
from quaver_wire.names import ENERGY, HOST, STATES

_TEXT_MAX = 90
_OTHERS = "quantities"  # a sensor that no bit of `quality` is for


def _sensor(field: str) -> str:
    """Which sensor of a node would measure it: what `quality` and events name."""
    if field.startswith(OWN):
        return _OTHERS
    if field.startswith("energy."):
        return "energy"
    return {"temperature_c": "temperature", "current_a": "current", "line_hz": "current"}.get(field, "vibration")


class MachineNode(OwnRecords):
    """One machine. say_line: hears in a line when it stops to answer, and when it answers again."""

    def __init__(
        self,
        machine: Machine,
        identity: Identity,
        reader: Reader,
        spool: Spool,
        unix_ms: Callable[[], int],
        say_line: Callable[[str], None],
    ) -> None:
        super().__init__(identity, spool, unix_ms)
        self._machine = machine
        self._units = {register.name: register.unit for register in machine.registers}
        self._reader = reader
        self._say_line = say_line
        self._failed: dict[str, str] = {}  # sensor -> why it gave nothing at last
        self._absent: set[str] = set()  # fields that were told to be absent since the start

    async def run(self) -> None:
        await self.patiently(self.say_boot)
        await self.patiently(self._say_status)
        loop = asyncio.get_running_loop()
        due = loop.time()
        while True:
            values, why = await self._read()
            await self.patiently(lambda values=values, why=why: self._tell(values, why))  # type: ignore[misc]
            due = max(due + self._machine.interval_s, loop.time())
            await asyncio.sleep(due - loop.time())

    def _say_status(self) -> None:
        about = {"firmware": __version__, "board": HOST, "interval_s": self._machine.interval_s}
        message = self.seal_status({**about, "state": STATES.index("via gateway")})
        self._spool.put(self._identity.node_id, "status", message)

    async def _read(self) -> tuple[dict[str, float], dict[str, str]]:
        """The fields that there are, and of each other why it is not."""
        values: dict[str, float] = {}
        why: dict[str, str] = {}
        machine = self._machine
        for place, register in enumerate(machine.registers):
            try:
                words = await self._reader.read(
                    machine.unit_id, register.table, register.address, words_of(register.type)
                )
            except Refused as error:
                why[register.name] = str(error)
                continue
            except GatewayError as error:  # a machine that is silent is not waited for once more by each register
                why |= dict.fromkeys((one.name for one in machine.registers[place:]), str(error))
                break
            value = register.value(number(words, register.type, register.order))
            if math.isfinite(value) and abs(value) <= BINARY32_MAX:
                values[register.name] = value
            else:
                why[register.name] = f"{register.table} register {register.address} holds no usable number"
        return values, why

    def _tell(self, values: Mapping[str, float], why: Mapping[str, str]) -> None:
        """A record of what there is; a sensor without any value has failed, one value of several is absent."""
        fields = [register.name for register in self._machine.registers]
        failed = {}
        for sensor in {_sensor(field) for field in fields}:
            if not any(_sensor(field) == sensor for field in values):
                failed[sensor] = next(words for field, words in why.items() if _sensor(field) == sensor)
        quality = sum(1 << QUALITY.index(f"{sensor}_failed") for sensor in failed if sensor != _OTHERS)
        try:
            self.say("telemetry", quality=quality, **_as_fields(values, self._units))
        except WireError as error:  # out of every range: a wrong type or order
            failed |= {_sensor(field): f"a value out of range: {error}" for field in fields}
        for sensor in sorted(failed.keys() - self._failed.keys()):
            self._event("sensor_failed", sensor, failed[sensor])
        for sensor in sorted(self._failed.keys() - failed.keys()):
            self._event("sensor_recovered", sensor, "")
        for field, words in why.items():
            if _sensor(field) not in failed and field not in self._absent:
                self._absent.add(field)
                self._event("value_absent", field.removeprefix(OWN), words)
        self._failed = failed

    def _event(self, code: str, subject: str, why: str) -> None:
        self.say("event", code=EVENTS.index(code), subject=subject, text=why[:_TEXT_MAX] or None)
        self._say_line(f"{self._machine.place}: {subject}: {why or 'answers again'}")


def _as_fields(values: Mapping[str, float], units: Mapping[str, str]) -> dict[str, Any]:
    found: dict[str, Any] = {field: value for field, value in values.items() if "." not in field}
    own = {
        field.removeprefix(OWN): [float(value), units[field]]
        for field, value in values.items()
        if field.startswith(OWN)
    }
    if own:
        found["quantities"] = own
    energy = [values.get(f"energy.{name}") for name in ENERGY]
    if any(value is not None for value in energy):
        found["energy"] = energy
    return found


def machine_nodes(
    machines: Sequence[tuple[Machine, Identity]],
    spool: Spool,
    unix_ms: Callable[[], int],
    say_line: Callable[[str], None],
) -> list[MachineNode]:
    """A node for each machine; those at one line share its reader. To be made in a running loop."""
    readers: dict[str, Reader] = {}
    nodes = []
    for machine, identity in machines:
        reader = readers.setdefault(str(machine.line), Reader(machine.line))
        nodes.append(MachineNode(machine, identity, reader, spool, unix_ms, say_line))
    return nodes
