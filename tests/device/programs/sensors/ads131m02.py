"""An ADC with a pin that interrupts; on a board without such interrupts, what its driver says."""

from build import config, sensors

given = {"driver": "ads131m02", "drdy_pin": 3, "sensitivity_mv_g": 100}
settings = config.parse({"vibration": given})[0]["vibration"]
try:
    sensor = sensors.sensor("vibration", port, settings)
except ValueError as error:
    print(repr(str(error)))
