"""Machines as data: the TOML of `quaver gateway --modbus`, checked whole before anything is asked."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from quaver.errors import GatewayError
from quaver.files.tables import first_mistake, read_tables
from quaver.messages.quantities import OWN
from quaver.messages.record import QUANTITIES_MAX, QUANTITY, UNIT
from quaver.modbus.registers import CONVERSIONS, FIELDS

PORT = 502


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Line(_Table):
    """Where a machine is: tcp, host or host:port; or rtu, a serial port, as the machine is set."""

    tcp: str | None = None
    rtu: str | None = None
    baudrate: Annotated[int, Field(ge=1200, le=115200)] = 9600
    parity: Literal["none", "even", "odd"] = "none"
    stop_bits: Literal[1, 2] = 1

    @model_validator(mode="after")
    def _one(self) -> Line:
        if (self.tcp is None) == (self.rtu is None):
            raise ValueError('name one of tcp, such as "10.0.0.7:502", and rtu, such as "/dev/ttyUSB0"')
        if self.tcp is not None:
            _, port = self.address
            if not 0 < port <= 65535:
                raise ValueError(f'tcp: expected "host" or "host:port", got {self.tcp[:60]!r}')
        return self

    @property
    def address(self) -> tuple[str, int]:
        """Host and port of tcp; port 0 for what is neither."""
        host, colon, port = (self.tcp or "").rpartition(":")
        if not colon:
            host, port = self.tcp or "", str(PORT)
        return host.strip("[]"), int(port) if host and port.isdecimal() else 0

    def __str__(self) -> str:
        return f"{self.rtu}" if self.rtu else "{}:{}".format(*self.address)


class Register(_Table):
    """A value = (what the register holds * scale + offset), in `unit`. address: from 0, as it stands in the request.

    field: what it is in a record; or quantity: its name, for what no field is made for, in the unit that `unit` names.
    """

    field: Literal[tuple(FIELDS)] | None = None  # type: ignore[valid-type]  # a literal of every field
    quantity: str = ""
    address: Annotated[int, Field(ge=0, le=65535)]
    table: Literal["holding", "input"] = "holding"
    type: Literal["int16", "uint16", "int32", "uint32", "float32"]
    order: Literal["ABCD", "CDAB", "BADC", "DCBA"] = "ABCD"
    scale: Annotated[float, Field(allow_inf_nan=False)] = 1.0
    offset: Annotated[float, Field(allow_inf_nan=False)] = 0.0
    unit: str = ""

    @model_validator(mode="after")
    def _unit(self) -> Register:
        if (self.field is None) != bool(self.quantity):
            raise ValueError('name one of field, such as "temperature_c", and quantity, such as "pressure"')
        if self.field is None:
            if not QUANTITY.fullmatch(self.quantity):
                raise ValueError(
                    f"quantity {self.quantity[:30]!r}: expected up to 24 of a-z, 0-9 and _, beginning with a letter"
                )
            if not UNIT.fullmatch(self.unit):
                raise ValueError('unit: expected the unit of the quantity by UCUM, such as "bar"; "1" for none')
            return self
        own = FIELDS[self.field]
        if self.unit and self.unit != own and (self.unit, own) not in CONVERSIONS:
            known = ", ".join([own, *(unit for unit, to in CONVERSIONS if to == own)])
            raise ValueError(f"unit {self.unit[:20]!r}: expected one of {known}")
        return self

    @property
    def name(self) -> str:
        """Of what it is in a record; no two registers of a machine have the same."""
        return self.field or OWN + self.quantity

    def value(self, held: float) -> float:
        """What the field is, of what the register holds."""
        factor, offset = CONVERSIONS.get((self.unit, FIELDS.get(self.name, "")), (1.0, 0.0))
        return (held * self.scale + self.offset) * factor + offset


class Machine(Line):
    """place: the topic prefix; its last level names the machine's key in the key store."""

    place: str
    unit_id: Annotated[int, Field(ge=0, le=255)] = 1
    interval_s: Annotated[int, Field(ge=1, le=86400)] = 60
    registers: Annotated[tuple[Register, ...], Field(min_length=1, alias="register")]

    @property
    def line(self) -> Line:
        """Where it is, alone: equal for machines that share it."""
        return Line(**{name: getattr(self, name) for name in Line.model_fields})

    @model_validator(mode="after")
    def _whole(self) -> Machine:
        names = [register.name for register in self.registers]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"two registers are {twice[0].removeprefix(OWN)}; keep one")
        if sum(bool(register.quantity) for register in self.registers) > QUANTITIES_MAX:
            raise ValueError(f"more than {QUANTITIES_MAX} quantities, which no record can have; leave some out")
        if self.rtu and not 1 <= self.unit_id <= 247:
            raise ValueError("unit_id: expected 1 to 247 on a serial line")
        return self


class _File(_Table):
    modbus: Annotated[tuple[Machine, ...], Field(min_length=1)]


def read_machines(path: Path) -> tuple[Machine, ...]:
    """The machines of a file. Raises GatewayError."""
    tables = read_tables(path, GatewayError, "docs/modbus.md has an example")
    try:
        machines = _File.model_validate(tables).modbus
    except ValidationError as error:
        where, what = first_mistake(error)
        raise GatewayError(f"{path}: {where}: {what}") from None
    places = [machine.place for machine in machines]
    for place in places:
        if places.count(place) > 1:
            raise GatewayError(f"{path}: two machines have the place {place}; give each its own")
    settings: dict[str, Line] = {}
    for machine in machines:
        if machine.rtu and settings.setdefault(machine.rtu, machine.line) != machine.line:
            raise GatewayError(f"{path}: two machines at {machine.rtu} have other settings of the line")
    return machines
