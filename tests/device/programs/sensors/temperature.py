"""The thermometer of `settings`, made by its row, twice: as a node reads it."""

from build import sensors

sensor = sensors.sensor("temperature", port, settings)


async def read():
    sensor.probe()
    await asyncio.sleep_ms(sensor.start())
    return sensor.read_milli()


print((asyncio.run(read()), asyncio.run(read())))
