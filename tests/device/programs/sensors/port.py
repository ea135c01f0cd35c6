"""The board's hardware."""

import asyncio
import board
import hal
import micropython

port = hal.port(board)
