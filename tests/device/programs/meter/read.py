"""A meter is read, over a line with given settings."""

import asyncio
import board
import hal
import time
from build import sensors
from drivers.modbus_meter import ModbusMeter

ROWS = [sensors.register(["input", str(at), "float32"]) for at in (0x0000, 0x0006)]
port = hal.port(board)


def read(baudrate, parity, direction):
    uart = port.uart("uart1", baudrate, parity)
    try:
        return list(asyncio.run(ModbusMeter(uart, ROWS, 1, direction).read()))[:2]
    except OSError as error:
        return error.args
