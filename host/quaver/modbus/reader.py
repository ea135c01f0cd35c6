"""Reads registers, with pymodbus. Machines at one serial line are asked one after the other."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from typing import Any

from quaver.errors import GatewayError
from quaver.modbus.spec import Line

logging.getLogger("pymodbus").addHandler(logging.NullHandler())  # what it says is in the error that we raise

_ANSWER_S = 3.0
# Modbus Application Protocol 1.1b3, section 7
_REFUSALS = {
    1: "no such function",
    2: "no such register",
    3: "not so many registers",
    4: "it failed",
    5: "it is still at it",
    6: "it is busy",
    10: "no way to the machine",
    11: "the machine behind it does not answer",
}


class Refused(GatewayError):
    """A machine that answers, and gives no such register. code: its exception."""

    def __init__(self, words: str, code: int) -> None:
        super().__init__(words)
        self.code = code


class Reader:
    """The one connection to a line; made when it is needed, and again when it was lost. For one event loop."""

    def __init__(self, line: Line) -> None:
        from pymodbus.client import AsyncModbusSerialClient, AsyncModbusTcpClient

        self._line = line
        self._lock = asyncio.Lock()
        patience: dict[str, Any] = {"timeout": _ANSWER_S, "retries": 1, "reconnect_delay": 0}
        if line.rtu is not None:
            self._client: Any = AsyncModbusSerialClient(
                line.rtu, baudrate=line.baudrate, parity=line.parity[0].upper(), stopbits=line.stop_bits, **patience
            )
        else:
            host, port = line.address
            self._client = AsyncModbusTcpClient(host, port=port, **patience)

    async def read(self, unit_id: int, table: str, address: int, count: int) -> Sequence[int]:
        """`count` registers from `address` on. Raises GatewayError; Refused where the machine says no."""
        from pymodbus.exceptions import ModbusException

        where = f"{self._line}, unit {unit_id}"
        async with self._lock:
            try:
                if not self._client.connected and not await self._client.connect():
                    raise GatewayError(f"{self._line}: can't be reached; check address, cable and settings")
                ask = self._client.read_input_registers if table == "input" else self._client.read_holding_registers
                answer = await ask(address, count=count, device_id=unit_id)
            except (ModbusException, OSError) as error:
                self.close()
                raise GatewayError(f"{where}: no answer; check the unit id and the settings of the line") from error
        if answer.isError():
            code = int(answer.exception_code)
            why = _REFUSALS.get(code, "for a reason of its own")
            raise Refused(f"{where}: refuses {table} register {address} (exception {code}, {why})", code)
        found: Sequence[int] = answer.registers
        if len(found) != count:
            raise GatewayError(f"{where}: a broken answer; check the settings of the line")
        return found

    def close(self) -> None:
        self._client.close()
