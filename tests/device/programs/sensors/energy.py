"""The energy meter of `settings`, made by its row."""

from build import sensors

print(list(asyncio.run(sensors.sensor("energy", port, settings).read())))
