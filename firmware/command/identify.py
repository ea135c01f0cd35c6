"""identify: show a person which board it is, by the board's LED."""

import asyncio

from micropython import const

if False:  # types alone: never compiled
    from typing import Any

    from machine import Pin

    from hal.chip.common import Hal
    from service.obey import Service

ARGUMENTS = ()
NOTED = True

_BLINKS = const(20)
_BLINK_MS = const(125)


async def run(node: "Service") -> None:
    node.blinking = node.hardware(lambda port, board: blink(port, board, node.blinking))


def blink(port: "Hal", board: "Any", blinking: "asyncio.Task | None") -> "asyncio.Task | None":
    """Blink for five seconds, unless `blinking`, what an earlier call returned, still does; returns the task or None.

    port: of hal.
    """
    print("node: identify")
    if board.LED is None or (blinking is not None and not blinking.done()):
        return blinking
    return asyncio.create_task(_blinks(port.output(board.LED, 0)))


async def _blinks(led: "Pin") -> None:
    sleep_ms = asyncio.sleep_ms  # the module may be given back meanwhile, and its names with it
    for count in range(2 * _BLINKS):
        led.value(1 - count % 2)
        await sleep_ms(_BLINK_MS)
