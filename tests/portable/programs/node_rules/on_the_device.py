"""A measuring task with rules: what comes first, what takes no memory, and what is left when it dies."""

import asyncio
import gc
import json
import time

import micropython

from build import config, rules
from dsp.alarm import Threshold
from node.measure import Judge, Measure, Sensor

order = []
celsius = [20.0, 90.0, 20.0, 20.0]


class Port:
    def output(self, pin, level):
        return lambda level: order.append("pin 1" if level else "pin 0")


class Recorder:
    def event(self, name, subject="", **values):
        order.append(name)

    def telemetry(self, values):
        if not celsius:
            raise RuntimeError("a mistake of ours")
        if len(celsius) == 1:
            order.append("record")


async def read():
    return {"temperature_c": celsius.pop(0)}, (), ()


given, problems = config.parse(
    {
        "outputs": {"motor": {"pin": 15, "normal": "on"}},
        "rules": {
            "hot": {"feature": "temperature_c", "above": 80, "output": "motor", "to": "off", "until": "clear"},
            "warm": {"level": "alarm", "of": "temperature", "event": True},
            "old": {"uptime_s": 1000, "event": True},
        },
    }
)
assert not problems, problems
recorder = Recorder()
acting = rules.build(Port(), given)
acting.attach(recorder, None, lambda name: None)
judge = Judge({"temperature": Threshold(70.0, 95.0, 0.1, 1, 1)})
measuring = Measure([Sensor("temperature", lambda: None, read)], judge, recorder, 10, lambda *_: None)
measuring.rules = acting


async def main():
    for _ in range(3):
        await measuring.once()
        acting.tick(10_000)
    values = {"temperature_c": 21.0}
    gc.collect()
    micropython.heap_lock()
    for _ in range(20):
        acting.take("temperature", values, (), ())
        acting.conclude(0, 0, ())
        acting.tick(50)
        acting.tell()
    micropython.heap_unlock()
    measuring.hold(15_000)
    before = len(order)
    waited_ms = max(time.ticks_diff(measuring._held, time.ticks_ms()), 0)
    try:
        await measuring.run()
    except RuntimeError:
        pass
    acting.tell()
    print(json.dumps([order[:before], waited_ms, order[before:]]))


asyncio.run(main())
