"""What alarms are given, measurement by measurement; the flash that takes the waveform fails, works, and is busy."""

import asyncio
import json
from array import array

from node.vibration import Vibration


class Plain:
    def __init__(self, **values):
        for name, value in values.items():
            setattr(self, name, value)


saves = iter(argument["saves"])
saved = []


class AlarmWaveform:
    def save(self, samples, rate_hz, scale_g):
        answer = next(saves)
        saved.append([len(samples), rate_hz])
        if answer is None:
            raise OSError(28)
        return answer


orders = Plain(fault=None, share=0.5)
measurement = Plain(samples=array("h", range(64)), orders=orders, shaft_hz=25.0, shaft_confidence=0.75)
diagnosis = Plain(line=1, fault=None, abstained="bpfi is weak", margin_db=6.0)
heights = [0.0] * 3 + [100.0, 3.9, 10.0] + [0.0] * 6
lines = Plain(
    hz=[0, 162.5, 0, 0], g=[0, 0.05, 0, 0], evidence=[0, 30.0, 0, 0], signs=[0, 3, 0, 0], pairs=[0, 10.0, 0, 0]
)
lines.heights = heights
engine = Plain(measurement=measurement, diagnosis=diagnosis, found=lines)
capture = Plain(rate_hz=26667.0, sensor=Plain(UG_PER_LSB=488))
vibration = Vibration(capture, engine, None, asyncio.Lock(), AlarmWaveform())
told = []
for changes in argument["changes"]:
    vibration._keeping = False  # a measurement begins
    changes = [(name, "x", values) for name, values in changes]
    more = vibration.attest(changes)
    again = [("level", "y", {"level": 2})]
    more += vibration.attest(again)
    told.append([[values for *_, values in changes + again], [[name, subject] for name, subject, _ in more]])
print(json.dumps([told, saved]))
