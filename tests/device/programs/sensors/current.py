"""A clamp's current between two measurements of vibration, on one bus and in one room, while another task runs."""

import asyncio

from build import config, sensors
from dsp.current import Current
from dsp.measurement import Measurement
from node.capture import Capture
from node.current import current

given = {"vibration": {"samples": 1024}, "current": {"cs": 20, "drdy_pin": 3, "a_per_v": 30, "line_hz": 60}}
settings, problems = config.parse(given)


async def count():
    global turns
    while True:
        await asyncio.sleep_ms(100)
        turns += 1


def vibration():
    shaking.run()
    m.finish(accelerometer.UG_PER_LSB, shaking.rate_hz)
    return m.rms_g


async def main():
    task = asyncio.create_task(count())
    before = vibration()
    said = await clamp.measure()
    after = vibration()
    task.cancel()
    print((said[0], said[1], before, after, turns, capture.rate_hz, capture.dropped))


turns = 0
try:
    adc = sensors.sensor("current", port, settings["current"])
    accelerometer = sensors.sensor("vibration", port, settings["vibration"])
    m = Measurement(accelerometer.ODR_HZ, n=1024)
    shaking = Capture(accelerometer, m)
    capture = Capture(adc, Current(m, settings["current"]["line_hz"]))
    clamp = current(capture, asyncio.Lock())
    accelerometer.probe()
    asyncio.run(main())
except ValueError as error:
    print(repr(str(error)))
