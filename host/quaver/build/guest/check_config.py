"""Judges a configuration by the node's own rules. It comes by stdin: a process's arguments are anybody's to read."""

import json
import sys
from build import config, engine, sensors

config, problems = config.parse(json.loads(sys.stdin.read()))
if config["vibration"]:
    try:
        engine.engine(sensors.rate_hz(config["vibration"]), config, problems)
    except ValueError as error:
        problems.append("vibration: {}".format(error))
else:
    engine.ratios(config["machine"], problems)
    engine.zones(config["machine"], problems)
try:
    from board import HAL
except ImportError:  # for no board in particular
    HAL = ""
if HAL == "esp32":  # what needs an interrupt that runs at once (hal.chip.esp32)
    refused = ["machine.tachometer_pin"] if config["machine"]["tachometer_pin"] >= 0 else []
    for measures in sensors.DRIVERS:
        driver = config[measures] and config[measures]["driver"]
        if driver and getattr(sys.modules.get("own." + driver), "AT_ONCE", False):
            refused.append(measures + ".driver")
    problems += [path + ": an ESP32's interrupts wait for the capture's end: use an RP2040" for path in refused]
print(json.dumps(problems))
