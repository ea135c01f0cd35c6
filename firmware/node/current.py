"""One measurement of a motor's current: 4,096 samples by a clamp's ADC, and what the record says of them.

They take 4 s, so others run meanwhile: the ADC's interrupt puts its samples into a ring that lasts for half a second.
"""

import asyncio

from node.measure import Sensor


async def _take(capture):
    """As capture.run, but for others run while it waits."""
    try:
        capture.begin()
        wait_us = capture.step()
        while wait_us:
            await asyncio.sleep_ms(wait_us // 1000 + 1)
            wait_us = capture.step()
    except BaseException:  # a task that is cut off stops the stream too
        capture.give_up()
        raise
    capture.end()


def current(capture, quiet):
    """The clamp about a motor's supply. capture: of node.capture, with a sink of dsp.current; quiet: a lock that keeps
    away what holds the processor for long."""
    sensor = capture.sensor
    motor = capture.sink

    async def read():
        async with quiet:
            for _ in range(2):
                await _take(capture)
                if not capture.dropped:
                    break
        motor.measure(sensor.UG_PER_LSB)
        marks = []
        if capture.dropped:
            marks.append("dropped")
        if motor.maximum >= sensor.CLIP_LSB or motor.minimum <= -sensor.CLIP_LSB:
            marks.append("current_clipped")
        if not marks:  # else it has lines of its own
            motor.look(capture.rate_hz)
        return {"current_a": motor.current_a, "line_hz": motor.line_hz, "sidebands": motor.sidebands}, marks, ()

    return Sensor("current", sensor.probe, read)
