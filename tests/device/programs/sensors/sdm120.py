"""The energy meter."""

from drivers.sdm120 import SDM120

print(list(asyncio.run(SDM120(port.bus("uart1")).read())))
