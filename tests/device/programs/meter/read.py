"""A meter is read, over a line with given settings."""

import asyncio
import board
import hal
import time
from drivers.sdm120 import SDM120

port = hal.port(board)


def read(baudrate, parity, direction):
    uart = port.uart("uart1", baudrate, parity)
    try:
        return list(asyncio.run(SDM120(uart, 1, direction).read()))[:2]
    except OSError as error:
        return error.args
