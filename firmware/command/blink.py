"""Shows a person which board it is, by the board's LED; read from flash when somebody asks."""

import asyncio

from micropython import const

_BLINKS = const(20)
_BLINK_MS = const(125)

_blinking = None


def identify(port, board):
    """Blink for five seconds; again while it does changes nothing. port: of hal."""
    global _blinking
    print("node: identify")
    if board.LED is not None and (_blinking is None or _blinking.done()):
        _blinking = asyncio.create_task(_blink(port.output(board.LED, 0)))


async def _blink(led):
    sleep_ms = asyncio.sleep_ms  # the module may be given back meanwhile, and its names with it
    for count in range(2 * _BLINKS):
        led.value(1 - count % 2)
        await sleep_ms(_BLINK_MS)
